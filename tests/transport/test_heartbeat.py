"""The heartbeat of a worker: a blocked loop, positions, ends; on the mock cluster."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import confluent_kafka
import pytest
from confluent_kafka import TopicPartition

from streamproc.ops.collector import StreamprocCollector, metrics_registry
from streamproc.ops.counters import Counters
from streamproc.ops.facts import RuleFacts, WorkerFacts
from streamproc.ops.health import Health
from streamproc.ops.metrics import serve_metrics
from streamproc.ops.pages import health_pages
from streamproc.transport.batch import BatchTopic, each_batch
from streamproc.transport.broker_errors import TOPICS
from tests.transport.harness import DEADLINE_S, client, collect, fill, make_app, running, until
from tests.transport.mock_cluster import MockCluster


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster({"events": 2})
    yield cluster
    cluster.close()


def status_of(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_blocked_loop_is_seen_from_outside(cluster) -> None:
    """/livez says no while /metrics still answers; and yes again when the loop goes on."""
    counters, health = Counters(), Health(stuck_s=1.0)
    facts = WorkerFacts("1", "d", (RuleFacts("r", "R", "low"),))
    collector = StreamprocCollector(counters, facts, unready=health.unready)
    pages = health_pages(counters, health, collector)
    server = serve_metrics("127.0.0.1", 0, metrics_registry(collector), pages)
    seen = threading.Event()
    answers: list[int] = []

    def look() -> None:
        end = time.monotonic() + DEADLINE_S
        while status_of(server.port, "/livez") != 503 and time.monotonic() < end:
            time.sleep(0.05)
        answers.append(status_of(server.port, "/livez"))
        answers.append(status_of(server.port, "/metrics"))
        seen.set()

    async def run() -> int:
        app = make_app(cluster.bootstrap, counters=counters, health=health)

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                seen.wait(DEADLINE_S)  # blocks the loop, as a rule that never ends would
                batch.ack()

        async with running(app):
            looker = threading.Thread(target=look)
            looker.start()
            fill(cluster.bootstrap, "events", 1, 1)
            await until(seen.is_set)
            looker.join()
            await until(lambda: status_of(server.port, "/livez") == 200)
            return counters.loop_lag_s

    lag_s = asyncio.run(run())
    server.close()

    assert answers == [503, 200]
    assert lag_s > 0.25  # blocked for a second at least, of which a beat waits for half anyhow


def test_lag_is_what_a_witness_says(cluster) -> None:
    """End of the partition less the committed offset, of a busy partition and of an idle one."""
    fill(cluster.bootstrap, "events", 1_000, 1)  # partition 0 alone

    async def run() -> tuple[list, list]:
        app = make_app(cluster.bootstrap, batch_records=10)
        counters = app.streamproc_options.counters
        held = []

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                if batch.next_offset > 500:
                    held.append(batch)  # and all that follows
                if not held:
                    batch.ack()

        def lags() -> list:
            return [counters.partitions["events", number].records() for number in (0, 1)]

        def witness() -> list:
            consumer = client(cluster.bootstrap)
            places = [TopicPartition("events", number) for number in (0, 1)]
            ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
            done = [max(place.offset, 0) for place in consumer.committed(places, timeout=30)]
            consumer.close()
            return [end - at for end, at in zip(ends, done, strict=True)]

        async with running(app):
            await until(lambda: held)
            await until(lambda: len(counters.partitions) == 2)
            fill(cluster.bootstrap, "events", 70, 1)
            await until(lambda: lags() == witness())
            found = lags(), witness()
            seconds = [counters.partitions["events", n].seconds(time.time()) for n in (0, 1)]
            assert seconds[0] > 0
            assert seconds[1] == 0
        return found

    lags, witness = asyncio.run(run())

    assert lags == witness
    assert lags[0] >= 70
    assert lags[1] == 0


def test_a_worker_without_brokers_is_alive_and_not_ready(cluster) -> None:
    """Down: no restart would help. Up again: it goes on by itself."""

    async def run() -> None:
        app = make_app(cluster.bootstrap)
        health = app.streamproc_options.health
        seen = collect(app)
        async with running(app):
            fill(cluster.bootstrap, "events", 10, 2)
            await until(lambda: len(seen) == 10)
            await until(lambda: not health.unready())
            cluster.down()
            await until(lambda: "brokers" in health.unready())
            assert health.is_live()
            cluster.up()
            await until(lambda: not health.unready())
            fill(cluster.bootstrap, "events", 10, 2)
            await until(lambda: len(seen) == 20)

    asyncio.run(run())


def test_markers_of_transactions_are_no_lag(kafka) -> None:
    """The end of the partition lies behind a marker that nobody can read: caught up all the same.

    Time passes there too, or what waits in sequences would wait for ever.
    """
    topic = kafka.create_topic("events", partitions=2)
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": topic}
    )
    producer.init_transactions(60)
    producer.begin_transaction()
    for _ in range(5):
        producer.produce(topic, b"{}", partition=0)
    producer.commit_transaction(60)

    async def run() -> tuple[list, list]:
        app = make_app(kafka.bootstrap, group=f"group-{topic}")
        counters = app.streamproc_options.counters
        seen = collect(app, topic)

        def lags() -> list:
            return [counters.partitions[topic, number].records() for number in (0, 1)]

        async with running(app):
            await until(lambda: len(seen) == 5)
            await until(lambda: len(counters.partitions) == 2 and lags() == [0, 0])
            ends = [counters.partitions[topic, number].end for number in (0, 1)]
            read = [app.consumer.is_read_to((topic, number), ends[number]) for number in (0, 1)]
        return ends, read

    ends, read = asyncio.run(run())

    assert ends == [6, 0]
    assert read == [True, True]


def test_what_is_refused_is_waited_for(cluster) -> None:
    """A worker without the right to read stands still through no fault of its own."""
    health = Health()

    async def run() -> list[bool]:
        app = make_app(cluster.bootstrap, health=health)
        collect(app)
        errors = app.streamproc_options.broker_errors
        async with running(app):
            heartbeat = app.consumer._heartbeat
            await until(lambda: not health.unready() and not heartbeat._waits())
            errors.lacks("no right to READ on topic events")
            heartbeat._waits()  # sees that an error is new
            while_refused = heartbeat._waits()
            errors.worked(TOPICS)
            return [while_refused, heartbeat._waits()]

    assert asyncio.run(run()) == [True, False]
