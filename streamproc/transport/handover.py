"""From the poll thread to Faust: all batches that are ready, in one message.

Law of the file: a batch is noted as delivered before an agent sees it, and only while its
partition is ours and active. Faust's part of a hand-over (conductor, queue, stream, some turns of
the loop) costs as much as the evaluation of a hundred records, so what is ready travels together.

Underscored names without a leading comment are Faust's own (tests/transport/test_faust_contract.py
holds each).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from faust.types import ConsumerMessage

from streamproc.transport.batch import RecordBatch
from streamproc.transport.listener import Handed
from streamproc.transport.partitions import PartitionConsumer

LOOK_S = 1.0  # between two looks at whether the worker stops, while nothing comes


class DeliveringConsumer(PartitionConsumer):
    """The part of the Consumer that hands batches to Faust's conductor and takes them back."""

    _acked: Any  # an AckLog for each partition, in place of Faust's lists

    def wake(self) -> None:
        """Look for batches."""
        self._wake.set()

    def acks_enabled(self, topic: str) -> bool:
        """Say whether agents consume the topic and acknowledge it (a changelog: no)."""
        return bool(self.app.topics.acks_enabled_for(topic))

    async def _drain_messages(self, fetcher: Any) -> None:
        if self._poller is None:
            return
        ready = self._poller.ready
        while not (self.should_stop or fetcher.should_stop or self.app.should_stop):
            if not ready:
                await self._sleep_until_ready(ready)
                continue
            await self._deliver_ready(ready)
            if ready:
                await asyncio.sleep(0)

    async def _sleep_until_ready(self, ready: Any) -> None:
        self._wake.clear()
        if ready:
            return
        # ``wait_for`` would make a task of it: two more turns of the loop for each hand-over.
        look = asyncio.get_running_loop().call_later(LOOK_S, self._wake.set)
        try:
            await self._wake.wait()
        except asyncio.CancelledError:
            # Faust's fetcher takes a stop in the middle of a rebalance for a crash.
            if not self.app.should_stop:
                raise
        finally:
            look.cancel()

    async def _deliver_ready(self, ready: Any) -> None:
        """Hand over what is ready now: batches together, topic by topic."""
        by_topic: dict[str, list[RecordBatch]] = {}
        plain: list[Handed] = []
        while ready:
            handed = ready.popleft()
            topic = handed.batch.topic
            if topic not in self._batch_topics:
                plain.append(handed)
            elif self._is_deliverable(handed):
                self._note(handed.batch)
                by_topic.setdefault(topic, []).append(handed.batch)
        # Nothing above waits, so all these batches are of one assignment. Should it change while
        # they are handed over, streams skip what bears an old generation.
        generation = self.poller.generation
        for batches in by_topic.values():
            await self._deliver_batches(batches, generation)
        for handed in plain:
            if self._is_deliverable(handed):
                await self._deliver_records(handed)

    def _is_deliverable(self, handed: Handed) -> bool:
        tp = handed.batch.tp
        if handed.generation != self.poller.generation or tp not in self._assigned:
            self.poller.release()
            return False
        if tp not in self._active_partitions:
            self.poller.release()
            self._held.append(handed)  # until Faust resumes the partition
            return False
        if handed.begins_anew:
            self._acked.pop(tp, None)
            self._committed_offset[tp] = None
            if self.options.store is not None:
                self.options.store.begin_anew(tp)
        return True

    def _note(self, batch: RecordBatch) -> None:
        tp, first, following = batch.tp, batch.first_offset, batch.next_offset
        counters = self._counters
        counters.records_consumed[tp.topic, tp.partition] += len(batch)
        counters.record_bytes[tp.topic] += batch.value_bytes
        self._acked[tp].deliver(first, following, time.monotonic(), batch.last_timestamp_ms)
        self._read_offset[tp] = following - 1

    async def _deliver_batches(self, batches: Sequence[RecordBatch], generation: int) -> None:
        first = batches[0]
        carried: Any = batches  # Faust passes the value to BatchTopic untouched
        message = ConsumerMessage(
            topic=first.topic,
            partition=first.partition,
            offset=first.first_offset,
            timestamp=first.oldest_timestamp_ms / 1000,
            timestamp_type=0,
            headers=None,
            key=None,
            value=carried,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=first.tp,
            generation_id=generation,
        )
        if self.suspend_flow.is_set():
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
        else:
            await self.callback(message)

    def batch_done(self, batch: RecordBatch) -> None:
        """Note that the agents have acknowledged a batch."""
        self._acked[batch.tp].append(batch.first_offset)

    def message_done(self, message: Any) -> None:
        """Note that they have acknowledged all batches that came in a message."""
        message.acked = True
        self._unacked_messages.discard(message)

    async def _deliver_records(self, handed: Handed) -> None:
        """Hand an ordinary topic's records (changelogs, plain agents) over one by one."""
        batch, tp = handed.batch, handed.batch.tp
        acks = self.acks_enabled(tp.topic)
        if acks:
            self._counters.records_consumed[tp.topic, tp.partition] += len(batch)
            self._counters.record_bytes[tp.topic] += batch.value_bytes
            self.poller.acquire(len(batch) - 1)  # the batch itself is one already
        for message in batch.messages():
            offset, timestamp_ms = message.offset(), max(message.timestamp()[1], 0)
            if acks:
                self._acked[tp].deliver(offset, offset + 1, time.monotonic(), timestamp_ms)
            await self.callback(
                ConsumerMessage(
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=offset,
                    timestamp=timestamp_ms / 1000,
                    timestamp_type=0,
                    headers=message.headers() or [],
                    key=message.key(),
                    value=message.value(),
                    checksum=None,
                    tp=tp,
                    generation_id=handed.generation,
                )
            )
            self._read_offset[tp] = offset
        if not acks:
            self.poller.release()
