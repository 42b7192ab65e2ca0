"""The README's excerpt of the demonstration has the form of what it prints today."""

from __future__ import annotations

import re
from collections import Counter

from streamproc.demo.board import Verdict
from streamproc.demo.summary import alert_line, summary_rows
from streamproc.demo.traffic import Expected
from tests.demo.states import ALERTS, UM_NAME, make_alert, make_snapshot
from tests.docs.blocks import read_blocks
from tests.docs.generated import README


def excerpt() -> list[str]:
    blocks = read_blocks(README.read_text())
    return next(block.text for block in blocks if block.text.startswith("ALERT")).splitlines()


def shape(line: str) -> str:
    """The line without its numbers, names of rules and plurals."""
    line = re.sub(r"[\d.,]*\d", "N", line)
    return re.sub(r"alerts? from", "alerts from", line)


def test_alert_lines_are_as_printed():
    """One line an alert, with rule, severity, host, process line and context requests."""
    first = make_alert(1, command_line="cmd.exe /c whoami /all & ipconfig /all")
    second = make_alert(
        2,
        rule_name=UM_NAME,
        severity="medium",
        host="EXCH02",
        parent="UMWorkerProcess.exe",
        child="umperf.exe",
        command_line="C:\\Windows\\Temp\\umperf.exe -install -quiet",
        context={"resolved": 4},
    )

    assert excerpt()[:2] == [alert_line(first), alert_line(second)]


def test_summary_lines_are_as_printed():
    """The lines below the dots are among the rows of a summary, but for their numbers."""
    expected = [Expected(alert.event_id, alert.rule_id, alert.host) for alert in ALERTS]
    rows = summary_rows(make_snapshot(ALERTS), 57_123, expected, Verdict((), ()))
    printed = Counter(
        shape(f"{label}: {value}" if label else f"  {value}") for label, value in rows
    )
    shown = excerpt()[excerpt().index("...") + 1 :]

    assert len(shown) >= 5
    assert [line for line in shown if shape(line) not in printed] == []
