"""The agent and the clock: what is acknowledged, and when time passes in an idle partition."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streamproc.engine.detector import Detections
from streamproc.engine.sequence_budget import SequenceLimits
from streamproc.engine.sequence_rules import SequenceRules
from streamproc.engine.sequence_states import SequenceStates
from streamproc.ops.counters import Counters
from streamproc.transport.agents import (
    CLOCK_SKEW_MS,
    TURN_RECORDS,
    define_clock,
    define_detect_agent,
)
from streamproc.transport.batch import RecordBatch
from tests.engine.programs import NOW_MS, document, reader, record

PLACE = TP("events", 3)


class Consumer:
    """Holds one partition, read up to ``position``."""

    def __init__(self, position: int = 10) -> None:
        self.position = position
        self.assigned = {PLACE}
        self.writes = 0

    def assignment(self):
        return set(self.assigned)

    def is_read_to(self, partition, end):
        return self.position >= end

    async def write_state(self):
        self.writes += 1


class App:
    """Keeps what is defined on it."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.rebalancing = False

    def agent(self, topic, name):
        return lambda function: function

    def timer(self, interval):
        def keep(function):
            self.tick = lambda: asyncio.run(function(self))
            return function

        return keep


class Detector:
    """Says which calls came, and whether the state was known to move meanwhile."""

    def __init__(self) -> None:
        self.sequences = SequenceStates({}, SequenceLimits(), reader(SequenceRules(())))
        self.processed: list[int] = []
        self.advanced: list[tuple] = []

    def process(self, batch, now_ms):
        assert not self.sequences.is_settled()
        self.processed.append(batch.first_offset)
        return Detections([], [], [])

    def advance(self, partition, broker_ms, now_ms):
        assert not self.sequences.is_settled()
        self.advanced.append((tuple(partition), broker_ms, now_ms))
        return Detections([], [], [])


class Publisher:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def publish(self, detections, began_ms):
        if self._error:
            raise self._error


def in_force(detector: Detector) -> Any:
    """Rules that are never replaced."""
    return SimpleNamespace(detector=detector, saw=lambda batch: None)


def make_batch(offset: int, records: int = 1) -> RecordBatch:
    return RecordBatch.of(record(document(), offset + n, NOW_MS) for n in range(records))


def run_agent(consumer, detector, batches, error=None):
    rules = in_force(detector)
    agent = define_detect_agent(App(consumer), None, rules, Publisher(error), Counters())

    async def items():
        for batch in batches:
            yield [batch]

    asyncio.run(agent(SimpleNamespace(noack=items)))


def test_batch_is_acknowledged_after_its_outputs_are_queued():
    """And the state is settled again."""
    detector, batches = Detector(), [make_batch(0), make_batch(1)]
    run_agent(Consumer(), detector, batches)
    assert detector.processed == [0, 1]
    assert all(batch.acknowledged for batch in batches)
    assert detector.sequences.is_settled()


def test_rules_that_are_replaced_while_outputs_wait_evaluate_the_next_batch():
    """One set evaluates all of a batch; the next batch meets the new one."""
    old, new = Detector(), Detector()
    new.sequences = old.sequences
    rules = in_force(old)

    class Replacing(Publisher):
        async def publish(self, detections, began_ms):
            rules.detector = new

    consumer, batches = Consumer(), [make_batch(0), make_batch(1)]
    agent = define_detect_agent(App(consumer), None, rules, Replacing(), Counters())

    async def items():
        for batch in batches:
            yield [batch]

    asyncio.run(agent(SimpleNamespace(noack=items)))
    assert (old.processed, new.processed) == ([0], [1])
    assert all(batch.acknowledged for batch in batches)
    assert old.sequences.is_settled()


@pytest.mark.parametrize(
    ("records", "batches", "expected"),
    [(TURN_RECORDS, 3, [1, 2]), (TURN_RECORDS // 2, 6, [2, 4]), (1, 3, [])],
)
def test_others_have_their_turn_within_one_hand_over(records, batches, expected):
    """A signal or a commit does not wait until all that was ready is evaluated."""
    detector, turns = Detector(), []
    rules = in_force(detector)
    batches = [make_batch(number * records, records) for number in range(batches)]
    agent = define_detect_agent(App(Consumer()), None, rules, Publisher(), Counters())

    async def items():
        yield batches  # one hand-over

    async def other():
        while len(detector.processed) < len(batches):
            turns.append(len(detector.processed))
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(agent(SimpleNamespace(noack=items)), other())

    asyncio.run(main())
    assert turns == expected


def test_batch_whose_outputs_fail_is_not_acknowledged():
    """Nor is its state fit to be kept."""
    detector, batch = Detector(), make_batch(0)
    with pytest.raises(OSError, match="full"):
        run_agent(Consumer(), detector, [batch], OSError("full"))
    assert not batch.acknowledged
    assert not detector.sequences.is_settled()


def test_batch_of_a_lost_partition_is_left_to_its_next_owner():
    """Its sequences are not here any more: an empty state would find other ones."""
    consumer, detector, batch = Consumer(), Detector(), make_batch(0)
    consumer.assigned.clear()
    run_agent(consumer, detector, [batch])
    assert not detector.processed
    assert not batch.acknowledged


class Ends:
    """Answers with the ends it was given; asked for is kept."""

    def __init__(self, ends) -> None:
        self._ends = ends
        self.meanwhile = lambda: None

    async def of(self, partitions):
        self.asked = list(partitions)
        self.meanwhile()
        return {partition: self._ends[partition] for partition in partitions if self._ends}


@pytest.fixture
def detector(monkeypatch):
    """A detector with something that waits in the partition."""
    found = Detector()
    state = found.sequences.of(PLACE)
    monkeypatch.setattr(state, "scopes", lambda: ["scope"])
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    return found


@pytest.mark.parametrize(
    ("ends", "advances"),
    [({PLACE: 10}, True), ({PLACE: 11}, False), ({}, False)],
    ids=["read to the end", "records left", "the broker does not answer"],
)
def test_time_passes_only_in_partitions_that_are_read_to_their_end(detector, ends, advances):
    """A margin behind the worker's clock; the state is offered for writing in any case."""
    consumer = Consumer()
    app = App(consumer)
    define_clock(app, in_force(detector), Publisher(), Ends(ends))
    app.tick()
    assert detector.advanced == [(tuple(PLACE), NOW_MS - CLOCK_SKEW_MS, NOW_MS)] * advances
    assert consumer.writes == 1


def test_nothing_is_asked_where_nothing_waits():
    """A partition without sequences costs no request."""
    app, idle = App(Consumer()), Detector()
    idle.sequences.of(PLACE)
    ends = Ends({})
    define_clock(app, in_force(idle), Publisher(), ends)
    app.tick()
    assert ends.asked == []


@pytest.mark.parametrize("event", ["rebalance", "given up"])
def test_time_stands_still_in_partitions_that_go(detector, event):
    """While the broker was asked the partition went: no state is made for it again."""
    app = App(Consumer())
    ends = Ends({PLACE: 10})

    def meanwhile() -> None:
        if event == "rebalance":
            app.rebalancing = True
        else:
            detector.sequences.close(PLACE)

    ends.meanwhile = meanwhile
    define_clock(app, in_force(detector), Publisher(), ends)
    app.tick()
    assert not detector.advanced
    assert detector.sequences.holds(PLACE) == (event == "rebalance")
