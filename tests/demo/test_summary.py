"""Plain lines: whole names, whole command lines, and the figures of the summary."""

from __future__ import annotations

import io

from rich.console import Console

from streamproc.demo.board import Verdict
from streamproc.demo.screen import LiveScreen, PlainScreen, open_screen
from streamproc.demo.story import UM_RULE_ID, WORKER_RULE_ID
from streamproc.demo.summary import alert_line, progress_line, summary_rows
from streamproc.demo.traffic import Expected
from tests.demo.states import ALERTS, TAKEN_S, UM_NAME, WORKER_NAME, make_alert, make_snapshot

EXPECTED = (
    Expected("event-1", WORKER_RULE_ID, "EXCH01"),
    Expected("event-2", WORKER_RULE_ID, "EXCH01"),
    Expected("event-3", UM_RULE_ID, "EXCH02"),
)


def test_alert_line_is_whole():
    """Full rule name, host, process line and requests by status, on one line of ASCII."""
    line = alert_line(ALERTS[1])
    assert WORKER_NAME in line
    assert "host EXCH01" in line
    assert "w3wp.exe > powershell.exe" in line
    assert "QUJD" * 40 in line
    assert line.endswith("context requests 5 (2 resolved, 2 partial, 1 unresolvable)")
    assert line.isascii()
    assert "\n" not in line


def test_progress_line():
    """Rate, total, share and alerts."""
    line = progress_line(make_snapshot(ALERTS[:1]))
    assert "8,012 events/s" in line
    assert "99.965 % ended by the prefilter" in line
    assert line.endswith("1 alert")


def test_summary_compares_expected_and_got():
    """Alerts by rule with what was expected, context requests by status, median latency."""
    rows = summary_rows(make_snapshot(ALERTS), 57_123, EXPECTED, Verdict((), ()))
    values = [value for _, value in rows]
    assert "3 of 3 expected" in values
    assert f"2 of 2  {WORKER_NAME}" in values
    assert f"1 of 1  {UM_NAME}" in values
    assert dict(rows)["context requests"] == "10 (7 resolved, 2 partial, 1 unresolvable)"
    assert dict(rows)["event to alert"] == "80 ms (median)"
    assert dict(rows)["events"].startswith("57,123 of 57,123 sent, ")


def test_summary_without_alerts_names_the_missing_rules():
    """A rule that never fired is known by its id only."""
    rows = summary_rows(make_snapshot(), 57_123, EXPECTED, Verdict(EXPECTED, ()))
    assert ("", f"0 of 2  {WORKER_RULE_ID}") in rows
    assert "event to alert" not in dict(rows)


def test_plain_screen_prints_each_alert_once():
    """When its context requests had time to come, or at the end; nothing is wrapped."""
    console = Console(file=io.StringIO(), width=40)
    screen = open_screen(console)
    assert isinstance(screen, PlainScreen)
    fresh = make_alert(7, received_s=TAKEN_S, command_line="x" * 200)
    with screen:
        screen.show_status("Starting", 0.0)
        screen.show_status("Starting", 0.1)
        screen.show(make_snapshot((ALERTS[0], fresh)), 1.0)
        before_end = console.file.getvalue()
        screen.show(make_snapshot((ALERTS[0], fresh)), 1.1, is_last=True)
    text = console.file.getvalue()
    assert text.count("Starting\n") == 1
    assert text.count("ALERT") == 2
    assert "x" * 200 not in before_end
    assert "x" * 200 in text
    assert text.isascii()


def test_terminal_gets_the_live_picture():
    """And a terminal that cannot move its cursor does not."""
    terminal = {"file": io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), "force_terminal": True}
    assert isinstance(open_screen(Console(**terminal, _environ={"TERM": "xterm"})), LiveScreen)
    assert isinstance(open_screen(Console(**terminal, _environ={"TERM": "dumb"})), PlainScreen)


def test_live_screen_ends_with_the_last_frame_and_the_summary():
    """What was seen stays on the screen, the summary below it."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, height=40, _environ={})
    screen = LiveScreen(console)
    with screen:
        screen.show_status("Starting", 0.0)
        screen.show(make_snapshot(ALERTS), 1.0, is_last=True)
    screen.show_summary([("events", "57,123"), ("", "[bold]as it is")])
    text = output.getvalue()
    assert WORKER_NAME in text
    assert text.index("near misses sent") < text.index("[bold]as it is")
