"""The Consumer in a real Faust app on the mock cluster: hand-over, acknowledgement, commits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

import pytest
from faust.types import TP

from streamproc.errors import ConfigError
from streamproc.transport.batch import BatchTopic, each_batch
from streamproc.transport.faults import DeliveryPendingError
from tests.transport.harness import (
    DEADLINE_S,
    collect,
    commit,
    committed,
    fill,
    make_app,
    running,
    until,
    watermarks,
)
from tests.transport.mock_cluster import OFFSET_COMMIT, PRODUCE, MockCluster

MESSAGE_SIZE_TOO_LARGE, REBALANCE_IN_PROGRESS, GROUP_AUTHORIZATION_FAILED = 10, 27, 30
OFFSET_METADATA_TOO_LARGE = 12


@pytest.fixture
def cluster():
    """One broker with ``events`` (4 partitions), ``one`` and ``alerts`` (1 each)."""
    cluster = MockCluster({"events": 4, "one": 1, "alerts": 1})
    yield cluster
    cluster.close()


def test_every_record_is_seen_once_and_committed(cluster) -> None:
    """20,000 records of four partitions: all seen, once; commit and counters at the end."""
    fill(cluster.bootstrap, "events", 20_000, 4)

    async def run():
        app = make_app(cluster.bootstrap, session_s=30)
        seen = collect(app, output="alerts")
        counters = app.streamproc_options.counters
        async with running(app):
            await until(lambda: len(seen) == 20_000)
            await until(lambda: all(lag.end == 5000 for lag in counters.partitions.values()))
        return seen, counters

    seen, counters = asyncio.run(run())
    assert set(seen.values()) == {1}
    assert committed(cluster.bootstrap, 4) == [5000] * 4
    assert counters.records_consumed == {("events", number): 5000 for number in range(4)}
    assert counters.record_bytes == {"events": 40_000}
    assert counters.rebalances == {"assigned": 1}
    assert sum(counters.records_produced.values()) == 0 or counters.records_produced["alerts"] > 0
    assert {lag.position for lag in counters.partitions.values()} == {5000}
    assert not counters.records_lost


def test_a_restart_goes_on_at_the_committed_offset(cluster) -> None:
    """What was committed is not read again."""

    async def run():
        app = make_app(cluster.bootstrap)
        seen = collect(app)
        async with running(app):
            await until(lambda: len(seen) == 4)
        return seen

    fill(cluster.bootstrap, "events", 4, 4)
    asyncio.run(run())
    fill(cluster.bootstrap, "events", 4, 4)
    assert asyncio.run(run()) == {(number, 1): 1 for number in range(4)}


@pytest.mark.parametrize(("reset", "expected"), [("earliest", {0, 1, 2}), ("latest", {2})])
def test_a_new_group_starts_where_the_setting_says(cluster, reset, expected) -> None:
    """Earliest by default; with latest, only what comes after the start."""
    fill(cluster.bootstrap, "one", 2, 1)

    async def run():
        app = make_app(cluster.bootstrap, conf={"consumer_auto_offset_reset": reset})
        seen = collect(app, "one")
        async with running(app):
            # The end is known once the partition is being fetched, at the end when "latest".
            lags = app.streamproc_options.counters.partitions
            await until(lambda: lags_known(app))
            assert lags is not None
            fill(cluster.bootstrap, "one", 1, 1)
            await until(lambda: (0, 2) in seen)
        return seen

    assert {offset for _, offset in asyncio.run(run())} == expected


def lags_known(app) -> bool:
    lags = app.streamproc_options.counters.partitions
    return bool(lags) and all(lag.records() == 0 for lag in lags.values())


def test_nothing_is_committed_past_a_batch_in_flight(cluster) -> None:
    """One batch of partition 0 is never acknowledged: its partition stays, the others go on."""
    fill(cluster.bootstrap, "events", 8000, 4)

    async def run():
        app = make_app(cluster.bootstrap, batch_records=100, drain_timeout_s=0.1)
        seen, kept = set(), []

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                seen.update((batch.partition, batch.record(i).offset) for i in range(len(batch)))
                if batch.partition == 0 and batch.first_offset >= 1000 and not kept:
                    kept.append(batch)
                else:
                    batch.ack()

        async with running(app):
            await until(lambda: len(seen) == 8000)
            assert app.streamproc_options.health.oldest_batch_at_s() is not None
        return kept[0].first_offset

    held_from = asyncio.run(run())
    assert committed(cluster.bootstrap, 4) == [held_from, 2000, 2000, 2000]


def test_batches_in_flight_are_bounded(cluster) -> None:
    """An agent that acknowledges nothing gets no more than the limit."""
    fill(cluster.bootstrap, "events", 4000, 4)

    async def run():
        app = make_app(
            cluster.bootstrap, batch_records=10, batches_in_flight=3, drain_timeout_s=0.1
        )
        got = []

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                got.append(batch)

        async with running(app):
            await until(lambda: len(got) >= 3)
            await asyncio.sleep(0.5)
            # One consume() answer may be cut into a batch for each partition.
            assert len(got) <= 3 + 4
            for batch in got:
                batch.ack()
            count = len(got)
            await until(lambda: len(got) > count)

    asyncio.run(run())


def test_a_failed_delivery_stops_commits_and_crashes(cluster, caplog) -> None:
    """The broker refuses an alert: no offset is committed, the worker goes down."""
    fill(cluster.bootstrap, "events", 400, 4)

    async def run():
        app = make_app(cluster.bootstrap)
        collect(app, output="alerts")
        cluster.refuse(PRODUCE, *[MESSAGE_SIZE_TOO_LARGE] * 20)
        await app.start()
        await until(lambda: app.crashed)
        await app.stop()
        return app.streamproc_options.counters

    counters = asyncio.run(run())
    assert committed(cluster.bootstrap, 4) == [None] * 4
    assert counters.produce_errors["alerts", "other"] > 0
    assert "the broker refused an output for alerts" in caplog.text


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (REBALANCE_IN_PROGRESS, "rebalance"),
        (GROUP_AUTHORIZATION_FAILED, "authorization"),
    ],
)
def test_a_refused_commit_is_repeated(cluster, code, reason) -> None:
    """The offsets are committed at a later try, and the failure is counted."""
    fill(cluster.bootstrap, "events", 400, 4)

    async def run():
        app = make_app(cluster.bootstrap)
        seen = collect(app)
        cluster.refuse(OFFSET_COMMIT, code)
        async with running(app):
            await until(lambda: len(seen) == 400)
            await until(lambda: app.streamproc_options.counters.commit_failures)
            await until(lambda: set(app.consumer._committed_offset.values()) == {100})
        return app.streamproc_options.counters

    counters = asyncio.run(run())
    assert counters.commit_failures[reason] >= 1
    assert committed(cluster.bootstrap, 4) == [100] * 4


def test_a_commit_that_nobody_may_make_crashes(cluster, caplog) -> None:
    """An error that no repetition heals ends the worker."""
    fill(cluster.bootstrap, "events", 4, 4)

    async def run():
        app = make_app(cluster.bootstrap)
        collect(app)
        cluster.refuse(OFFSET_COMMIT, *[OFFSET_METADATA_TOO_LARGE] * 5)
        await app.start()
        await until(lambda: app.crashed)
        await app.stop()
        return app.streamproc_options.counters

    counters = asyncio.run(run())
    assert counters.commit_failures["other"] >= 1
    assert caplog.text.count("Crashed reason") == 1
    assert committed(cluster.bootstrap, 4) == [None] * 4


def test_work_without_commits_is_bounded(cluster) -> None:
    """While outputs stay unacknowledged, hand-over ends after the stated time, then goes on."""
    fill(cluster.bootstrap, "events", 8000, 4)

    async def run():
        app = make_app(cluster.bootstrap, batch_records=1, commit_stall_max_s=0.2, session_s=30)
        seen = Counter()
        confirm = type(app.producer).confirm
        stuck = True

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                seen.update((batch.partition, batch.record(i).offset) for i in range(len(batch)))
                batch.ack()
                if stuck:  # all of them would take many times longer than it takes to stall
                    await asyncio.sleep(0.002)

        async def pending():
            if stuck:
                raise DeliveryPendingError("test")
            await confirm(app.producer)

        app.producer.confirm = pending
        async with running(app):
            await until(app.consumer.commit_stalled)
            assert await at_rest(lambda: len(seen)) < 8000
            stuck = False
            await until(lambda: len(seen) == 8000)
        return app.streamproc_options.counters

    counters = asyncio.run(run())
    assert counters.commit_failures["outputs_pending"] > 0
    assert committed(cluster.bootstrap, 4) == [2000] * 4


async def at_rest(count: Callable[[], int]) -> int:
    """Wait until a number does not change any more, and return it."""
    end = time.monotonic() + DEADLINE_S
    before, now = -1, count()
    while now != before:
        assert time.monotonic() < end, "it goes on"
        await asyncio.sleep(1.0)
        before, now = now, count()
    return now


def test_records_lost_to_retention_are_counted(cluster, caplog) -> None:
    """The committed offset fell behind the low watermark: ERROR, counter, on from what is left."""
    commit(cluster.bootstrap, {0: 10}, "one")
    fill(cluster.bootstrap, "one", 8000, 1, value=b"x" * 1500)
    low, high = watermarks(cluster.bootstrap, 0, "one")
    assert low > 10

    async def run():
        app = make_app(cluster.bootstrap, session_s=30)
        seen = collect(app, "one")
        counters = app.streamproc_options.counters
        async with running(app):
            await until(lambda: len(seen) == high - low)
            await until(lambda: counters.records_lost)
        return counters

    counters = asyncio.run(run())
    assert counters.records_lost == {("one", 0): low - 10}
    assert f"one[0]: {low - 10} records were deleted" in caplog.text
    assert committed(cluster.bootstrap, 1, "one") == [high]


def test_a_committed_offset_beyond_the_end_starts_anew(cluster, caplog) -> None:
    """The topic was recreated: everything in it is read, and commits go on below the old one."""
    commit(cluster.bootstrap, {0: 99_999}, "one")
    fill(cluster.bootstrap, "one", 2000, 1)

    async def run():
        app = make_app(cluster.bootstrap, batch_records=100, session_s=30)
        seen = collect(app, "one")
        async with running(app):
            await until(lambda: len(seen) == 2000)
        return seen

    assert set(asyncio.run(run()).values()) == {1}
    assert "one[0]: the committed offset 99999 is beyond the end" in caplog.text
    assert committed(cluster.bootstrap, 1, "one") == [2000]


def test_ordinary_topics_give_single_records(cluster) -> None:
    """A plain agent in the same app gets values, headers and keys, and is committed too."""
    fill(cluster.bootstrap, "events", 40, 4)
    fill(cluster.bootstrap, "one", 300, 1, value=b'{"a": 1}')

    async def run():
        app = make_app(cluster.bootstrap, session_s=30)
        seen = collect(app)
        values = []

        @app.agent(app.topic("one"))
        async def plain(stream):
            async for value in stream:
                values.append(value)

        async with running(app):
            await until(lambda: len(values) == 300 and len(seen) == 40)
        return values

    assert asyncio.run(run()) == [{"a": 1}] * 300
    assert committed(cluster.bootstrap, 1, "one") == [300]
    assert committed(cluster.bootstrap, 4) == [10] * 4


def test_a_topic_cannot_be_read_both_ways(cluster) -> None:
    """The message of a batch carries no single value for a plain agent."""

    async def run():
        app = make_app(cluster.bootstrap)
        collect(app, "one")

        @app.agent(app.topic("one"))
        async def plain(stream):
            async for _ in stream:
                pass

        await app.start()
        await until(lambda: app.topics.crashed or app.crashed)
        reason = app.topics.crash_reason or app.crash_reason
        await app.stop()
        return reason

    assert isinstance(asyncio.run(run()), ConfigError)


def test_a_paused_partition_loses_nothing(cluster) -> None:
    """Records read before the pause are handed over first, after it."""
    fill(cluster.bootstrap, "one", 3000, 1)

    async def run():
        app = make_app(cluster.bootstrap, batch_records=10, session_s=30)
        order = []

        @app.agent(BatchTopic(app, topics=["one"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                order.extend(batch.record(i).offset for i in range(len(batch)))
                batch.ack()

        async with running(app):
            for _ in range(5):
                await until(lambda: order)
                app.consumer.pause_partitions([TP("one", 0)])
                await asyncio.sleep(0.05)
                app.consumer.resume_partitions([TP("one", 0)])
            await until(lambda: len(order) >= 3000)
        return order

    assert asyncio.run(run()) == list(range(3000))


def test_two_workers_share_the_partitions(cluster, caplog) -> None:
    """A second worker takes half, and gives it back; nothing is left out."""
    caplog.set_level(logging.INFO)
    fill(cluster.bootstrap, "events", 4000, 4)

    async def run():
        first, second = make_app(cluster.bootstrap), make_app(cluster.bootstrap)
        seen = [collect(first), collect(second)]
        async with running(first):
            await until(lambda: len(seen[0]) == 4000)
            async with running(second):
                await until(lambda: len(first.consumer.assignment()) == 2)
                await until(lambda: len(second.consumer.assignment()) == 2)
                fill(cluster.bootstrap, "events", 4000, 4)
                await until(lambda: len(seen[0] | seen[1]) == 8000)
            assert len(seen[1]) >= 2000
            await until(lambda: len(first.consumer.assignment()) == 4)
            fill(cluster.bootstrap, "events", 400, 4)
            await until(lambda: len(seen[0] | seen[1]) == 8400)
        return first.streamproc_options.counters, seen

    counters, _ = asyncio.run(run())
    assert counters.rebalances["revoked"] >= 2
    assert len(counters.partitions) == 4
    assert committed(cluster.bootstrap, 4) == [2100] * 4


def test_a_table_is_recovered_from_its_changelog() -> None:
    """Faust's tables work: state written by one worker is there in the next."""
    cluster = MockCluster({"events": 2, "group-counts-changelog": 2})

    async def run(expected: int):
        app = make_app(cluster.bootstrap)
        counts = app.Table("counts", default=int, partitions=2, key_type=str, value_type=int)

        @app.agent(BatchTopic(app, topics=["events"], partitions=2))
        async def detect(stream):
            async for batch in each_batch(stream):
                counts[str(batch.partition)] += len(batch)
                batch.ack()

        async with running(app):
            await until(lambda: sum(counts.values()) == expected)
            return dict(counts)

    fill(cluster.bootstrap, "events", 200, 2)
    assert asyncio.run(run(200)) == {"0": 100, "1": 100}
    fill(cluster.bootstrap, "events", 50, 2)
    assert asyncio.run(run(250)) == {"0": 125, "1": 125}
    cluster.close()


def test_exactly_once_is_refused(cluster) -> None:
    """Faust's own has known faults, and ours is at least once."""

    async def run():
        app = make_app(cluster.bootstrap, conf={"processing_guarantee": "exactly_once"})
        with pytest.raises(ConfigError, match="exactly_once"):
            _ = app.consumer

    asyncio.run(run())
