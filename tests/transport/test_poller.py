"""Assignments on the mock cluster: brokers that go away in the middle, restores that take long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from streamproc.transport import starts
from streamproc.transport.poller import Poller
from tests.transport.harness import Store, collect, fill, make_app, starting, until
from tests.transport.mock_cluster import MockCluster


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """One broker with ``events`` of two partitions and ten records."""
    cluster = MockCluster({"events": 2})
    fill(cluster.bootstrap, "events", 10, 2)
    yield cluster
    cluster.close()


def test_brokers_that_go_away_before_the_offsets_are_known(cluster, monkeypatch) -> None:
    """The group has assigned, and nobody says where: the worker waits, ready only afterwards."""
    monkeypatch.setattr(starts, "TIMEOUT_S", 0.3)
    monkeypatch.setattr("streamproc.ops.health.SILENCE_S", 1.0)
    assigned = threading.Event()
    on_assign = Poller._on_assign

    def go_away(self, consumer, partitions) -> None:
        if not assigned.is_set():
            cluster.down()
            assigned.set()
        on_assign(self, consumer, partitions)

    monkeypatch.setattr(Poller, "_on_assign", go_away)

    async def run() -> None:
        app = make_app(cluster.bootstrap)
        health, counters = app.streamproc_options.health, app.streamproc_options.counters
        seen = collect(app)
        async with starting(app):
            await until(assigned.is_set)
            await until(lambda: sum(counters.kafka_errors.values()) > 5)
            await until(lambda: {"brokers", "partitions"} <= health.unready())
            assert health.is_live()
            assert not app.crashed
            cluster.up()
            await until(lambda: len(seen) == 10 and not health.unready())

    asyncio.run(run())


def test_errors_in_the_middle_of_an_assignment(cluster) -> None:
    """Callbacks that the poll thread makes beside the assignment: they once ended the process."""

    async def run() -> None:
        store = Store()
        app = make_app(cluster.bootstrap, store=store)
        counters = app.streamproc_options.counters
        seen = collect(app)
        async with starting(app):
            await until(lambda: store.restores)
            before = counters.kafka_errors.copy()
            cluster.down()
            await asyncio.sleep(0.5)
            cluster.up()
            store.goes_on.set()
            await until(lambda: counters.kafka_errors != before)
            await until(lambda: len(seen) == 10)

    asyncio.run(run())


def test_a_stop_does_not_wait_for_a_restore(cluster) -> None:
    """What is stopped before it has taken over hands out nothing."""

    async def run() -> tuple[Store, dict]:
        store = Store()
        app = make_app(cluster.bootstrap, store=store)
        seen = collect(app)
        async with starting(app):
            await until(lambda: store.restores)
        return store, seen

    store, seen = asyncio.run(run())
    assert (store.restores, store.cancelled) == (1, 1)
    assert not seen
