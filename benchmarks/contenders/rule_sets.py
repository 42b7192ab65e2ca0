"""Rule sets that are written for the benchmark alone.

Law of the file: no event of ``benchmarks.traffic`` concerns the generated rules, and each is as
long as real rules are: names of programs, originals, arguments and exclusions.
"""

from __future__ import annotations

import uuid
from pathlib import Path

_RULE = """[metadata]
creation_date = "2026/08/21"
maturity = "production"
updated_date = "2026/08/21"

[rule]
author = ["streamproc"]
description = "Generated: asks about a program that runs nowhere."
from = "now-9m"
index = ["logs-endpoint.events.process-*", "winlogbeat-*", "logs-windows.sysmon_operational-*"]
language = "eql"
license = "Apache-2.0"
name = "Unconcerned {number}"
risk_score = 47
rule_id = "{rule_id}"
severity = "medium"
type = "eql"
query = \'\'\'
{query}
\'\'\'
"""
_QUERIES = (
    """process where host.os.type == "windows" and event.type == "start" and
  (process.name : ("{a}.exe", "{b}*.exe") or ?process.pe.original_file_name == "{a}.EXE") and
  process.args : ("-{c}*", "/{c}", "*{d}*") and
  not process.parent.executable : ("?:\\\\Programs\\\\{d}\\\\*.exe", "?:\\\\{b}\\\\{a}.exe")""",
    """process where host.os.type == "linux" and event.type == "start" and
  event.action in ("exec", "executed") and process.parent.name in ("{a}", "{b}", "{c}") and
  process.name in~ ("{d}", "{a}-{b}") and not process.args == "--{c}-{d}\"""",
    """process where event.type == "start" and
  process.executable : ("?:\\\\Users\\\\*\\\\{a}\\\\{b}.exe", "/opt/{a}/*/{b}") and
  process.command_line : ("*{c} --{d}*", "*{d}={c}*") and not user.id : "S-1-5-{d}\"""",
    """process where host.os.type == "windows" and event.type == "start" and
  process.parent.name : ("{a}.exe", "{b}.exe") and process.name : "{c}?.exe" and
  not (process.code_signature.trusted == true and process.args : "{d}")""",
)


def write_unconcerned(folder: Path, count: int) -> Path:
    """Write so many generated rules into ``folder``; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        words = {letter: _word(number, letter) for letter in "abcd"}
        query = _QUERIES[number % len(_QUERIES)].format(**words)
        rule_id = uuid.uuid5(uuid.NAMESPACE_OID, f"unconcerned {number}")
        text = _RULE.format(number=number, rule_id=rule_id, query=query)
        (folder / f"unconcerned-{number:05d}.toml").write_text(text)
    return folder


def _word(number: int, letter: str) -> str:
    """A word that no event holds: other letters for each rule, no digits in a row."""
    return f"{letter}zq" + uuid.uuid5(uuid.NAMESPACE_OID, f"{letter}{number}").hex[:8]
