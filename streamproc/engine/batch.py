"""What the engine asks of a batch, and a batch made of records already in memory.

A batch is a run of records of one topic partition in ascending offset order. The transport's
batches keep the consumer's own message objects and make a ``Record`` only when one is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streamproc.model import Headers, Record


class Reference(Protocol):
    """A record that is not made yet: most that wait for a sequence never are.

    Attributes:
        offset: As in ``Record``.
        timestamp_ms: As in ``Record``.
    """

    offset: int
    timestamp_ms: int

    def record(self) -> Record:
        """Make the record."""


class Batch(Protocol):
    """Records of one topic partition, in ascending offset order; positions count from 0.

    A batch holds at least one record.
    """

    @property
    def topic(self) -> str:
        """Topic that all records come from."""

    @property
    def partition(self) -> int:
        """Partition that all records come from."""

    @property
    def last_timestamp_ms(self) -> int:
        """Time of the last record, milliseconds since the epoch; 0 if unknown."""

    def __len__(self) -> int:
        """Return the number of records."""

    def values(self) -> list[bytes | None]:
        """Return the undecoded value of every record; None for a tombstone."""

    def record(self, position: int) -> Record:
        """Return the whole record at a position."""

    def reference(self, position: int) -> Record | Reference:
        """Return what tells of the record at a position, to be kept: its record may be made later.

        ``record_of`` makes it, also after the batch is gone.
        """

    def headers(self, position: int) -> Headers:
        """Return the headers of the record at a position, and nothing else of it."""

    def slice(self, start: int, stop: int) -> Batch:
        """Return the records of positions ``start`` up to, not including, ``stop``."""


def record_of(reference: Record | Reference) -> Record:
    """Return the record that is referred to."""
    return reference if isinstance(reference, Record) else reference.record()


class RecordList:
    """A batch of records held in memory: what a replay and the tests feed to the engine."""

    __slots__ = ("_records",)

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    @property
    def topic(self) -> str:
        """Topic (or file) that all records come from."""
        return self._records[0].topic

    @property
    def partition(self) -> int:
        """Partition that all records come from."""
        return self._records[0].partition

    @property
    def last_timestamp_ms(self) -> int:
        """Time of the last record, milliseconds since the epoch; 0 if unknown."""
        return self._records[-1].timestamp_ms

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def values(self) -> list[bytes | None]:
        """Return the undecoded value of every record."""
        return [record.value for record in self._records]

    def record(self, position: int) -> Record:
        """Return the whole record at a position."""
        return self._records[position]

    def reference(self, position: int) -> Record:
        """Return the record at a position."""
        return self._records[position]

    def headers(self, position: int) -> Headers:
        """Return the headers of the record at a position."""
        return self._records[position].headers

    def slice(self, start: int, stop: int) -> RecordList:
        """Return the records of positions ``start`` up to, not including, ``stop``."""
        return RecordList(self._records[start:stop])
