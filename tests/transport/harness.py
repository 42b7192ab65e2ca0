"""A Faust app on the mock cluster, inside the test's own event loop, and plain Kafka clients."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import faust
from confluent_kafka import TopicPartition

from streamproc.transport.batch import BatchTopic, each_batch
from streamproc.transport.options import TransportOptions
from streamproc.transport.producer import Outgoing

GROUP = "group"
DEADLINE_S = 120.0
DATA_FOLDER = Path(tempfile.mkdtemp(prefix="streamproc-tests-"))  # Faust makes one, and leaves it
atexit.register(shutil.rmtree, DATA_FOLDER, ignore_errors=True)


def make_app(
    bootstrap: str,
    *,
    conf: dict[str, Any] | None = None,
    group: str = GROUP,
    session_s: float = 2.0,
    **options: Any,
) -> faust.App:
    """A worker's app: quick commits, no web server, and a process that cannot be ended.

    The mock cluster takes no notice of a member that leaves: its session has to expire before the
    next one has the partitions. Where there is no next one, or a real broker, a long session keeps
    a slow machine's worker from being taken for dead, and its records from being read twice.
    """
    options.setdefault("tune_gc", False)
    options.setdefault("terminate", lambda code: None)
    settings: dict[str, Any] = {
        "broker": f"streamproc://{bootstrap}",
        "broker_commit_interval": 0.1,
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": 0.3,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "web_enabled": False,
        "store": "memory://",
        "datadir": str(DATA_FOLDER),
        **(conf or {}),
    }
    app = faust.App(group, **settings)
    app.streamproc_options = TransportOptions(**options)
    # Faust gives agents and tables a second to register; here they are there already.
    app.tables.sleep = lambda seconds: asyncio.sleep(min(seconds, 0.01))
    return app


def collect(app: faust.App, topic: str = "events", *, output: str | None = None) -> Counter:
    """An agent that acknowledges everything; returns how often each offset was seen."""
    seen: Counter[tuple[int, int]] = Counter()

    @app.agent(BatchTopic(app, topics=[topic]), name=f"collect-{topic}")
    async def detect(stream):
        async for batch in each_batch(stream):
            seen.update((batch.partition, batch.record(i).offset) for i in range(len(batch)))
            if output is not None:
                await app.producer.produce(Outgoing(output, b"key", b"value"))
            batch.ack()

    return seen


class Store:
    """Sequence state that is restored when the test says so; else nothing of it."""

    def __init__(self) -> None:
        self.restores = 0
        self.cancelled = 0
        self.goes_on = asyncio.Event()

    async def restore(self, partitions) -> None:
        self.restores += 1
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def give_up(self, partitions) -> None:
        """Nothing is kept."""

    def is_due(self) -> bool:
        return True

    async def write(self, partitions, producer, outputs_delivered) -> bool:
        return True

    def committed(self, offsets) -> None:
        """Nothing is kept."""


@asynccontextmanager
async def running(app: faust.App):
    """Start and stop the app."""
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


@asynccontextmanager
async def starting(app: faust.App):
    """Start the app in the background: Faust's start waits for the first assignment; stop it."""
    start = asyncio.ensure_future(app.start())
    try:
        yield app
    finally:
        await app.stop()
        start.cancel()
        await asyncio.wait([start])


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to become true; fail when it never does."""
    end = time.monotonic() + DEADLINE_S
    while not (result := condition()):
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)
    return result


def fill(bootstrap: str, topic: str, records: int, partitions: int, value: bytes = b"{}") -> None:
    """Produce ``records`` values, evenly over the partitions."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for number in range(records):
        producer.produce(topic, value, partition=number % partitions)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(DEADLINE_S) == 0


def client(bootstrap: str, group: str = GROUP) -> confluent_kafka.Consumer:
    return confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    )


def committed(
    bootstrap: str, partitions: int, topic: str = "events", group: str = GROUP
) -> list[int | None]:
    """What the group has committed in each partition; None for nothing."""
    consumer = client(bootstrap, group)
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found = [place.offset for place in consumer.committed(places, timeout=30)]
    consumer.close()
    return [offset if offset >= 0 else None for offset in found]


def commit(
    bootstrap: str, offsets: dict[int, int], topic: str = "events", group: str = GROUP
) -> None:
    """Commit for the group from outside."""
    consumer = client(bootstrap, group)
    places = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def watermarks(bootstrap: str, partition: int, topic: str = "events") -> tuple[int, int]:
    consumer = client(bootstrap)
    found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    consumer.close()
    return found


def read_all(bootstrap: str, topic: str, partitions: int) -> list[confluent_kafka.Message]:
    """Every record of a topic."""
    consumer = client(bootstrap, group="reader")
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
    consumer.assign(places)
    messages: list[confluent_kafka.Message] = []
    while len(messages) < sum(ends):
        messages += [m for m in consumer.consume(1000, 1.0) if m.error() is None]
    consumer.close()
    return messages
