"""Random sequence queries and streams, in plain parts and as EQL text and documents."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.eql.sequence_reference import Definition, Happening, Term

LETTERS = "abc"
START_NS = 1_700_000_000_000_000_000
# Close together, with pairs inside one millisecond and at the same nanosecond.
STEPS_NS = [0, 0, 1, 400_000, 1_000_000, 600_000_000, 1_000_000_000, 2_000_000_000, 7_000_000_000]


@st.composite
def definitions(draw: st.DrawFn, *, needs_span: bool = False) -> Definition:
    """A query that the language accepts."""
    common = draw(st.sampled_from([[], [("k", False)], [("k", True)], [("k", False), ("j", True)]]))
    has_own_keys = draw(st.booleans())

    def term(can_miss: bool = True) -> Term:
        own = [(draw(st.sampled_from("kj")), draw(st.booleans()))] if has_own_keys else []
        return Term(
            letter=draw(st.sampled_from(LETTERS)),
            keys=[*common, *own],
            runs=draw(st.sampled_from([1, 1, 1, 1, 2, 3])),
            is_missing=can_miss and draw(st.sampled_from([False, False, True])),
        )

    terms = [term() for _ in range(draw(st.integers(1, 3)))]
    if all(t.is_missing for t in terms):
        terms.append(term(can_miss=False))
    if sum(t.runs for t in terms) < 2:
        terms.insert(draw(st.integers(0, 1)), term())
    spans = [1_000_000_000, 5_000_000_000, 20_000_000_000, 60_000_000_000]
    maxspan_ns = draw(st.sampled_from(spans if needs_span else [None, *spans]))
    if maxspan_ns is None and any(t.is_missing for t in terms):
        maxspan_ns = 5_000_000_000
    until = term(can_miss=False) if draw(st.integers(0, 3)) == 0 else None
    if until is not None:
        until.runs = 1
    return Definition(terms, maxspan_ns, until)


def query_text(definition: Definition) -> str:
    """The query as EQL."""
    parts = ["sequence"]
    if definition.maxspan_ns is not None:
        parts.append(f"with maxspan={definition.maxspan_ns // 1_000_000}ms")
    for term in definition.terms:
        parts.append("!" + _term_text(term) if term.is_missing else _term_text(term))
    if definition.until is not None:
        parts.append("until " + _term_text(definition.until))
    return " ".join(parts)


def _term_text(term: Term) -> str:
    text = f'[any where letter == "{term.letter}"]'
    if term.keys:
        text += " by " + ", ".join("?" * optional + name for name, optional in term.keys)
    return text + (f" with runs={term.runs}" if term.runs > 1 else "")


# Mostly one key, so that sequences come about; also several, none, null and equal ones.
VALUES: list[list[Any]] = [[1]] * 12 + [[2], [2], ["x"], [], [None], [1, 2], [1.0, "1"]]
VALUES += [[True, 1], ["x", "x", None]]
LETTER_SETS = [*LETTERS, *LETTERS, "ab", "bc", "ac", "abc"]
_MOMENTS = st.tuples(
    st.sampled_from(STEPS_NS),
    st.sampled_from(LETTER_SETS),
    st.sampled_from(VALUES),
    st.sampled_from(VALUES),
)


def streams(*, least: int = 10, most: int = 24) -> st.SearchStrategy[list[Happening]]:
    """Events in the order of their time; ids count from 0."""
    return st.lists(_MOMENTS, min_size=least, max_size=most).map(_happenings)


def _happenings(moments: list[tuple[int, str, list[Any], list[Any]]]) -> list[Happening]:
    found: list[Happening] = []
    ns = START_NS
    for ident, (step_ns, letters, k, j) in enumerate(moments):
        ns += step_ns
        found.append(Happening(ident, ns, set(letters), {"k": k, "j": j}))
    return found


def document(happening: Happening, tiebreaker: Any = None) -> dict[str, Any]:
    """The event as JSON."""
    seconds, nanoseconds = divmod(happening.ns - START_NS, 1_000_000_000)
    minutes, seconds = divmod(seconds + 20, 60)
    return {
        "@timestamp": f"2023-11-14T22:{13 + minutes:02d}:{seconds:02d}.{nanoseconds:09d}Z",
        "id": happening.ident,
        "letter": sorted(happening.letters),
        "tie": tiebreaker,
        **happening.fields,
    }
