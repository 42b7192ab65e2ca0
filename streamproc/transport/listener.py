"""What the poll thread tells the event loop, and the batches that it hands over.

Law of the file: the two threads know each other by these names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaError
from faust.types import TP

from streamproc.transport.batch import RecordBatch


class Handed(NamedTuple):
    """One batch on its way to the event loop."""

    generation: int
    batch: RecordBatch
    begins_anew: bool  # the partition was recreated: forget what was committed


class Listener(Protocol):
    """What the poll thread tells; the coroutines and callbacks run on the event loop."""

    async def partitions_assigned(self, generation: int, starts: Mapping[TP, int | None]) -> None:
        """Take over the partitions; a start of None means no committed offset."""

    async def partitions_revoked(self, tps: set[TP], *, lost: bool) -> None:
        """Finish and commit (unless ``lost``), then let go; also of what is being taken over."""

    def wake(self) -> None:
        """Look into ``Poller.ready``."""

    def kafka_error(self, error: KafkaError) -> None:
        """Count an error that librdkafka reports; crash if it is fatal."""

    def poll_failed(self, error: Exception) -> None:
        """The thread has ended by an error: crash."""

    def commit_stalled(self) -> bool:
        """Say whether to hold batches back (called on the poll thread)."""

    def acks_enabled(self, topic: str) -> bool:
        """Say whether agents consume the topic (called on the poll thread)."""
