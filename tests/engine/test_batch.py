"""Batches in memory: what the engine asks of every batch."""

from __future__ import annotations

from tests.engine.programs import NOW_MS, PARTITION, TOPIC, batch, record


def test_batch_tells_its_place_and_gives_its_records():
    """Topic, partition, values in order, the time of the last record."""
    records = batch({"a": 1}, None, b"x")
    assert (records.topic, records.partition, len(records)) == (TOPIC, PARTITION, 3)
    assert records.values() == [b'{"a":1}', None, b"x"]
    assert records.record(1) == record(None, 1)
    assert records.last_timestamp_ms == NOW_MS - 60_000


def test_slices_keep_offsets():
    """The halves of a batch are what it was made of."""
    records = batch(b"a", b"b", b"c")
    halves = records.slice(0, 1), records.slice(1, 3)
    assert [half.values() for half in halves] == [[b"a"], [b"b", b"c"]]
    assert halves[1].record(0).offset == 1
