"""Partial sequences of the assigned partitions, kept in a compacted topic for the next worker.

Law of the file: a snapshot is written only after every output that came from the events in it is
acknowledged, and an offset is committed only after the snapshots of the events before it are.
So whoever restores a snapshot may leave out the events that it includes: what they caused is
already out. Nothing is written for a scope that did not change.

Each record is one scope: its key the scope's name, its partition that of the events, its value
the packed scope, or null when the scope is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streamproc.engine.sequence_scope import Scope
from streamproc.engine.sequence_snapshots import SnapshotError, pack_scope, unpack_scope
from streamproc.engine.sequence_states import SequenceStates
from streamproc.errors import ConfigError
from streamproc.ops.counters import Counters, Partition
from streamproc.topics import SNAPSHOT_BYTES_MAX

logger = logging.getLogger(__name__)

# Seconds without any answer of the broker before a restore is given up.
READ_SILENCE_S = 60.0


class Snapshot(NamedTuple):
    """One record for the state topic."""

    partition: int
    scope: str
    value: bytes | None


class SequenceStore:
    """Writes and restores the sequence state of a worker.

    Args:
        states: The state itself.
        events_topic: Topic that the events come from.
        state_topic: The compacted topic; it has as many partitions as the events topic.
        client: librdkafka settings, ``bootstrap.servers`` among them.
        counters: Counted into.
    """

    def __init__(
        self,
        states: SequenceStates,
        events_topic: str,
        state_topic: str,
        client: Mapping[str, Any],
        counters: Counters,
    ) -> None:
        self._states = states
        self._events_topic = events_topic
        self._topic = state_topic
        self._client = dict(client)
        self._counters = counters
        self._lock = asyncio.Lock()

    async def restore(self, partitions: Iterable[Partition]) -> None:
        """Read the state of newly assigned partitions; the events wait meanwhile.

        Raises:
            ConfigError: The state topic or one of its partitions does not exist.
            KafkaException: It cannot be read.
        """
        numbers = sorted(number for topic, number in partitions if topic == self._events_topic)
        if not numbers:
            return
        started_s = time.monotonic()
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, self._read, numbers)
        restored = 0
        for number in numbers:
            scopes = self._unpack(found[number])
            self._states.restore((self._events_topic, number), scopes)
            restored += len(scopes)
        seconds = time.monotonic() - started_s
        self._counters.state_restores += 1
        self._counters.state_restore_seconds += seconds
        logger.info(
            "restored %d scopes of sequence state for %d partitions in %.2f s",
            restored, len(numbers), seconds,
        )  # fmt: skip

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in partitions:
            self._states.close(partition)

    async def write(
        self,
        partitions: Collection[Partition],
        producer: Any,
        outputs_delivered: Callable[[], Any],
    ) -> bool:
        """Queue the snapshots of what changed in some partitions.

        Args:
            partitions: Topic and number.
            producer: The app's producer.
            outputs_delivered: Awaitable that says whether all outputs so far are acknowledged.

        Returns:
            False when earlier outputs are not acknowledged; nothing is written then.
        """
        async with self._lock:
            # Packed at once, before anything is awaited: a later batch is in none of them.
            snapshots = self._pack(partitions)
            if not snapshots:
                return True
            if not await outputs_delivered():
                self._take_back(snapshots)
                return False
            for number, scope, value in snapshots:
                await producer.produce(self._topic, scope.encode(), value, (), number)
        return True

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Learn which offsets are committed: scopes that only remember theirs may go."""
        for partition, state in self._states.items():
            if partition in offsets:
                state.committed(offsets[partition])

    def _pack(self, partitions: Collection[Partition]) -> list[Snapshot]:
        snapshots = []
        for partition, state in self._states.items():
            if partition not in partitions:
                continue
            for name in state.changed:
                scope = state.scope(name)
                value = None if scope is None else pack_scope(scope)
                if value is not None and len(value) > SNAPSHOT_BYTES_MAX:
                    self._counters.state_errors["too_large"] += 1
                    logger.error(
                        "sequence state of %s is not kept: %d bytes, more than %d",
                        name, len(value), SNAPSHOT_BYTES_MAX,
                    )  # fmt: skip
                    continue
                snapshots.append(Snapshot(partition[1], name, value))
            state.changed.clear()
        return snapshots

    def _take_back(self, snapshots: list[Snapshot]) -> None:
        """Mark what was packed in vain as changed again."""
        for partition, state in self._states.items():
            names = {item.scope for item in snapshots if item.partition == partition[1]}
            state.changed |= names

    def _unpack(self, snapshots: Mapping[str, bytes]) -> dict[str, Scope]:
        scopes = {}
        for name, value in snapshots.items():
            try:
                scopes[name] = unpack_scope(value)
            except SnapshotError as error:
                self._counters.state_errors["unreadable"] += 1
                logger.error("sequence state of %s is lost: %s", name, error)
        return scopes

    def _read(self, numbers: list[int]) -> dict[int, dict[str, bytes]]:
        """Read partitions of the state topic from beginning to end (in a thread)."""
        consumer = Consumer(
            {
                "client.id": "streamproc-restore",
                **self._client,
                "group.id": "streamproc-restore",  # needed by librdkafka; never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            },
            logger=logging.getLogger("streamproc.kafka"),
        )
        found: dict[int, dict[str, bytes]] = {number: {} for number in numbers}
        try:
            self._check_topic(consumer, numbers)
            consumer.assign([TopicPartition(self._topic, n, OFFSET_BEGINNING) for n in numbers])
            left = set(numbers)
            heard_s = time.monotonic()
            while left:
                for message in consumer.consume(1_000, 1.0):
                    heard_s = time.monotonic()
                    _take(message, found, left)
                if time.monotonic() - heard_s > READ_SILENCE_S:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, self._topic))
        finally:
            consumer.close()
        return found

    def _check_topic(self, consumer: Any, numbers: list[int]) -> None:
        found = consumer.list_topics(self._topic, timeout=READ_SILENCE_S).topics[self._topic]
        missing = [str(number) for number in numbers if number not in found.partitions]
        if missing:
            raise ConfigError(
                f"topic {self._topic} (sequence_state_topic) has no partition"
                f" {', '.join(missing)}: sequence rules need one for each of"
                f" {self._events_topic}; create it with `streamproc topics create`"
            )


def _take(message: Any, found: dict[int, dict[str, bytes]], left: set[int]) -> None:
    error = message.error()
    if error is not None:
        if error.code() == KafkaError._PARTITION_EOF:
            left.discard(message.partition())
            return
        raise KafkaException(error)
    name = (message.key() or b"").decode("utf-8", "replace")
    scopes = found[message.partition()]
    value = message.value()
    if value is None:
        scopes.pop(name, None)
    else:
        scopes[name] = value
