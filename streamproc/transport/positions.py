"""Where consumption of each assigned partition stands, and what the broker threw away first.

Law of the file: everything here runs on the poll thread. A gap between two batches is normal
(compaction, transaction markers) unless the partition's low watermark has passed the place where
we stood: then records were deleted before we read them, and that is counted and logged, never
passed over in silence.

librdkafka itself goes on at the low watermark when a position is out of range
(``auto.offset.reset=earliest``); this module notices that it did. Its ``error`` policy would say
so outright, but a partition cannot be revived from that without assigning every other anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from faust.types import TP

from streamproc.ops.counters import Counters, Lag
from streamproc.ops.logs import record_fields
from streamproc.transport.batch import RecordBatch

logger = logging.getLogger(__name__)

WATERMARK_TIMEOUT_S = 5.0


class Gap(NamedTuple):
    """Offsets that were expected (``start``) and first seen (``stop``) in a partition."""

    start: int
    stop: int


class Positions:
    """Next offsets, ends and gaps of the assigned partitions."""

    def __init__(self, counters: Counters, tracked: Callable[[str], bool]) -> None:
        """Make an empty one.

        Args:
            counters: Gets ``partitions`` and ``records_lost``.
            tracked: Says whether a topic is one that agents consume (a changelog is not).
        """
        self._counters = counters
        self._tracked = tracked
        self._next: dict[TP, int | None] = {}
        self._gaps: dict[TP, list[Gap]] = {}

    def assign(self, starts: dict[TP, int | None]) -> None:
        """Take over the assigned partitions; a start of None is wherever the broker says."""
        self._next = dict(starts)
        self._gaps.clear()
        now_ms = time.time_ns() // 1_000_000
        lags = {
            tp: Lag(position=_or_unknown(at), assigned_ms=now_ms)
            for tp, at in starts.items()
            if self._counts(tp)
        }
        # Replaced whole: a scrape that walks the old mapping is not disturbed.
        self._counters.partitions = {(tp.topic, tp.partition): lag for tp, lag in lags.items()}

    def seek(self, tp: TP, offset: int) -> None:
        """Note that the partition was moved on purpose."""
        self._next[tp] = offset
        self._gaps.pop(tp, None)

    def advance(self, batch: RecordBatch) -> bool:
        """Note that ``batch`` was read; False when the partition began anew below our position."""
        tp, first = batch.tp, batch.first_offset
        expected = self._next.get(tp)
        self._next[tp] = batch.next_offset
        if expected is None or first == expected or not self._counts(tp):
            return True
        if first > expected:
            self._gaps.setdefault(tp, []).append(Gap(expected, first))
            return True
        logger.error(
            "%s[%d]: the committed offset %d is beyond the end of the partition, which was deleted"
            " and made anew, or truncated; reading on from %d, the beginning of what is there",
            tp.topic, tp.partition, expected, first,
            extra=record_fields(tp.topic, tp.partition, first),
        )  # fmt: skip
        if (lag := self._lag(tp)) is not None:
            lag.empty = (-1, -1)
        return False

    def reached_end(self, tp: TP, offset: int) -> None:
        """Note that all records before ``offset``, the partition's end, were read."""
        if (lag := self._lag(tp)) is not None:
            lag.empty = (_or_unknown(self._next.get(tp)), offset)
            lag.end = max(lag.end, offset)

    def refresh(self, consumer: Any) -> None:
        """Look up the ends of all partitions (no request) and judge the gaps seen since."""
        for (topic, number), lag in self._counters.partitions.items():
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            # What a fetch has told; while none comes, the heartbeat asks, and may know better.
            lag.end = max(lag.end, high)
        for tp in list(self._gaps):
            self._judge(consumer, tp)

    def _judge(self, consumer: Any, tp: TP) -> None:
        try:
            low, _ = consumer.get_watermark_offsets(
                TopicPartition(tp.topic, tp.partition), timeout=WATERMARK_TIMEOUT_S
            )
        except KafkaException as error:
            logger.warning("%s[%d]: low watermark not known yet: %s", tp.topic, tp.partition, error)
            return  # the gap is kept and judged at the next refresh
        for gap in self._gaps.pop(tp):
            if (lost := lost_records(gap, low)) > 0:
                self._counters.records_lost[tp.topic, tp.partition] += lost
                logger.error(
                    "%s[%d]: %d records were deleted by the topic's retention before they were"
                    " read: offsets %d to %d; reading on from %d. Raise the retention or add"
                    " workers",
                    tp.topic, tp.partition, lost, gap.start, gap.start + lost - 1, gap.stop,
                    extra=record_fields(tp.topic, tp.partition, gap.start),
                )  # fmt: skip

    def _lag(self, tp: TP) -> Lag | None:
        return self._counters.partitions.get((tp.topic, tp.partition))

    def _counts(self, tp: TP) -> bool:
        return self._tracked(tp.topic)

    def drop(self, tps: Iterable[TP]) -> None:
        """Forget revoked partitions."""
        gone = set(tps)
        self._next = {tp: at for tp, at in self._next.items() if tp not in gone}
        self._gaps = {tp: gaps for tp, gaps in self._gaps.items() if tp not in gone}
        kept = self._counters.partitions.items()
        self._counters.partitions = {key: lag for key, lag in kept if TP(*key) not in gone}


def lost_records(gap: Gap, low: int) -> int:
    """Return how many offsets of ``gap`` lie below the low watermark: deleted unread."""
    return max(min(low, gap.stop) - gap.start, 0)


def _or_unknown(offset: int | None) -> int:
    return -1 if offset is None else offset
