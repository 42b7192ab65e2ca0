"""Programs of rules given as queries, and the records that the detector's tests feed to them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson

from streamproc.engine.batch import RecordList
from streamproc.engine.detector import Detector, DetectorOptions
from streamproc.engine.program import Program
from streamproc.engine.sequence_budget import SequenceLimits
from streamproc.engine.sequence_reader import StepReader
from streamproc.engine.sequence_rules import SequenceRules
from streamproc.model import Record
from streamproc.ops.counters import Counters
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.ruleset import RuleSet

NOW_MS = 1_800_000_000_000
TOPIC, PARTITION = "events", 3
SHELL = 'process where process.name == "cmd.exe"'
PAIR = """sequence by host.id with maxspan=1m
  [process where process.name == "cmd.exe"]
  [file where file.name == "a.txt"]"""

_RULE = """\
[metadata]
maturity = "production"

[rule]
rule_id = "{rule_id}"
name = "Rule {number}"
description = "For a test."
author = ["streamproc"]
license = "Apache-2.0"
severity = "{severity}"
risk_score = 73
type = "eql"
language = "eql"
version = 1
{more}
query = '''
{query}
'''
"""


def rule_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def rule_text(number: int, query: str, *, more: str = "", severity: str = "high") -> str:
    """The file of one rule."""
    return _RULE.format(
        rule_id=rule_id(number), number=number, query=query, more=more, severity=severity
    )


def ruleset(*queries: str, more: str = "", severity: str = "high") -> RuleSet:
    """Rules loaded from files, numbered in the order of the queries."""
    with tempfile.TemporaryDirectory() as folder:
        for number, query in enumerate(queries):
            text = rule_text(number, query, more=more, severity=severity)
            Path(folder, f"{number}.toml").write_text(text, "utf-8")
        loaded = load_rules([Path(folder)])
    assert not loaded.rejected
    assert len(loaded.rules) == len(queries)
    return loaded


def detector(
    *queries: str, more: str = "", limits: SequenceLimits | None = None, **options: Any
) -> tuple[Detector, Counters]:
    """A detector with these rules, and its counters."""
    counters = Counters()
    chosen = DetectorOptions(sequence_limits=limits or SequenceLimits(lateness_ms=0), **options)
    return Detector(Program(ruleset(*queries, more=more)), chosen, counters), counters


def reader(rules: SequenceRules) -> StepReader:
    """Asks rules that look at every index about events that have a time."""
    return StepReader(rules, lambda event, position: True, lambda event, at_ms: event)


def document(number: int = 0, name: str = "cmd.exe", **fields: Any) -> dict[str, Any]:
    """A process event; ``number`` is its id and its second."""
    return {
        "@timestamp": f"2026-01-01T10:00:{number:02}.000Z",
        "event": {"category": ["process"], "id": f"e{number}"},
        "host": {"id": "h1"},
        "process": {"name": name},
    } | fields


def record(value: Any, offset: int = 0, at_ms: int = NOW_MS - 60_000, headers=()) -> Record:
    """A record of bytes, of nothing, or of whatever JSON can say."""
    content = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return Record(content, TOPIC, PARTITION, offset, at_ms, list(headers))


def batch(*values: Any) -> RecordList:
    return RecordList([record(value, offset) for offset, value in enumerate(values)])
