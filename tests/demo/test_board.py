"""What the demonstration makes of numbers, alerts and context requests that come in."""

from __future__ import annotations

import pytest

from streamproc.demo.board import Board, WorkerNumbers, judge, median_latency_s
from streamproc.demo.story import UM_RULE_ID, WORKER_RULE_ID
from streamproc.demo.traffic import Expected
from tests.demo.states import make_alert

ALERT = {
    "kibana.alert.uuid": "a1",
    "kibana.alert.original_event.id": "e1",
    "kibana.alert.original_time": "2026-09-21T13:46:40.000Z",
    "kibana.alert.rule.rule_id": WORKER_RULE_ID,
    "kibana.alert.rule.name": "Rule",
    "kibana.alert.severity": "high",
    "host": {"name": "EXCH01"},
    "process": {"name": "cmd.exe", "command_line": "cmd", "parent": {"name": "w3wp.exe"}},
}


def test_alert_is_read():
    """Process line, severity and host come from the document, the latency from its event's time."""
    board = Board()
    board.add_alert(ALERT, 1_789_998_400.25)
    (alert,) = board.alerts()
    assert (alert.host, alert.severity, alert.parent, alert.child) == (
        "EXCH01",
        "high",
        "w3wp.exe",
        "cmd.exe",
    )
    assert alert.latency_s == pytest.approx(0.25)


def test_redelivered_alert_counts_once():
    """At least once is what the worker promises; the id makes it one."""
    board = Board()
    board.add_alert(ALERT, 1_789_998_401)
    board.add_alert(ALERT, 1_789_998_402)
    (alert,) = board.alerts()
    assert alert.received_s == 1_789_998_401


def test_context_requests_are_counted_by_status():
    """They may come before their alert, and a repetition counts once."""
    board = Board()
    requests = [
        ("a1:0", "resolved"),
        ("a1:1", "partial"),
        ("a1:0", "resolved"),
        ("a2:0", "partial"),
    ]
    for request_id, status in requests:
        board.add_context_request({"id": request_id, "alert_id": request_id[:2], "status": status})
    board.add_alert(ALERT, 1_789_998_401)
    assert board.alerts()[0].context == {"resolved": 1, "partial": 1}


def test_rate_is_that_of_the_last_second():
    """Old readings leave the window; those before the first event and late ones do not enter."""
    board = Board()
    board.add_numbers(WorkerNumbers(), 0.0)
    for step in range(31):
        consumed = 1 + step * (10 if step <= 10 else 100)
        board.add_numbers(WorkerNumbers(consumed, consumed * 3_000), 10 + step / 10)
    board.add_numbers(WorkerNumbers(9_999), 15, is_flowing=False)
    assert board.numbers.consumed == 9_999
    assert board.rate == pytest.approx(1_000)
    assert board.bytes_rate == pytest.approx(3_000_000)


def test_filtered_share():
    """Of all processed events; unknown before the first."""
    assert WorkerNumbers().filtered_share is None
    assert WorkerNumbers(outcomes={"filtered": 3, "matched": 1}).filtered_share == 0.75


@pytest.mark.parametrize(
    ("alerts", "missing", "unexpected"),
    [
        pytest.param([(1, WORKER_RULE_ID), (2, UM_RULE_ID)], 0, 0, id="as expected"),
        pytest.param([(1, WORKER_RULE_ID)], 1, 0, id="one missing"),
        pytest.param([(1, UM_RULE_ID), (2, UM_RULE_ID)], 1, 1, id="right event, wrong rule"),
        pytest.param(
            [(1, WORKER_RULE_ID), (2, UM_RULE_ID), (3, UM_RULE_ID)], 0, 1, id="one too many"
        ),
        pytest.param(
            [(1, WORKER_RULE_ID), (2, UM_RULE_ID), (3, "another")], 0, 0, id="rule of no step"
        ),
        pytest.param([], 2, 0, id="none"),
    ],
)
def test_judgement(alerts: list[tuple[int, str]], missing: int, unexpected: int):
    """Expected and got are compared by rule and event."""
    expected = [Expected("event-1", WORKER_RULE_ID, "A"), Expected("event-2", UM_RULE_ID, "B")]
    verdict = judge(expected, [make_alert(number, rule_id=rule) for number, rule in alerts])
    assert (len(verdict.missing), len(verdict.unexpected)) == (missing, unexpected)


def test_median_latency():
    """The middle one; none without alerts."""
    assert median_latency_s([]) is None
    assert median_latency_s([make_alert(1), make_alert(2), make_alert(9)]) == pytest.approx(0.08)
