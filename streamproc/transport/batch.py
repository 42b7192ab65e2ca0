"""Runs of records of one partition, and the Faust topic whose streams yield them.

Law of the file: nothing is decoded or copied before somebody asks; a batch costs the same in
Faust as one record does (one message, one event), which is where the speed comes from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import faust
from confluent_kafka import Message
from faust.events import Event
from faust.types import TP

from streamproc.model import Record

# Unbound methods: ``map(_VALUE, messages)`` runs in C, without a Python frame for each record.
_VALUE = Message.value
_PARTITION = Message.partition
_TOPIC = Message.topic


# Messages are typed Any: confluent-kafka's annotations let every part of one be None.
class RecordBatch:
    """Records of one partition in ascending offset order; gaps (compaction) may lie between.

    Made by the transport, by ``RecordBatch.of`` in tests and replays, or by ``slice``.
    """

    __slots__ = ("__weakref__", "_app", "_messages", "_part", "acknowledged", "delivery")

    def __init__(self, messages: Sequence[Any], *, part: bool = False) -> None:
        """Wrap a non-empty run of messages; ``part`` marks one that cannot be acknowledged."""
        self._messages = messages
        self._part = part
        self._app: Any = None
        self.delivery: Any = None  # the Faust message that carries this batch
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
        first = self._messages[0]
        return TP(first.topic(), first.partition())

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
        return sum(map(len, self._messages))

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
        message = self._messages[position]
        return Record(
            value=message.value(),
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            timestamp_ms=_timestamp_ms(message),
            headers=[(name, value or b"") for name, value in message.headers() or ()],
        )

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
        if self.delivery is not None:
            self.delivery.ack(self._app.consumer)

    def attach(self, app: Any, delivery: Any) -> None:
        """Bind the batch to the Faust message that carries it (the transport's part)."""
        self._app = app
        self.delivery = delivery


class BatchTopic(faust.Topic):
    """A topic whose streams yield ``RecordBatch`` values instead of one value per record.

    Read it with ``stream.noack()`` and ``batch.ack()``: Faust's own acknowledgement also happens
    when the agent raises, and would lose the batch.
    """

    yields_batches = True

    def _compile_decode(self) -> None:
        self.decode = self._decode_batch  # type: ignore[method-assign]  # as Faust's own does

    async def _decode_batch(self, message: Any, *, propagate: bool = False) -> Event:
        batch = message.value
        batch.attach(self.app, message)
        # Without this, batch and message refer to each other, and every value in the batch
        # waits for the cyclic garbage collector.
        message.value = None
        return Event(self.app, None, batch, None, message)


def batches_of(messages: Sequence[Any], *, one_topic: bool) -> list[RecordBatch]:
    """Cut the answer of one ``consume()`` call, errors removed, into batches in its order.

    Args:
        messages: At least one message.
        one_topic: Every message is known to be of one topic (cheaper).
    """
    if one_topic or len(set(map(_TOPIC, messages))) == 1:
        if len(set(map(_PARTITION, messages))) == 1:
            return [RecordBatch(messages)]
        runs = itertools.groupby(messages, _PARTITION)
        return [RecordBatch(list(run)) for _, run in runs]
    pairs = itertools.groupby(messages, lambda m: (m.topic(), m.partition()))
    return [RecordBatch(list(run)) for _, run in pairs]


def _timestamp_ms(message: Any) -> int:
    kind_and_time = message.timestamp()
    return max(int(kind_and_time[1]), 0)
