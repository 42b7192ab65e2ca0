"""Traces of sequences: they complete what a search finds, and say what became of the rest."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql import compile_query
from streamproc.eql.nodes import Sequence
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence_trace import Change, Note, place_labels


def events(letters: str, seconds: list[int] | None = None) -> list[dict[str, Any]]:
    """One event for each letter, a second apart unless told otherwise, all of one host."""
    seconds = seconds or list(range(len(letters)))
    return [
        {"@timestamp": 1_000 * second, "event": {"category": letter}, "host": {"id": "h"}}
        for letter, second in zip(letters, seconds, strict=True)
    ]


def notes(query: str, given: list[dict[str, Any]]) -> list[list[tuple[str, tuple[int, ...]]]]:
    """What each event changed, in the order of time, and then what was settled at the end."""
    trace = compile_query(query).trace(given)
    shown = [entry.notes for entry in trace.entries]
    return [[(note.change.name, note.events) for note in part] for part in (*shown, trace.at_end)]


PAIR = "sequence by host.id with maxspan=10s [a where true] [b where true]"
TRIPLE = "sequence by host.id [a where true] [b where true] [c where true]"
GAP = "sequence by host.id with maxspan=10s [a where true] ![x where true] [b where true]"
TRAILING = "sequence by host.id with maxspan=10s [a where true] [b where true] ![x where true]"
LEADING = "sequence by host.id with maxspan=10s ![x where true] [a where true] [b where true]"


@pytest.mark.parametrize(
    ("query", "given", "expected"),
    [
        (PAIR, events("ab"), [[("STARTED", (0,))], [("COMPLETED", (0, 1))], []]),
        (
            PAIR,
            events("aa"),
            [[("STARTED", (0,))], [("REPLACED", (0,)), ("STARTED", (1,))], []],
        ),
        (PAIR, events("ab", [0, 11]), [[("STARTED", (0,))], [("TOO_LONG", (0, 1))], []]),
        (PAIR, events("ba"), [[], [("STARTED", (1,))], []]),
        (PAIR, events("ba", [5, 1]), [[("STARTED", (1,))], [("COMPLETED", (1, 0))], []]),
        (
            TRIPLE,
            events("abab"),
            [
                [("STARTED", (0,))],
                [("EXTENDED", (0, 1))],
                [("STARTED", (2,))],
                [("REPLACED", (0, 1)), ("EXTENDED", (2, 3))],
                [],
            ],
        ),
        (
            TRIPLE + " until [u where true]",
            events("abu"),
            [[("STARTED", (0,))], [("EXTENDED", (0, 1))], [("STOPPED", (0, 1))], []],
        ),
        (
            GAP,
            events("axb"),
            [[("STARTED", (0,))], [("SPOILT", (0,))], [("MISSING", (0, 2))], []],
        ),
        (
            TRAILING,
            events("abx"),
            [[("STARTED", (0,))], [("WAITING", (0, 1))], [("MISSING", (0, 1))], []],
        ),
        (
            TRAILING,
            events("abz", [0, 1, 20]),
            [[("STARTED", (0,))], [("WAITING", (0, 1))], [("SETTLED", (0, 1))], []],
        ),
        (
            TRAILING,
            events("ab"),
            [[("STARTED", (0,))], [("WAITING", (0, 1))], [("SETTLED", (0, 1))]],
        ),
        (
            LEADING,
            events("xab"),
            [[("LED", ())], [("STARTED", (1,))], [("MISSING", (1, 2))], []],
        ),
    ],
)
def test_every_change_is_noted(query: str, given: list[dict[str, Any]], expected: list[Any]):
    """What began, went on, completed or was dropped, with the events that it held."""
    assert notes(query, given) == expected


def test_entry_says_steps_keys_and_state():
    """An event that does two things does them last step first; the state is what is left."""
    query = "sequence by ?user.id [a where true] with runs=2 [any where x == 1]"
    given = [
        {"@timestamp": n, "event.category": "a", "user.id": ["u", "v"], "x": n} for n in (1, 2)
    ]
    first, second = compile_query(query).trace(given).entries
    both = (("u",), ("v",))

    assert first.steps == (("step 1, run 1", both), ("step 1, run 2", both), ("step 2", both))
    assert [(item.key, item.step, item.events) for item in first.pending] == [
        (("u",), "step 1, run 1", (0,)),
        (("v",), "step 1, run 1", (0,)),
    ]
    assert Note(Change.EXTENDED, ("v",), (0, 1)) in second.notes
    assert [step for step, _ in second.steps] == ["step 1, run 1", "step 1, run 2"]


def test_state_says_what_will_complete_nothing():
    """A partial may be over time, or spoilt by an event that had to be missing."""
    last = compile_query(GAP).trace(events("axx", [0, 1, 11])).entries[-1]

    assert [(item.is_expired, item.is_spoilt) for item in last.pending] == [(True, True)]


def test_labels_count_steps_as_written():
    """Runs are told apart, missing steps and until are named."""
    body = parse_query(f"{GAP} with runs=2 until [u where true]").body
    assert isinstance(body, Sequence)

    assert sorted(place_labels(body).values()) == [
        "step 1",
        "step 2 (missing)",
        "step 3, run 1",
        "step 3, run 2",
        "until",
    ]


def test_event_query_has_no_trace():
    with pytest.raises(TypeError, match="only a sequence"):
        compile_query("any where true").trace([])


QUERIES = (PAIR, TRIPLE, GAP, TRAILING, LEADING)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_trace_completes_what_a_search_finds(seed: int):
    """The same sequences for any stream; and nothing begins that is not accounted for."""
    rng = Random(seed)
    query = rng.choice(QUERIES) + rng.choice(("", " until [u where true]"))
    length = rng.randrange(14)
    given = events(
        "".join(rng.choices("abcxu", k=length)), [rng.randrange(25) for _ in range(length)]
    )
    for event in given:
        event["host"]["id"] = rng.choice(("h", ["h", "i"], "i"))
    compiled = compile_query(query)
    found = [
        tuple(next(n for n, item in enumerate(given) if item is event) for event in result if event)
        for result in compiled.search(given)
    ]
    trace = compiled.trace(given)

    assert sorted(trace.completed) == sorted(found)
    everything = [*(note for entry in trace.entries for note in entry.notes), *trace.at_end]
    starts = sum(note.change is Change.STARTED for note in everything)
    ends = (Change.COMPLETED, Change.SETTLED, Change.REPLACED, Change.TOO_LONG, Change.MISSING)
    ended = sum(note.change in (*ends, Change.STOPPED) for note in everything)
    assert ended <= starts
