"""Batches: offsets, records, parts, and the cut of one ``consume()`` answer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import Message

from streamproc.engine.batch import record_of
from streamproc.model import Record
from streamproc.transport.batch import Handover, RecordBatch, batches_of


def record(offset: int, value: bytes | None = b"{}", timestamp_ms: int = 0) -> Record:
    return Record(value, "events", 3, offset, timestamp_ms, [("source", b"edr")])


def message(topic: str, partition: int, offset: int) -> Message:
    return Message(topic=topic, partition=partition, offset=offset, value=b"x")


def test_a_batch_of_records_gives_them_back() -> None:
    """Values, offsets, headers and times are those of the records, tombstones included."""
    records = [record(7, b"ab", 20), record(9, None, 30), record(12, b"c", 10)]
    batch = RecordBatch.of(records)
    assert len(batch) == 3
    assert (batch.topic, batch.partition, batch.tp) == ("events", 3, ("events", 3))
    assert (batch.first_offset, batch.next_offset) == (7, 13)
    assert batch.values() == [b"ab", None, b"c"]
    assert batch.value_bytes == 3
    assert (batch.oldest_timestamp_ms, batch.last_timestamp_ms) == (10, 10)
    assert [batch.record(position) for position in range(3)] == records
    assert "events[3] 7..12, 3 records" in repr(batch)


def test_a_reference_makes_its_record_when_the_batch_is_gone() -> None:
    records = [
        Record(b"{}", "events", 3, 7, 1_700_000_000_000, [("traceparent", b"00-1-2-03")]),
        Record(b"[]", "events", 3, 9, 0, []),
    ]
    batch = RecordBatch.of(records)
    references = [batch.reference(position) for position in range(2)]
    del batch
    told = [(item.offset, item.timestamp_ms) for item in references]
    assert told == [(7, 1_700_000_000_000), (9, 0)]
    assert [record_of(item) for item in references] == records


def test_an_empty_batch_is_refused() -> None:
    """A batch has a partition and offsets, so it has records."""
    with pytest.raises(ValueError, match="at least one"):
        RecordBatch.of([])


def test_a_slice_keeps_offsets_and_cannot_be_acknowledged() -> None:
    """A part is for finding the record that fails; the whole batch is acknowledged."""
    batch = RecordBatch.of([record(offset) for offset in (1, 2, 5, 6)])
    part = batch.slice(1, 3)
    assert (part.first_offset, part.next_offset, len(part)) == (2, 6, 2)
    assert part.record(1).offset == 5
    with pytest.raises(RuntimeError, match="whole batch"):
        part.ack()
    with pytest.raises(ValueError, match="no records"):
        batch.slice(2, 2)


def test_a_batch_outside_a_worker_remembers_its_acknowledgement() -> None:
    """Tests of agents look at ``acknowledged``."""
    batch = RecordBatch.of([record(1)])
    assert not batch.acknowledged
    batch.ack()
    batch.ack()
    assert batch.acknowledged


class Consumer:
    """Notes what comes back."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def batch_done(self, batch) -> None:
        self.done.append(batch.first_offset)

    def message_done(self, message) -> None:
        self.done.append(message)


@pytest.mark.parametrize("agents", [1, 2])
def test_a_message_is_done_with_its_last_batch(agents) -> None:
    """Each batch on its own, when every agent on the topic has acknowledged it."""
    message, consumer = SimpleNamespace(refcount=agents), Consumer()
    batches = [RecordBatch.of([record(1)]), RecordBatch.of([record(5)])]
    batches[0].handover = batches[1].handover = Handover(consumer, message, 2)
    for _ in range(agents - 1):
        batches[1].ack()
        batches[0].ack()
        assert consumer.done == []
    batches[1].ack()
    assert consumer.done == [5]
    batches[0].ack()
    batches[0].ack()
    assert consumer.done == [5, 1, message]


def test_headers_are_read_alone() -> None:
    """Without the rest of the record; a header without a value is an empty one."""
    batch = RecordBatch.of([record(1), Record(b"", "events", 3, 2, 0, [])])
    assert [batch.headers(0), batch.headers(1)] == [[("source", b"edr")], []]
    bare = Message(topic="a", partition=0, offset=1, headers=[("traceparent", None)])
    assert RecordBatch([bare]).headers(0) == [("traceparent", b"")]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([("a", 0, 1), ("a", 0, 2)], [("a", 0, 1, 3)], id="one partition"),
        pytest.param(
            [("a", 0, 1), ("a", 1, 8), ("a", 1, 9), ("a", 0, 2)],
            [("a", 0, 1, 3), ("a", 1, 8, 10)],
            id="runs of a partition are one batch",
        ),
        pytest.param([("a", 0, 1), ("b", 0, 5)], [("a", 0, 1, 2), ("b", 0, 5, 6)], id="two topics"),
        pytest.param([("a", 0, 1), ("a", 0, 7)], [("a", 0, 1, 8)], id="compacted away between"),
    ],
)
def test_batches_of_makes_one_of_each_partition(messages, expected) -> None:
    """A batch is of one partition, in ascending offsets, and no record is left out."""
    batches = batches_of([message(*place) for place in messages], one_topic=False)
    assert [(b.topic, b.partition, b.first_offset, b.next_offset) for b in batches] == expected
    if len({topic for topic, _, _ in messages}) == 1:
        same = batches_of([message(*place) for place in messages], one_topic=True)
        assert [b.first_offset for b in same] == [b.first_offset for b in batches]
