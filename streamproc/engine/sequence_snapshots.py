"""A scope of sequence state as bytes, and back.

Law of the file: what is packed comes back equal and behaves the same. Payloads are records; each
is stored once, however many partial sequences share it. A snapshot of an unknown version or a
damaged one is an error that the caller can count and go on without.

Layout: one version byte, then zstandard of: length of the description (4 bytes, big-endian), the
description (JSON), the values of all records one after the other. Integers beyond 64 bits stand
as text.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from itertools import chain
from typing import Any

import orjson
import zstandard

from streamproc.engine.batch import Reference, record_of
from streamproc.engine.sequence_scope import (
    Arrival,
    Deadline,
    Held,
    Lane,
    Ordinal,
    Prospect,
    Scope,
    Start,
)
from streamproc.eql.sequence import Hits, JoinKey, KeyState, Match, Partial, Taken
from streamproc.errors import StreamprocError
from streamproc.model import Record

VERSION = 2
# Version 1 knew no undecoded events: no prospects and no starts.
READABLE = (1, 2)
# Fast above all: snapshots are short-lived, and most of their bytes are JSON text.
_LEVEL = 1
_LENGTH = struct.Struct(">I")
_INT64 = 1 << 63


class SnapshotError(StreamprocError):
    """A snapshot cannot be read: of another version, or damaged."""


def pack_scope(scope: Scope) -> bytes:
    """Return the snapshot of a scope whose payloads are records or refer to them."""
    records = _RecordWriter()
    description = orjson.dumps(
        {
            "offset": scope.offset,
            "clock_ms": scope.clock_ms,
            "newest_ns": _pack_scalar(scope.newest_ns),
            "settled_ms": scope.settled_ms,
            "lanes": [
                _pack_lane(scope.ordinary, scope.held_quietly(), records),
                _pack_lane(scope.ahead, [], records),
            ],
            "states": [
                [rule, [_pack_key_state(key, s, records) for key, s in state.items()]]
                for rule, state in scope.states.items()
            ],
            "deadlines": [[*item[:4], _pack_key(item.key)] for item in scope.deadlines],
            "deadlines_made": scope.deadlines_made,
            "starts": [
                [rule, [_pack_start(start, records) for start in begun]]
                for rule, begun in scope.starts.items()
            ],
            # Last, because packing the rest is what fills it.
            "records": records.descriptions,
        }
    )
    content = b"".join((_LENGTH.pack(len(description)), description, *records.values))
    return bytes([VERSION]) + zstandard.ZstdCompressor(level=_LEVEL).compress(content)


def unpack_scope(snapshot: bytes) -> Scope:
    """Return the scope of a snapshot.

    Raises:
        SnapshotError: It was written by another version, or is damaged.
    """
    if not snapshot or snapshot[0] not in READABLE:
        found = snapshot[0] if snapshot else "none"
        raise SnapshotError(f"snapshot version {found}; this program reads versions 1 and 2")
    try:
        content = zstandard.ZstdDecompressor().decompress(memoryview(snapshot)[1:])
        (length,) = _LENGTH.unpack_from(content)
        start = _LENGTH.size + length
        return _unpack(orjson.loads(content[_LENGTH.size : start]), content[start:])
    except (zstandard.ZstdError, struct.error, ValueError, TypeError, LookupError) as error:
        raise SnapshotError(f"damaged snapshot: {type(error).__name__}: {error}") from error


class _RecordWriter:
    """Collects records, each once, and gives them numbers."""

    def __init__(self) -> None:
        self.descriptions: list[list[Any]] = []
        self.values: list[bytes] = []
        self._numbers: dict[tuple[str, int, int], int] = {}

    def number(self, payload: Record | Reference) -> int:
        record = record_of(payload)
        place = (record.topic, record.partition, record.offset)
        found = self._numbers.get(place)
        if found is None:
            found = self._numbers[place] = len(self.descriptions)
            self.descriptions.append(
                [
                    *place,
                    record.timestamp_ms,
                    [[name, value.decode("latin-1")] for name, value in record.headers],
                    None if record.value is None else len(record.value),
                ]
            )
            if record.value is not None:
                self.values.append(record.value)
        return found


def _unpack(description: dict[str, Any], values: bytes) -> Scope:
    records = _read_records(description["records"], values)
    ordinary, ahead = (_unpack_lane(lane, records) for lane in description["lanes"])
    return Scope(
        offset=description["offset"],
        clock_ms=description["clock_ms"],
        newest_ns=_unpack_scalar(description["newest_ns"]),
        settled_ms=description["settled_ms"],
        ordinary=ordinary,
        ahead=ahead,
        states={
            rule: OrderedDict(_unpack_key_state(item, records) for item in items)
            for rule, items in description["states"]
        },
        deadlines=[
            Deadline(deadline_ms, due_ms, number, rule, _unpack_key(key))
            for deadline_ms, due_ms, number, rule, key in description["deadlines"]
        ],
        deadlines_made=description["deadlines_made"],
        starts={
            rule: deque(_unpack_start(item, records) for item in items)
            for rule, items in description.get("starts", ())
        },
    )


def _read_records(descriptions: list[list[Any]], values: bytes) -> list[Record]:
    records: list[Record] = []
    position = 0
    for topic, partition, offset, timestamp_ms, headers, length in descriptions:
        value = None
        if length is not None:
            value = values[position : position + length]
            position += length
        named = [(name, text.encode("latin-1")) for name, text in headers]
        records.append(Record(value, topic, partition, offset, timestamp_ms, named))
    if position != len(values):
        raise ValueError("the records do not add up")
    return records


def _pack_lane(lane: Lane, quiet: list[Held], records: _RecordWriter) -> list[Any]:
    """Pack what waits in a lane, in the order of its heap, or in short beside it."""
    frontier = None if lane.frontier is None else [_pack_scalar(part) for part in lane.frontier]
    waiting = [held for _, held in lane.heap]
    waiting += sorted(quiet, key=lambda held: held.ordinal)
    return [frontier, [_pack_held(held, records) for held in waiting]]


def _unpack_lane(packed: list[Any], records: list[Record]) -> Lane:
    frontier, waiting = packed
    held = [_unpack_held(item, records) for item in waiting]
    ordinal: Ordinal | None = None
    if frontier is not None:
        timestamp_ns, is_null, kind, rest, offset = map(_unpack_scalar, frontier)
        ordinal = (timestamp_ns, is_null, kind, rest, offset)
    arrived = deque(sorted(held, key=lambda item: item.arrival.offset))
    return Lane([(item.ordinal, item) for item in held], ordinal, arrived)


def _pack_held(held: Held, records: _RecordWriter) -> list[Any]:
    arrival = held.arrival
    hits = [
        [rule, [[place, [_pack_key(key) for key in keys]] for place, keys in places]]
        for rule, places in arrival.hits.items()
    ]
    return [
        held.arrived_ms,
        _pack_scalar(arrival.timestamp_ns),
        _pack_scalar(arrival.tiebreaker),
        arrival.offset,
        arrival.broker_ms,
        records.number(arrival.payload),
        hits,
        [[*prospect] for prospect in arrival.prospects],
    ]


def _unpack_held(packed: list[Any], records: list[Record]) -> Held:
    arrived_ms, timestamp_ns, tiebreaker, offset, broker_ms, number, by_rule, *more = packed
    hits: dict[str, Hits] = {
        rule: tuple((place, tuple(map(_unpack_key, keys))) for place, keys in places)
        for rule, places in by_rule
    }
    arrival = Arrival(
        _unpack_scalar(timestamp_ns),
        _unpack_scalar(tiebreaker),
        offset,
        broker_ms,
        records[number],
        hits,
        tuple(Prospect(rule, tuple(queries)) for rule, queries in chain(*more)),
    )
    return Held(arrival.ordinal(), arrival, arrived_ms)


def _pack_start(start: Start, records: _RecordWriter) -> list[Any]:
    number = records.number(start.payload)
    return [_pack_scalar(start.timestamp_ns), start.touched_ms, number, start.queries]


def _unpack_start(packed: list[Any], records: list[Record]) -> Start:
    timestamp_ns, touched_ms, number, queries = packed
    return Start(_unpack_scalar(timestamp_ns), touched_ms, records[number], tuple(queries))


def _pack_key_state(key: JoinKey, key_state: KeyState, records: _RecordWriter) -> list[Any]:
    def pack_events(events: tuple[Taken, ...]) -> list[Any]:
        return [[_pack_scalar(item.timestamp_ns), records.number(item.payload)] for item in events]

    return [
        _pack_key(key),
        [
            None
            if partial is None
            else [pack_events(partial.events), partial.lead_ms, partial.gap_ms, partial.is_spoilt]
            for partial in key_state.pending
        ],
        key_state.leads_ms,
        [[deadline_ms, pack_events(match.events)] for deadline_ms, match in key_state.waiting],
        _pack_scalar(key_state.touched_ns),
    ]


def _unpack_key_state(packed: list[Any], records: list[Record]) -> tuple[JoinKey, KeyState]:
    def unpack_events(events: list[Any]) -> tuple[Taken, ...]:
        return tuple(Taken(_unpack_scalar(ns), records[number]) for ns, number in events)

    packed_key, pending, leads_ms, waiting, touched_ns = packed
    key = _unpack_key(packed_key)
    key_state = KeyState(
        [None if item is None else Partial(unpack_events(item[0]), *item[1:]) for item in pending],
        leads_ms,
        [(deadline_ms, Match(key, unpack_events(events))) for deadline_ms, events in waiting],
        _unpack_scalar(touched_ns),
    )
    return key, key_state


def _pack_key(key: JoinKey) -> list[Any]:
    """A boolean, ``("bool", value)``, stands as the bare JSON boolean."""
    return [value[1] if isinstance(value, tuple) else _pack_scalar(value) for value in key]


def _unpack_key(packed: list[Any]) -> JoinKey:
    return tuple(
        ("bool", value) if isinstance(value, bool) else _unpack_scalar(value) for value in packed
    )


def _pack_scalar(value: Any) -> Any:
    """JSON as it is; integers that JSON writers refuse as a list of their digits."""
    if type(value) is int and not -_INT64 <= value < _INT64:
        return [str(value)]
    return value


def _unpack_scalar(packed: Any) -> Any:
    return int(packed[0]) if isinstance(packed, list) else packed
