"""Snapshots: every kind of value comes back, others are refused clearly."""

from __future__ import annotations

from collections import OrderedDict, deque

import pytest

from streamproc.engine.sequence_scope import Arrival, Deadline, Held, Lane, Scope
from streamproc.engine.sequence_snapshots import SnapshotError, pack_scope, unpack_scope
from streamproc.eql.sequence import KeyState, Match, Partial, Taken
from streamproc.model import Record

# A year that 64 bits of nanoseconds do not reach.
FAR_NS = 250_000_000_000_000_000_001


def _record(offset: int, value: bytes | None = b'{"a":"\xc3\xa9"}') -> Record:
    return Record(value, "events", 3, offset, 1_700_000_000_000, [("h", b"\x00\xff"), ("h", b"")])


def _scope() -> Scope:
    first, second = Taken(FAR_NS, _record(1)), Taken(-5, _record(2, None))
    keys = [(None, "1", 1, 1.0, ("bool", True), -(1 << 63)), (("bool", False), 2.5, "", "é", 0, -1)]
    states = OrderedDict(
        [
            (
                keys[0],
                KeyState(
                    [Partial((first,)), None, Partial((first, second), 7, 8, True)],
                    [5, 6],
                    [(99, Match(keys[0], (first, second, first)))],
                    FAR_NS,
                ),
            ),
            (keys[1], KeyState([None, Partial((second,)), None], touched_ns=3)),
        ]
    )
    hits = {"rule": ((0, (keys[0], keys[1])), (-2, (keys[1],)))}
    held = [
        Held(arrival.ordinal(), arrival, 17)
        for arrival in (
            Arrival(FAR_NS, None, 9, 16, _record(9), hits),
            Arrival(FAR_NS, "x", 8, 15, _record(8), hits),
            Arrival(FAR_NS, 1.5, 7, 14, _record(1), {}),
        )
    ]
    lane = Lane([(item.ordinal, item) for item in reversed(held)], held[2].ordinal, deque(held))
    deadlines = [Deadline(4, 5, 1, "rule", keys[0]), Deadline(4, 6, 2, "rule", keys[1])]
    return Scope(9, 18, FAR_NS, -3, lane, Lane(), {"rule": states}, deadlines, 2)


def _kinds(scope: Scope) -> list[type]:
    """1, 1.0 and True are equal to Python."""
    return [type(value) for key in scope.states["rule"] for value in key]


def test_every_kind_of_value_comes_back():
    """Keys keep their types, bytes their bits, waiting events their order of arrival."""
    scope = _scope()
    restored = unpack_scope(pack_scope(scope))

    assert restored == scope
    assert _kinds(restored) == _kinds(scope)
    assert [held.arrival.offset for held in restored.ordinary.arrived] == [7, 8, 9]
    assert list(restored.states["rule"]) == list(scope.states["rule"])


def test_what_is_referred_to_comes_back_as_a_record():
    class Reference:
        offset, timestamp_ms = 5, 50

        def record(self) -> Record:
            return _record(5)

    arrival = Arrival(1, None, 5, 50, Reference(), {})
    held = Held(arrival.ordinal(), arrival, 50)
    scope = Scope(ordinary=Lane([(held.ordinal, held)]))
    (_, restored), *_ = unpack_scope(pack_scope(scope)).ordinary.heap
    assert restored.arrival.payload == _record(5)


def test_an_empty_scope_comes_back():
    """All that is left of it is its offset."""
    assert unpack_scope(pack_scope(Scope(offset=5))) == Scope(offset=5)


def test_a_record_is_stored_once():
    """However many partial sequences hold it."""
    value = bytes(range(256)) * 40
    taken = Taken(1, _record(1, value))
    keys = {(n,): KeyState([Partial((taken,))]) for n in range(50)}
    packed = pack_scope(Scope(states={"rule": OrderedDict(keys)}))

    assert len(packed) < len(value)
    restored = unpack_scope(packed).states["rule"]
    payloads = {id(state.pending[0].events[0].payload) for state in restored.values()}
    assert len(payloads) == 1


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        (b"", "snapshot version none"),
        (b"\x03anything", "snapshot version 3; this program reads versions 1 and 2"),
        (b"\x01anything", "damaged snapshot"),
        (b"\x02anything", "damaged snapshot"),
        (pack_scope(_scope())[:-3], "damaged snapshot"),
    ],
)
def test_other_snapshots_are_refused(snapshot: bytes, message: str):
    """With one kind of error, which says why."""
    with pytest.raises(SnapshotError, match=message):
        unpack_scope(snapshot)
