"""What agents get at once, on the mock cluster."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.transport.batch import BatchTopic
from tests.transport.harness import committed, fill, make_app, running, until
from tests.transport.mock_cluster import MockCluster


@pytest.fixture
def cluster():
    """One broker with ``events`` of four partitions."""
    cluster = MockCluster({"events": 4})
    yield cluster
    cluster.close()


def test_batches_of_several_partitions_come_together(cluster) -> None:
    """In one Faust message; each is acknowledged, and committed, for itself."""
    fill(cluster.bootstrap, "events", 4000, 4)

    async def run():
        app = make_app(cluster.bootstrap, batch_records=4000, drain_timeout_s=0.1)
        widest = seen = 0
        kept = []

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            nonlocal widest, seen
            async for batches in stream.noack():
                widest = max(widest, len({batch.partition for batch in batches}))
                for batch in batches:
                    seen += len(batch)
                    if batch.partition == 2:
                        kept.append(batch)
                    else:
                        batch.ack()
                if len(kept) == 1:
                    await asyncio.sleep(0.3)  # the next message gathers what comes meanwhile

        async with running(app):
            await until(lambda: seen == 4000)
        return widest, kept[0].first_offset

    widest, held_from = asyncio.run(run())
    assert widest > 1
    assert held_from == 0
    assert committed(cluster.bootstrap, 4) == [1000, 1000, None, 1000]


def test_large_records_are_taken_a_few_at_a_time(cluster) -> None:
    """What is taken at a time is bounded in bytes, too: the next read follows the last one's."""
    fill(cluster.bootstrap, "events", 64, 4, value=b"x" * 200_000)

    async def run():
        app = make_app(cluster.bootstrap, batch_records=1_000_000)
        seen = 0

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            nonlocal seen
            async for batches in stream.noack():
                for batch in batches:
                    seen += len(batch)
                    batch.ack()

        async with running(app):
            await until(lambda: seen == 64)
            return app.consumer.poller.records_at_a_time

    assert asyncio.run(run()) == 8 * 1024 * 1024 // 200_000
