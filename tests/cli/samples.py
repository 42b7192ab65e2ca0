"""Rules and events that the tests of the commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RULE = """\
[metadata]
maturity = "production"

[rule]
rule_id = "{rule_id}"
name = "{name}"
description = "For a test."
author = ["streamproc"]
license = "Apache-2.0"
severity = "high"
risk_score = 73
type = "eql"
language = "eql"
version = {version}
query = '''
{query}
'''
"""

SHELL_RULE_ID = "00000000-0000-4000-8000-000000000001"
OTHER_RULE_ID = "00000000-0000-4000-8000-000000000002"


def write_rule(
    path: Path,
    query: str,
    rule_id: str = SHELL_RULE_ID,
    name: str = "Shell of the web server",
    version: int = 3,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = RULE.format(rule_id=rule_id, name=name, query=query, version=version)
    path.write_text(text, "utf-8")
    return path


def event(number: int, name: str = "cmd.exe", **fields: Any) -> dict[str, Any]:
    """A process event; ``number`` gives it its id and its second."""
    return {
        "@timestamp": f"2026-03-01T10:00:{number % 60:02d}.000Z",
        "event": {"category": ["process"], "type": ["start"], "id": f"event-{number}"},
        "host": {"id": "host-1", "name": "web-1"},
        "process": {"name": name, "pid": 100 + number, "parent": {"name": "w3wp.exe"}},
    } | fields


def ndjson(events: list[Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in events)
