"""The ends of partitions: as of now, or not known; on the mock cluster."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaError

from streamproc.transport import ends as module
from streamproc.transport.ends import PartitionEnds
from tests.transport.mock_cluster import LIST_OFFSETS

PLACE = ("events", 0)


def test_a_broker_that_hangs_tells_no_end(cluster, monkeypatch) -> None:
    """To librdkafka it is -1001 then, which every partition would have been read to."""

    async def run() -> list[dict]:
        ends = PartitionEnds({"bootstrap.servers": cluster.bootstrap})
        found = [await ends.of([PLACE])]
        cluster.hang()
        monkeypatch.setattr(module, "TIMEOUT_S", 1.0)
        return [*found, await ends.of([PLACE])]

    assert asyncio.run(run()) == [{PLACE: 10}, {}]


def test_ends_that_were_not_told_are_asked_for_by_a_new_client(cluster, monkeypatch) -> None:
    """A client keeps what it knows of leaders, for minutes, though brokers say it is old."""

    async def run() -> list:
        ends = PartitionEnds({"bootstrap.servers": cluster.bootstrap})
        before = await ends.of([PLACE]), ends._admin
        again = await ends.of([PLACE]), ends._admin
        cluster.refuse(LIST_OFFSETS, KafkaError.FENCED_LEADER_EPOCH)
        refused = await ends.of([PLACE])
        after = await ends.of([PLACE]), ends._admin
        assert before == again
        assert before[1] is not after[1]
        return [before[0], refused, after[0]]

    assert asyncio.run(run()) == [{PLACE: 10}, {}, {PLACE: 10}]
