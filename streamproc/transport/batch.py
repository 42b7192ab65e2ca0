"""Records of one partition, and the Faust topic whose streams bring them.

Law of the file: nothing is decoded or copied before somebody asks; all batches that are handed
over at a time cost the same in Faust as one record does (one message, one event), which is where
the speed comes from.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import faust
import msgspec
from confluent_kafka import Message
from faust.events import Event
from faust.types import TP

from streamproc.model import Headers, Record

# Unbound methods: ``map(_VALUE, messages)`` runs in C, without a Python frame for each record.
_VALUE = Message.value
_PARTITION = Message.partition


class MessageReference(msgspec.Struct, gc=False):
    """A message whose record may be made later.

    Attributes:
        message: The consumer's own.
        offset: Its offset.
        timestamp_ms: Its time, milliseconds; 0 if unknown.
    """

    message: Any
    offset: int
    timestamp_ms: int

    def record(self) -> Record:
        """Make the record."""
        return _record(self.message)


# Messages are typed Any: confluent-kafka's annotations let every part of one be None.
class RecordBatch:
    """Records of one partition in ascending offset order; gaps (compaction) may lie between.

    Made by the transport, by ``RecordBatch.of`` in tests and replays, or by ``slice``.
    """

    __slots__ = (
        "__weakref__",
        "_acks_left",
        "_messages",
        "_part",
        "_tp",
        "_value_bytes",
        "acknowledged",
        "handover",
    )

    def __init__(self, messages: Sequence[Any], *, part: bool = False) -> None:
        """Wrap a non-empty run of messages; ``part`` marks one that cannot be acknowledged."""
        self._messages = messages
        self._part = part
        self._tp: TP | None = None  # this and the next: not yet asked for
        self._value_bytes = -1
        self._acks_left = -1  # of the agents on the topic; not yet known
        self.handover: Handover | None = None  # what it came in
        self.acknowledged = False

    @classmethod
    def of(cls, records: Iterable[Record]) -> RecordBatch:
        """Make a batch out of records, for tests and replays; raises ValueError if none."""
        messages = [
            Message(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                value=record.value,
                headers=list(record.headers),
                timestamp=(1, record.timestamp_ms),
            )
            for record in records
        ]
        if not messages:
            raise ValueError("a batch holds at least one record")
        return cls(messages)

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        return (
            f"<RecordBatch {self.topic}[{self.partition}]"
            f" {self.first_offset}..{self.next_offset - 1}, {len(self)} records>"
        )

    @property
    def topic(self) -> str:
        """Topic that every record of the batch comes from."""
        return str(self._messages[0].topic())

    @property
    def partition(self) -> int:
        """Partition that every record of the batch comes from."""
        return int(self._messages[0].partition())

    @property
    def tp(self) -> TP:
        """Topic and partition as Faust writes them."""
        if self._tp is None:
            self._tp = TP(self.topic, self.partition)
        return self._tp

    @property
    def first_offset(self) -> int:
        """Offset of the first record."""
        return int(self._messages[0].offset())

    @property
    def next_offset(self) -> int:
        """Offset after the last record: what a commit of this batch writes."""
        return int(self._messages[-1].offset()) + 1

    @property
    def value_bytes(self) -> int:
        """Bytes of all values together, without keys and headers."""
        if self._value_bytes < 0:
            self._value_bytes = sum(map(len, self._messages))
        return self._value_bytes

    @property
    def oldest_timestamp_ms(self) -> int:
        """Time of the older of the first and the last record, milliseconds; 0 if unknown.

        Records of a partition come nearly in order of time, and asking every one would cost a
        tenth of all that is done for a record that the prefilter ends.
        """
        return min(_timestamp_ms(self._messages[0]), _timestamp_ms(self._messages[-1]))

    @property
    def last_timestamp_ms(self) -> int:
        """Time of the last record, milliseconds since the epoch; 0 if unknown."""
        return _timestamp_ms(self._messages[-1])

    def messages(self) -> Sequence[Any]:
        """Return the confluent messages (the transport's part, for ordinary topics)."""
        return self._messages

    def values(self) -> list[bytes | None]:
        """Return the undecoded values, in order; None for a tombstone."""
        return list(map(_VALUE, self._messages))

    def record(self, position: int) -> Record:
        """Return the record at ``position`` (0 is the first) with its own offset and headers."""
        return _record(self._messages[position])

    def reference(self, position: int) -> MessageReference:
        """Return what tells of the record at ``position``: half the cost of making it."""
        message = self._messages[position]
        timestamp_ms = message.timestamp()[1]
        return MessageReference(message, message.offset(), timestamp_ms if timestamp_ms > 0 else 0)

    def headers(self, position: int) -> Headers:
        """Return the headers of the record at ``position``; one without a value is empty."""
        return _named(self._messages[position].headers() or ())

    def slice(self, start: int, stop: int) -> RecordBatch:
        """Return the records from ``start`` up to before ``stop``, to find the one that fails.

        A part is processed like a batch and acknowledged with the batch that it was cut from.
        """
        messages = self._messages[start:stop]
        if not messages:
            raise ValueError(f"no records between {start} and {stop} of {self!r}")
        return RecordBatch(messages, part=True)

    def ack(self) -> None:
        """Say that every record is done and its outputs are produced; repeating it is harmless.

        The offset is committed later, when the broker has acknowledged those outputs and every
        earlier batch of the partition is acknowledged too.
        """
        if self._part:
            raise RuntimeError("a part of a batch is acknowledged with the whole batch")
        self.acknowledged = True
        if self.handover is None:
            return
        if self._acks_left < 0:
            self._acks_left = self.handover.agents
        self._acks_left -= 1
        if self._acks_left == 0:
            self.handover.done(self)


class Handover:
    """What the batches have in common that agents get together, in one Faust message.

    It knows none of them: they refer to it, and a cycle would make every value wait for the
    cyclic garbage collector.
    """

    __slots__ = ("_consumer", "_left", "_message")

    def __init__(self, consumer: Any, message: Any, batches: int) -> None:
        self._consumer = consumer
        self._message = message
        self._left = batches

    @property
    def agents(self) -> int:
        """How many agents get the batches: each acknowledges them."""
        return max(int(self._message.refcount), 1)

    def done(self, batch: RecordBatch) -> None:
        """Note that every agent has acknowledged a batch."""
        self._consumer.batch_done(batch)
        self._left -= 1
        if not self._left:
            self._consumer.message_done(self._message)


class BatchTopic(faust.Topic):
    """A topic whose streams bring ``RecordBatch`` values; read it with ``each_batch(stream)``."""

    yields_batches = True

    def _compile_decode(self) -> None:
        self.decode = self._decode_batches  # type: ignore[method-assign]  # as Faust's own does

    async def _decode_batches(self, message: Any, *, propagate: bool = False) -> Event:
        batches, message.value = message.value, None  # no cycle: see Handover
        handover = Handover(self.app.consumer, message, len(batches))
        for batch in batches:
            batch.handover = handover
        return Event(self.app, None, batches, None, message)


async def each_batch(stream: Any) -> AsyncIterator[RecordBatch]:
    """Yield the batches of a ``BatchTopic``'s stream; each is to be acknowledged by ``ack``.

    Not by Faust: its own acknowledgement also happens when the agent raises, and would lose them.
    """
    async for batches in stream.noack():
        for batch in batches:
            yield batch


def batches_of(messages: Sequence[Any], *, one_topic: bool) -> list[RecordBatch]:
    """Sort the answer of one ``consume()`` call, errors removed, into a batch for each partition.

    librdkafka answers with runs, a fetch of each partition in turn; within a partition the order
    of the records is kept.

    Args:
        messages: At least one message.
        one_topic: Every message is known to be of one topic (cheaper).
    """
    runs = itertools.groupby(messages, _PARTITION if one_topic else _place)
    by_place: dict[Any, list[Any]] = {}
    for place, run in runs:
        if place in by_place:
            by_place[place] += run
        else:
            by_place[place] = list(run)
    return [RecordBatch(found) for found in by_place.values()]


def _place(message: Any) -> tuple[Any, Any]:
    return message.topic(), message.partition()


def _record(message: Any) -> Record:
    timestamp_ms, headers = message.timestamp()[1], message.headers()
    # By position, and no list where there are no headers: half the cost; see ``Record``.
    return Record(
        message.value(),
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp_ms if timestamp_ms > 0 else 0,
        _named(headers) if headers else [],
    )


def _named(headers: Any) -> Headers:
    return [(name, value or b"") for name, value in headers]


def _timestamp_ms(message: Any) -> int:
    kind_and_time = message.timestamp()
    return max(int(kind_and_time[1]), 0)
