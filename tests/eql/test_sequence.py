"""Sequences by example: what the published cases leave open; see also the property tests."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.eql import compile_query
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.nodes import Sequence
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import JOIN_KEYS_MAX, SequenceMachine


def _find(query: str, events: list[tuple[Any, ...]], **options: Any) -> list[list[Any]]:
    """Events are (category, milliseconds or None, key); results are positions in the list."""
    documents: list[dict[str, Any]] = []
    for number, (category, at_ms, k) in enumerate(events):
        document = {"event.category": category, "k": k, "n": number}
        documents.append(document if at_ms is None else {**document, "@timestamp": at_ms})
    found = compile_query(query, **options).search(documents)
    return [[None if event is None else event["n"] for event in result] for result in found]


@pytest.mark.parametrize(
    ("query", "events", "expected"),
    [
        # Keys are typed; a boolean is no number, 1 and 1.0 are one number.
        ("[a where true] [b where true]", [("a", 1, 1), ("b", 2, True)], []),
        ("[a where true] [b where true]", [("a", 1, 1), ("b", 2, "1")], []),
        ("[a where true] [b where true]", [("a", 1, 1), ("b", 2, 1.0)], [[0, 1]]),
        # Several values: once for each that both have, in sorted order.
        ("[a where true] [b where true]", [("a", 1, [2, 1, 2]), ("b", 2, [1, 2])], [[0, 1]] * 2),
        # An event without a time is last of all and beyond any span, but not out of order.
        ("[a where true] [b where true]", [("b", None, 1), ("a", 1, 1)], [[1, 0]]),
        ("[a where true] [b where true]", [("b", None, 1), ("a", None, 1)], []),
        ("with maxspan=1h [a where true] [b where true]", [("b", None, 1), ("a", 1, 1)], []),
        # head and tail count sequences.
        (
            "[a where true] [b where true] | tail 1",
            [("a", 1, 1), ("b", 2, 1), ("a", 3, 1), ("b", 4, 1)],
            [[2, 3]],
        ),
        # A leading missing event discards to the last millisecond of the span.
        (
            "with maxspan=1s ![c where true] [a where true] [b where true]",
            [("c", 0, 1), ("a", 500, 1), ("b", 1000, 1)],
            [],
        ),
        (
            "with maxspan=1s ![c where true] [a where true] [b where true]",
            [("c", 0, 1), ("a", 500, 1), ("b", 1001, 1)],
            [[None, 1, 2]],
        ),
        # A match that waited for its trailing gap keeps the place of its last event.
        (
            "with maxspan=1s [a where true] ![b where true]",
            [("a", 1, 1), ("a", 2, 2), ("b", 3, 2), ("a", 4, 3)],
            [[0, None], [3, None]],
        ),
    ],
)
def test_search_finds_sequences(
    query: str, events: list[tuple[Any, ...]], expected: list[list[Any]]
) -> None:
    """Tuples of events, in the order of their last event."""
    assert _find(f"sequence by k {query}", events) == expected


def test_an_optional_key_outside_the_mapping_is_null():
    """Whatever the events hold; a required one is read."""
    events = [("a", 1, 1), ("b", 2, 2)]
    query = "sequence by {}k [a where true] [b where true]"

    assert _find(query.format("?"), events, mapped_fields=["n"]) == [[0, 1]]
    assert _find(query.format("?"), events, mapped_fields=["k"]) == []
    assert _find(query.format(""), events, mapped_fields=["n"]) == []


def test_an_event_has_a_limit_of_join_keys():
    """Every combination of two arrays of thousands would be millions."""
    query = parse_query("sequence by k, j [a where true] [b where true]").body
    assert isinstance(query, Sequence)
    machine = SequenceMachine(query, CompileOptions())
    many = list(range(5_000))

    ((place, keys),) = machine.hits(Event({"event.category": "a", "k": many, "j": many}))

    assert place == 0
    assert len(set(keys)) == JOIN_KEYS_MAX


def test_steps_with_one_query_have_their_own_keys():
    """Equal steps may be one compiled matcher; their join keys are still each step's."""
    text = 'sequence [any where a == "x"] by k [any where a == "x"] by j'
    body = parse_query(text).body
    assert isinstance(body, Sequence)
    machine = SequenceMachine(body, CompileOptions(leaf_cache={}))
    assert machine.hits(Event({"a": "x", "k": 1, "j": 2})) == ((0, ((1,),)), (1, ((2,),)))
