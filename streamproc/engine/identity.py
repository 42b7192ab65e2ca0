"""What an alert's id is made of: the rule and its events' own identity, nothing else.

Law of the file: the same events under the same rule give the same id, whenever, wherever and
however often they are read. The rule's version is no part of it: an upgrade does not alert again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from streamproc.eql.event import Event, Value
from streamproc.eql.sequence import JoinKey
from streamproc.model import Record
from streamproc.ruleset.rule import canonical_json

SOURCE_TOPIC_HEADER = "streamproc-source-topic"
SOURCE_PARTITION_HEADER = "streamproc-source-partition"
SOURCE_OFFSET_HEADER = "streamproc-source-offset"

# Kafka's own limit.
_TOPIC_LENGTH_MAX = 249


class Coordinates(NamedTuple):
    """Where the raw record lay, before anything was made of it."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


def raw_coordinates(record: Record) -> Coordinates:
    """Return the raw record's place: from the headers of a normalized one, else its own."""
    headers = dict(record.headers)
    try:
        return Coordinates(
            headers[SOURCE_TOPIC_HEADER].decode()[:_TOPIC_LENGTH_MAX],
            int(headers[SOURCE_PARTITION_HEADER]),
            int(headers[SOURCE_OFFSET_HEADER]),
        )
    except (KeyError, ValueError, AttributeError, TypeError):
        # Not normalized by us, or a header of somebody else's making.
        return Coordinates(record.topic, record.partition, record.offset)


def event_identity(event: Event, record: Record) -> tuple[Value, ...]:
    """Return ``host.id`` with ``event.id`` where the event has both, else its coordinates."""
    host_id, event_id = first(event, "host.id"), first(event, "event.id")
    if host_id is not None and event_id is not None:
        return "event", host_id, event_id
    return "record", *raw_coordinates(record)


def alert_id(rule_id: str, identity: tuple[Value, ...]) -> str:
    """Return the id of an alert: 64 hex digits."""
    return hashlib.sha256(canonical_json([rule_id, *identity])).hexdigest()


def sequence_alert_id(
    rule_id: str, identities: Sequence[tuple[Value, ...]], join_key: JoinKey
) -> str:
    """Return the id of a sequence's shell alert: 64 hex digits.

    The join key is always part of it: where a join field has several values, the same events are
    a sequence for each of them.

    Args:
        rule_id: The rule's id.
        identities: ``event_identity`` of its events, in their order.
        join_key: The values of its join fields.
    """
    content = [rule_id, "sequence", [list(identity) for identity in identities], list(join_key)]
    return hashlib.sha256(canonical_json(content)).hexdigest()


def building_block_id(shell_id: str, index: int) -> str:
    """Return the id of the alert of one event of a sequence, counted from 0: 64 hex digits."""
    return hashlib.sha256(canonical_json([shell_id, "block", index])).hexdigest()


def first(event: Event, path: str) -> Value | None:
    """Return a field's first value that is not blank."""
    for value in event.values(path):
        if not isinstance(value, str) or value.strip():
            return value
    return None


def first_of(events: Sequence[Event], path: str) -> Value | None:
    """Return a field's first value that is not blank and that all events have.

    If they have none in common: ``first`` of the last event that has the field.
    """
    if len(events) == 1:
        return first(events[0], path)
    shared = set.intersection(*(set(event.values(path)) for event in events))
    for value in events[-1].values(path):
        if value in shared and (not isinstance(value, str) or value.strip()):
            return value
    found = (first(event, path) for event in reversed(events))
    return next((value for value in found if value is not None), None)
