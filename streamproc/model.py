"""The values that flow from a consumed record to the outputs that it causes.

Nothing here does anything: the transport makes ``Record`` values, the engine makes
``Output`` values, and neither needs to know the other.
"""

from __future__ import annotations

from typing import NamedTuple

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """One consumed Kafka record. Hot: made only for records that the prefilter keeps.

    Attributes:
        value: The undecoded bytes; None for a tombstone.
        topic: Topic (or file name, in a replay) that it came from.
        partition: Partition of the topic; 0 in a replay.
        offset: Offset in the partition; line number counted from 0 in a replay.
        timestamp_ms: The record's own time in milliseconds since the epoch, or 0 if unknown.
        headers: Record headers, in order.
    """

    value: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    headers: Headers


class Place(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


class Output(NamedTuple):
    """One record to be produced: an alert, a context request or a dead letter.

    Attributes:
        event_ms: Time of the (last) event behind an alert, milliseconds since the epoch; 0 for
            whatever is not measured by it: building blocks, requests, dead letters.
        place: Where the record of that event lies; None where ``event_ms`` is 0.
    """

    key: bytes | None
    value: bytes
    headers: Headers
    event_ms: int = 0
    place: Place | None = None
