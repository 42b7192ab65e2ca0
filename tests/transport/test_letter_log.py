"""What the log says of dead letters, and what it never says."""

from __future__ import annotations

import logging

from streamproc.engine.dead_letters import dead_letter
from streamproc.model import Record
from streamproc.ops.logs import REPEAT_INTERVAL_S
from streamproc.transport.letter_log import LetterLog

SECRET = "net use /user:admin hunter2"


def letter(reason="json", error="not JSON", offset=41):
    headers = [("reason", b"\xff"), ("topic", b"another"), ("any", SECRET.encode())]
    record = Record(SECRET.encode(), "events", 3, offset, 0, headers)
    return dead_letter(record, reason, error, "digest", 10_000)


def lines(caplog, level):
    return [line for line in caplog.records if line.levelno == level]


def test_first_of_a_reason_is_told_with_its_place(caplog):
    """As text, and as fields of the JSON form."""
    caplog.set_level(logging.DEBUG)
    LetterLog().tell([letter()])
    (line,) = lines(caplog, logging.WARNING)

    assert line.getMessage() == "dead letter: json: events[3] offset 41"
    assert line.kafka == {"topic": "events", "partition": 3, "offset": 41}
    assert not hasattr(line, "rule.id")


def test_rules_that_failed_are_named_and_their_errors_withheld(caplog):
    """An error may quote the event; what it says is in the dead letter."""
    caplog.set_level(logging.DEBUG)
    error = f"rule r-1: ValueError: {SECRET}; rule r-2: KeyError: 'x'; rule r-1: KeyError: 'y'"
    LetterLog().tell([letter("failed", error)])
    (line,) = lines(caplog, logging.WARNING)

    assert line.getMessage() == "dead letter: failed by rule r-1, r-2: events[3] offset 41"
    assert getattr(line, "rule.id") == ["r-1", "r-2"]
    assert all(SECRET not in line.getMessage() for line in lines(caplog, logging.WARNING))
    assert any(SECRET in line.getMessage() for line in lines(caplog, logging.DEBUG))


def test_a_flood_is_one_line_a_while(caplog):
    """For each reason; the next line says how many there were."""
    now = [100.0]
    log = LetterLog(clock=lambda: now[0])
    for offset in range(1_000):
        log.tell([letter(offset=offset), letter("empty", offset=offset)])
    assert len(caplog.records) == 2
    now[0] += REPEAT_INTERVAL_S
    log.tell([letter(offset=1_000)])

    assert caplog.messages[-1] == (
        "dead letter: json: events[3] offset 1000; 999 more since the last such line"
    )
