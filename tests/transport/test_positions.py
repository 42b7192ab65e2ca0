"""Gaps: which are normal, which are records deleted before they were read."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streamproc.model import Record
from streamproc.ops.counters import Counters
from streamproc.transport.batch import RecordBatch
from streamproc.transport.positions import Gap, Positions, lost_records

EVENTS = TP("events", 0)


class Broker:
    """Answers watermark questions as the Consumer does."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.away = False

    def get_watermark_offsets(self, place, timeout=None, cached=False):
        if cached:
            return (-1001, self.high)
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return (self.low, self.high)


def batch(*offsets: int) -> RecordBatch:
    return RecordBatch.of([Record(b"x", "events", 0, offset, 0, []) for offset in offsets])


def positions(start: int | None) -> tuple[Positions, Counters]:
    counters = Counters()
    made = Positions(counters, tracked=lambda topic: topic == "events")
    made.assign({EVENTS: start, TP("changelog", 0): 0})
    return made, counters


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 200))
def test_lost_records_are_those_between_position_and_low_watermark(start, width, low) -> None:
    """Counted one by one: offsets of the gap that lie below the low watermark."""
    gap = Gap(start, start + width)
    assert lost_records(gap, low) == len([o for o in range(gap.start, gap.stop) if o < low])


def test_records_lost_to_retention_are_counted_and_logged(caplog) -> None:
    """The log line names topic, partition and both ends; the counter holds the number."""
    made, counters = positions(10)
    assert made.advance(batch(100, 101))
    with caplog.at_level(logging.ERROR):
        made.refresh(Broker(low=100, high=500))
    assert counters.records_lost == {("events", 0): 90}
    assert "events[0]: 90 records" in caplog.text
    assert "offsets 10 to 99; reading on from 100" in caplog.text
    made.refresh(Broker(low=100, high=500))
    assert counters.records_lost == {("events", 0): 90}, "counted twice"


@pytest.mark.parametrize(
    ("start", "batches", "low"),
    [
        pytest.param(None, [batch(100)], 100, id="new group"),
        pytest.param(10, [batch(10, 12), batch(13)], 0, id="consecutive"),
        pytest.param(10, [batch(40)], 5, id="compacted or transactional"),
        pytest.param(10, [batch(10), batch(40)], 11, id="retention right behind us"),
    ],
)
def test_normal_gaps_are_no_loss(start, batches, low, caplog) -> None:
    """A gap above the low watermark is nobody's loss."""
    made, counters = positions(start)
    assert all([made.advance(one) for one in batches])
    made.refresh(Broker(low, 500))
    assert not counters.records_lost
    assert not caplog.records


def test_a_gap_is_judged_when_the_broker_answers_again() -> None:
    """A broker that is away delays the count and does not lose it."""
    made, counters = positions(10)
    made.advance(batch(100))
    broker = Broker(low=100, high=500)
    broker.away = True
    made.refresh(broker)
    assert not counters.records_lost
    broker.away = False
    made.refresh(broker)
    assert counters.records_lost == {("events", 0): 90}


def test_a_position_beyond_the_end_is_loud(caplog) -> None:
    """A topic made anew is read from its beginning, and an ERROR says so."""
    made, _ = positions(900)
    assert not made.advance(batch(0, 1))
    assert "events[0]: the committed offset 900 is beyond the end" in caplog.text
    assert made.advance(batch(2))


def test_ends_of_all_partitions_are_refreshed_and_removed_on_revoke() -> None:
    """Idle partitions too; a changelog has no lag of interest."""
    made, counters = positions(10)
    made.refresh(Broker(low=0, high=500))
    assert set(counters.partitions) == {("events", 0)}
    assert (counters.partitions["events", 0].position, counters.partitions["events", 0].end) == (
        10,
        500,
    )
    made.drop([EVENTS])
    assert not counters.partitions


def test_a_seek_is_no_gap() -> None:
    """Recovery moves partitions on purpose."""
    made, counters = positions(10)
    made.seek(EVENTS, 100)
    made.advance(batch(100))
    made.refresh(Broker(low=100, high=500))
    assert not counters.records_lost
