"""Partial sequences of the assigned partitions, kept in a compacted topic for the next worker.

Law of the file: a snapshot is written only after every output that came from the events in it is
acknowledged, and an offset is committed only after the snapshots of the events before it are.
So whoever restores a snapshot may leave out the events that it includes: what they caused is
already out. Nothing is written for a scope that did not change.

Each record is one scope: its key names the consumer group and the scope, its partition is that of
the events, its value the packed scope, or null when the scope is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streamproc.engine.sequence_scope import Scope
from streamproc.engine.sequence_snapshots import SnapshotError, pack_scope, unpack_scope
from streamproc.engine.sequence_states import SequenceStates
from streamproc.engine.sequences import PartitionSequences
from streamproc.errors import ConfigError
from streamproc.ops.counters import Counters, Partition
from streamproc.refusals import refusal_of
from streamproc.topics import SNAPSHOT_BYTES_MAX
from streamproc.transport.faults import NO_TOPIC, Verdict, commit_verdict
from streamproc.transport.producer import Outgoing
from streamproc.transport.state_sizes import StateSizes

logger = logging.getLogger(__name__)

# Seconds without any answer of the broker before a restore begins again with a new client.
READ_SILENCE_S = 30.0
RETRY_PAUSE_S = 1.0
ASK_TIMEOUT_S = 5.0
# How long a read waits for more: short, for the last record is not followed by another.
READ_PAUSE_S = 0.05
OFFSET_HEADER = "offset"
# Single-event alerts wait for so long at most while snapshots are packed.
PACK_SLICE_S = 0.02
# How long a write waits for outputs that wait for room in the producer's queue.
SETTLE_TIMEOUT_S = 5.0
SETTLE_PAUSE_S = 0.005


class StateTopic(NamedTuple):
    """Where the state is kept, and whose it is.

    Attributes:
        name: The compacted topic; it has as many partitions as the events topic.
        events: Topic that the events come from.
        group: Consumer group; another one that reads the same events has a state of its own.
    """

    name: str
    events: str
    group: str


class Snapshot(NamedTuple):
    """One record for the state topic, and the state that it was taken of."""

    state: PartitionSequences
    partition: Partition
    scope: str
    offset: int
    value: bytes | None


class Kept(NamedTuple):
    """A snapshot as it was read: the last input offset that it includes, and its value."""

    offset: int
    value: bytes


class SequenceStore:
    """Writes and restores the sequence state of a worker.

    Args:
        states: The state itself.
        topic: Where it is kept.
        client: librdkafka settings, ``bootstrap.servers`` among them.
        counters: Counted into.
        interval_s: Seconds between two writes: a scope that changes all the time is written whole
            each time.
        clock: Monotonic seconds; replaced in tests.
        is_used: Whether there are sequence rules. Without, the topic need not exist and is not
            read; ``begin`` brings the store into use later.

    Attributes:
        is_used: As above. Once true, it stays true while the worker runs.
    """

    def __init__(
        self,
        states: SequenceStates,
        topic: StateTopic,
        client: Mapping[str, Any],
        counters: Counters,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_used: bool = True,
    ) -> None:
        self.is_used = is_used
        self._states = states
        self._topic = topic
        self._client = client  # a password in it may change
        self._counters = counters
        self._sizes = StateSizes(counters)
        self._interval_s = interval_s
        self._clock = clock
        self._written_s = clock()
        self._lock = asyncio.Lock()

    async def restore(self, partitions: Iterable[Partition]) -> None:
        """Read the state of newly assigned partitions; the events wait meanwhile.

        While brokers are away it asks them again and again, until it is cancelled.

        Raises:
            ConfigError: The state topic or one of its partitions does not exist.
            KafkaException: It cannot be read, and no repetition would mend that.
        """
        numbers = self._numbers(partitions) if self.is_used else []
        if not numbers:
            return
        started_s = time.monotonic()
        found = await self._read_aside(numbers, repeats=True)
        restored = 0
        for number in numbers:
            scopes = self._unpack(found[number])
            place = (self._topic.events, number)
            self._states.restore(place, scopes)
            kept = found[number]
            self._sizes.replace(place, {name: len(kept[name].value) for name in scopes})
            restored += len(scopes)
        seconds = time.monotonic() - started_s
        self._counters.state_restore.observe(seconds)
        logger.info(
            "restored %d scopes of sequence state for %d partitions in %.2f s",
            restored, len(numbers), seconds,
        )  # fmt: skip

    async def begin(self, partitions: Callable[[], Iterable[Partition]]) -> None:
        """Be in use from now on: the first sequence rules are about to be put in force.

        What an earlier time has left in the topic knows nothing of the events since: it is removed
        with the next write, not restored.

        Args:
            partitions: Returns the partitions that are assigned at the moment.

        Raises:
            ConfigError: The state topic or one of its partitions does not exist.
            KafkaException: It cannot be read.
        """
        if self.is_used:
            return
        self.is_used = True  # so that what is assigned meanwhile is restored
        try:
            numbers = self._numbers(partitions())
            found = await self._read_aside(numbers, repeats=False) if numbers else {}
        except BaseException:
            self.is_used = False
            raise
        for number in self._numbers(partitions()):
            self._states.of((self._topic.events, number)).changed.update(found.get(number, ()))

    def _numbers(self, partitions: Iterable[Partition]) -> list[int]:
        return sorted(number for topic, number in partitions if topic == self._topic.events)

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions that are no longer ours; what is not written by now never will be."""
        for topic, number in partitions:
            self._states.close((topic, number))
            self._sizes.replace((topic, number), {})

    def begin_anew(self, partition: Partition) -> None:
        """Forget a partition's sequences: it was truncated or made anew, and so were its offsets.

        The scopes would take its new events for ones that they include already.
        """
        self._sizes.replace(partition, {})
        forgotten = self._states.begin_anew(partition)
        if forgotten:
            self._counters.state_errors["began_anew"] += forgotten
            logger.error("%s[%d] begins anew: %d scopes of sequence state are dropped",
                         *partition, forgotten)  # fmt: skip

    def is_due(self) -> bool:
        """Say whether it is time to write: something changed and the interval is over, or not.

        Where nothing changed there is nothing to write, and nothing to wait for.
        """
        return self._clock() - self._written_s >= self._interval_s or not self._states.has_changes()

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
            snapshots: list[Snapshot] = []
            is_packed = await self._pack(partitions, snapshots)
            if not is_packed or (snapshots and not await outputs_delivered()):
                for item in snapshots:
                    item.state.changed.add(item.scope)
                return False
            for item in snapshots:
                # Given up meanwhile: another worker's by now, which may be further on.
                if self._states.is_current(item.partition, item.state):
                    await self._produce(producer, item)
            self._written_s = self._clock()
        return True

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Learn which offsets are committed: scopes that only remember theirs may go."""
        for partition, state in self._states.items():
            if partition in offsets:
                state.committed(offsets[partition])

    async def _produce(self, producer: Any, item: Snapshot) -> None:
        self._sizes.note(item.partition, item.scope, len(item.value or b""))
        headers = () if item.value is None else ((OFFSET_HEADER, b"%d" % item.offset),)
        key = orjson.dumps([self._topic.group, item.scope])
        number = item.partition[1]
        await producer.produce(Outgoing(self._topic.name, key, item.value, headers, number))

    async def _pack(self, partitions: Collection[Partition], snapshots: list[Snapshot]) -> bool:
        """Take snapshots of what changed, a slice of time at a time; events go on in between.

        Returns:
            False when there was no moment at which all outputs of the state were queued.
        """
        ends_s = 0.0
        for partition, state in list(self._states.items()):
            for name in list(state.changed) if partition in partitions else ():
                if time.monotonic() >= ends_s:
                    await asyncio.sleep(0)
                    if not await self._settled():
                        return False
                    ends_s = time.monotonic() + PACK_SLICE_S
                if self._states.is_current(partition, state) and name in state.changed:
                    state.changed.discard(name)
                    snapshots.append(self._take_snapshot(partition, state, name))
        return True

    async def _settled(self) -> bool:
        """Wait until no batch is in the state whose outputs wait for room in the queue."""
        end_s = time.monotonic() + SETTLE_TIMEOUT_S
        while not self._states.is_settled():
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(SETTLE_PAUSE_S)
        return True

    def _take_snapshot(
        self, partition: Partition, state: PartitionSequences, name: str
    ) -> Snapshot:
        scope = state.scope(name)
        if scope is None:
            return Snapshot(state, partition, name, -1, None)
        value: bytes | None = pack_scope(scope)
        if value is not None and len(value) > SNAPSHOT_BYTES_MAX:
            self._counters.state_errors["too_large"] += 1
            logger.error(
                "sequence state of %s is not kept: %d bytes, more than %d",
                name, len(value), SNAPSHOT_BYTES_MAX,
            )  # fmt: skip
            value = None  # an outdated one would invent sequences
        return Snapshot(state, partition, name, scope.offset, value)

    def _unpack(self, snapshots: Mapping[str, Kept]) -> dict[str, Scope]:
        scopes = {}
        for name, kept in snapshots.items():
            try:
                scopes[name] = unpack_scope(kept.value)
            except SnapshotError as error:
                self._counters.state_errors["unreadable"] += 1
                logger.error("sequence state of %s is lost: %s", name, error)
        return scopes

    async def _read_aside(self, numbers: list[int], *, repeats: bool) -> dict[int, dict[str, Kept]]:
        """Read in a thread, which ends soon after this is cancelled."""
        given_up = threading.Event()
        read = self._read_in_the_end if repeats else self._read
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, read, numbers, given_up)
        finally:
            given_up.set()

    def _read_in_the_end(
        self, numbers: list[int], given_up: threading.Event
    ) -> dict[int, dict[str, Kept]]:
        """Read as ``_read`` does, again and again while brokers are away."""
        while not given_up.is_set():
            try:
                return self._read(numbers, given_up)
            except KafkaException as error:
                kafka_error = error.args[0]
                # What is refused has an exit code of its own; see broker_errors.
                if refusal_of(kafka_error) or commit_verdict(kafka_error) is not Verdict.RETRY:
                    raise
                logger.warning("the sequence state is not read yet, asking again: %s", error)
                given_up.wait(RETRY_PAUSE_S)
        return {}

    def _read(self, numbers: list[int], given_up: threading.Event) -> dict[int, dict[str, Kept]]:
        """Read partitions of the state topic from beginning to end (in a thread)."""
        consumer = Consumer(
            {
                "client.id": "streamproc-restore",
                **self._client,
                # Needed by librdkafka, never joined; the worker has no right to any other.
                "group.id": self._topic.group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # at the end there is nothing to wait for
                "auto.offset.reset": "earliest",
            },
            logger=logging.getLogger("streamproc.kafka"),
        )
        found: dict[int, dict[str, Kept]] = {number: {} for number in numbers}
        try:
            self._check_topic(consumer, numbers)
            consumer.assign(
                [TopicPartition(self._topic.name, n, OFFSET_BEGINNING) for n in numbers]
            )
            left = set(numbers)
            heard_s = time.monotonic()
            while left and not given_up.is_set():
                for message in consumer.consume(1_000, READ_PAUSE_S):
                    heard_s = time.monotonic()
                    if _is_end(message):
                        left.discard(message.partition())
                    else:
                        self._take(message, found[int(message.partition() or 0)])
                if time.monotonic() - heard_s > READ_SILENCE_S:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, self._topic.name))
        finally:
            consumer.close()
        return found

    def _take(self, message: Any, scopes: dict[str, Kept]) -> None:
        """Put one record in the place of what it replaces."""
        owner = _owner(message.key())
        if owner is None:
            self._counters.state_errors["unreadable"] += 1
            return
        group, scope = owner
        if group != self._topic.group:
            return
        value = message.value()
        if value is None:
            scopes.pop(scope, None)
            return
        offset = int(dict(message.headers() or ()).get(OFFSET_HEADER, b"-1"))
        before = scopes.get(scope)
        if before is not None and offset < before.offset:
            # Of a worker that did not know yet that it had lost the partition.
            self._counters.state_errors["stale"] += 1
            return
        scopes[scope] = Kept(offset, value)

    def _check_topic(self, consumer: Any, numbers: list[int]) -> None:
        name = self._topic.name
        found = consumer.list_topics(name, timeout=ASK_TIMEOUT_S).topics[name]
        absent = [number for number in numbers if number not in found.partitions]
        if absent and (found.error is None or found.error.code() in NO_TOPIC):
            numbered = ", ".join(map(str, absent))
            what = f"has no partition {numbered}" if found.partitions else "does not exist"
            raise ConfigError(
                f"topic {name} (sequence_state_topic) {what}: sequence rules need in it each"
                f" partition of {self._topic.events}; create it with `streamproc topics create`"
            )
        if found.error is not None:
            raise KafkaException(found.error)


def _is_end(message: Any) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)


def _owner(key: bytes | None) -> tuple[str, str] | None:
    """Return the group and the scope that a key names; None for a key that is not ours."""
    try:
        group, scope = orjson.loads(key or b"")
    except ValueError:
        return None
    return (group, scope) if isinstance(group, str) and isinstance(scope, str) else None
