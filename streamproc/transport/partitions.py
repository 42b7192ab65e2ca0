"""What Faust's conductor, recovery and streams ask of a Consumer: subscribe, seek, pause, flow.

Law of the file: nothing here acknowledges or commits. Requests go to the ``Poller``; a partition
is paused only around recovery and rebalances, for pausing purges what librdkafka prefetched.

Underscored names are Faust's own (tests/transport/test_faust_contract.py holds each).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage

from streamproc.errors import ConfigError
from streamproc.transport.listener import Handed
from streamproc.transport.options import TransportOptions, options_of
from streamproc.transport.poller import Poller

WATERMARKS_TIMEOUT_S = 30.0
SEEK_TRIES = 100
SEEK_PAUSE_S = 0.05


class PartitionConsumer(FaustConsumer):
    """The part of the Consumer that moves, pauses and describes partitions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options: TransportOptions = options_of(self.app)
        self._counters = self.options.counters
        self._poller: Poller | None = None
        self._wake = asyncio.Event()
        self._batch_topics: frozenset[str] = frozenset()
        self._held: list[Handed] = []  # read, but their partition is paused
        self._assigned: frozenset[TP] = frozenset()
        self._paused_at_broker: set[TP] = set()

    @property
    def poller(self) -> Poller:
        """The poll thread; raises RuntimeError in an app that only sends."""
        if self._poller is None:
            raise RuntimeError("the Kafka consumer is not started")
        return self._poller

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for ``topics``; raises ConfigError if one is read both ways."""
        if self._poller is None:
            return
        batched: set[str] = set()
        plain: set[str] = set()
        for topic in self.app.topics:
            (batched if getattr(topic, "yields_batches", False) else plain).update(topic.topics)
        if mixed := sorted(batched & plain):
            raise ConfigError(f"{', '.join(mixed)}: read as a BatchTopic and as a plain topic")
        self._batch_topics = frozenset(batched)
        await self._poller.subscribe(sorted(topics))

    async def perform_seek(self) -> None:
        """Do nothing: every partition was assigned at its committed offset."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Return the committed offsets (-1 for none); positions are left alone."""
        return {
            tp: -1 if offset is None else offset
            for tp, offset in self._committed_offset.items()
            if tp in self._assigned
        }

    async def _seek(self, partition: TP, offset: int) -> None:
        if self._poller is None:
            return
        for tries_left in range(SEEK_TRIES - 1, -1, -1):
            try:
                await self._poller.seek(partition, offset)
            except KafkaException as error:
                # A partition that was assigned a moment ago is not ready to be moved.
                if error.args[0].code() != KafkaError._STATE or not tries_left:
                    raise
                await asyncio.sleep(SEEK_PAUSE_S)
            else:
                self._held = [handed for handed in self._held if handed.batch.tp != partition]
                return

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Move partitions (changelogs, in recovery)."""
        for tp, offset in partitions.items():
            await self._seek(tp, max(offset or 0, 0))
            self._read_offset[tp] = offset or None

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Pause fetching; only around recovery and rebalances, for it purges the prefetch."""
        wanted = set(tps)
        super().pause_partitions(wanted)
        self._switch((wanted & self._assigned) - self._paused_at_broker, paused=True)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume fetching, and hand over first what was read before the pause."""
        wanted = set(tps)
        super().resume_partitions(wanted)
        self._switch(wanted & self._assigned & self._paused_at_broker, paused=False)
        again = [handed for handed in self._held if handed.batch.tp in wanted]
        if again and self._poller is not None:
            self._held = [handed for handed in self._held if handed.batch.tp not in wanted]
            self._poller.acquire(len(again))
            self._poller.ready.extendleft(reversed(again))
            self._wake.set()

    def _switch(self, tps: Iterable[TP], *, paused: bool) -> None:
        changed = set(tps)
        poller = self._poller
        if not changed or poller is None:
            return
        self._paused_at_broker ^= changed

        def command(consumer: Any) -> None:
            places = [TopicPartition(*tp) for tp in changed & poller.assigned]
            if places:
                (consumer.pause if paused else consumer.resume)(places)

        poller.tell(command)

    def stop_flow(self) -> None:
        """Hold records back, cheaply: nothing prefetched is lost."""
        super().stop_flow()
        if self._poller is not None:
            self._poller.set_flow(False)

    def resume_flow(self) -> None:
        """Let records come."""
        super().resume_flow()
        if self._poller is not None:
            self._poller.set_flow(True)

    # Backpressure is by unacknowledged batches; Faust's would pause partitions.
    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing."""

    def assignment(self) -> set[TP]:
        """Return the partitions that are ours."""
        return set(self._assigned)

    def highwater(self, tp: TP) -> int:
        """Return the end of a partition as last seen; 0 while unknown."""
        lag = self._counters.partitions.get((tp.topic, tp.partition))
        return 0 if lag is None else max(lag.end, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Ask the broker for the ends of partitions."""
        return {tp: high for tp, (_, high) in (await self._watermarks(partitions)).items()}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Ask the broker for the beginnings of partitions."""
        return {tp: low for tp, (low, _) in (await self._watermarks(partitions)).items()}

    async def _watermarks(self, tps: Iterable[TP]) -> dict[TP, tuple[int, int]]:

        def command(consumer: Any) -> dict[TP, tuple[int, int]]:
            return {
                tp: consumer.get_watermark_offsets(
                    TopicPartition(*tp), timeout=WATERMARKS_TIMEOUT_S
                )
                for tp in tps
            }

        found: dict[TP, tuple[int, int]] = await self.poller.call(command)
        return found

    async def position(self, tp: TP) -> int | None:
        """Return the offset of the next record that will be read; None before the first."""
        place = await self.poller.call(lambda consumer: consumer.position([TopicPartition(*tp)]))
        offset = int(place[0].offset)
        return offset if offset >= 0 else None

    def topic_partitions(self, topic: str) -> int | None:
        """Return the number of partitions of an assigned topic; None if not known."""
        return None if self._poller is None else self._poller.partition_counts.get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> Any:
        """Leave the choice to the producer's partitioner."""
        return partition

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the worker creates no topics."""

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: the watchdog looks after progress."""

    def batch_topics(self) -> frozenset[str]:
        """Return the topics that are read in batches."""
        return self._batch_topics

    def close(self) -> None:
        """Do nothing: the poll thread closes the consumer."""

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        raise NotImplementedError("records come through _drain_messages")

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        raise NotImplementedError("records come through _drain_messages")
