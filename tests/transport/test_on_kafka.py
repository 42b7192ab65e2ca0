"""What the mock cluster cannot show: rebalances with commits, deletion, on a real broker."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from confluent_kafka import TopicPartition

from tests.transport.harness import (
    Store,
    collect,
    commit,
    committed,
    fill,
    make_app,
    running,
    starting,
    until,
)

SESSION_S = 30.0  # who leaves says so


@pytest.fixture
def group() -> str:
    """A consumer group of the test's own."""
    return f"group-{uuid.uuid4().hex[:8]}"


def test_a_rebalance_commits_first_and_repeats_nothing(kafka, group) -> None:
    """Commit on revoke: with no other commit at all, the next owner starts behind what is done."""
    topic = kafka.create_topic("events", partitions=4)

    async def run():
        # Only revocations and stops commit.
        conf = {"broker_commit_interval": 3600.0}
        apps = [
            make_app(kafka.bootstrap, group=group, session_s=SESSION_S, conf=conf) for _ in range(2)
        ]
        seen = [collect(app, topic) for app in apps]
        async with running(apps[0]):
            fill(kafka.bootstrap, topic, 4000, 4)
            await until(lambda: len(seen[0]) == 4000)
            async with running(apps[1]):
                await until(lambda: [len(app.consumer.assignment()) for app in apps] == [2, 2])
                fill(kafka.bootstrap, topic, 4000, 4)
                await until(lambda: len(seen[0] | seen[1]) == 8000)
            await until(lambda: len(apps[0].consumer.assignment()) == 4)
            fill(kafka.bootstrap, topic, 400, 4)
            await until(lambda: len(seen[0] | seen[1]) == 8400)
        return seen[0] + seen[1], [app.streamproc_options.counters for app in apps]

    seen, counters = asyncio.run(run())
    assert set(seen.values()) == {1}
    assert committed(kafka.bootstrap, 4, topic, group) == [2100] * 4
    assert not counters[0].commit_failures
    assert not counters[1].commit_failures


def test_deleted_records_are_counted_as_lost(kafka, group, caplog) -> None:
    """Records deleted while the worker was away: counted exactly, and named in an ERROR."""
    topic = kafka.create_topic("events", partitions=1)

    async def run(expected: int):
        app = make_app(kafka.bootstrap, group=group, session_s=SESSION_S)
        seen = collect(app, topic)
        async with running(app):
            await until(lambda: len(seen) == expected)
            if expected != 100:
                await until(lambda: app.streamproc_options.counters.records_lost)
        return app.streamproc_options.counters

    fill(kafka.bootstrap, topic, 100, 1)
    asyncio.run(run(100))
    fill(kafka.bootstrap, topic, 300, 1)
    deleted = kafka.admin.delete_records([TopicPartition(topic, 0, 250)])
    assert next(iter(deleted.values())).result(30).low_watermark == 250
    counters = asyncio.run(run(150))
    assert counters.records_lost == {(topic, 0): 150}
    assert "offsets 100 to 249; reading on from 250" in caplog.text
    assert committed(kafka.bootstrap, 1, topic, group) == [400]


def test_a_committed_offset_beyond_the_end_is_loud(kafka, group, caplog) -> None:
    """As after a topic was truncated: read from the beginning, commits go on below the old one."""
    topic = kafka.create_topic("events", partitions=1)
    fill(kafka.bootstrap, topic, 40, 1)
    commit(kafka.bootstrap, {0: 100}, topic, group)

    async def run():
        app = make_app(kafka.bootstrap, group=group, session_s=SESSION_S)
        seen = collect(app, topic)
        async with running(app):
            await until(lambda: len(seen) == 40)

    asyncio.run(run())
    assert "the committed offset 100 is beyond the end" in caplog.text
    assert committed(kafka.bootstrap, 1, topic, group) == [40]


def test_partitions_can_be_taken_away_before_their_state_is_restored(kafka, group) -> None:
    """A restore that takes for ever keeps its worker in the group, and others from nothing."""
    topic = kafka.create_topic("events", partitions=4)
    fill(kafka.bootstrap, topic, 400, 4)

    async def run() -> tuple[list, Store]:
        store = Store()
        apps = [make_app(kafka.bootstrap, group=group, session_s=SESSION_S, store=store)]
        apps.append(make_app(kafka.bootstrap, group=group, session_s=SESSION_S))
        seen = [collect(app, topic) for app in apps]
        async with starting(apps[0]):
            await until(lambda: store.restores == 1)
            async with running(apps[1]):
                await until(lambda: store.restores == 2)
                await until(lambda: len(seen[1]) == 200)
                assert not seen[0]
                store.goes_on.set()
                await until(lambda: len(seen[0]) == 200)
        return seen, store

    seen, store = asyncio.run(run())
    assert set((seen[0] + seen[1]).values()) == {1}
    assert store.cancelled == 1
