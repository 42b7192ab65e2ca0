"""Sequences by their definition: plain, slow, over all events at once.

Written from the definition and not from the machine: no pending partials, no state that moves.
For one join key, a partial that ends at stage p with event i is *current* for the events from
i + 1 up to and with the next event that ends a partial of stage p. The first event of stage p + 1
among them takes it. Times are milliseconds where missing events are concerned, nanoseconds else.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Term:
    """One step: which letter an event must carry, and the fields that are its join key."""

    letter: str
    keys: list[tuple[str, bool]]  # field, is optional
    runs: int = 1
    is_missing: bool = False


@dataclass
class Definition:
    """A sequence query in plain parts."""

    terms: list[Term]
    maxspan_ns: int | None = None
    until: Term | None = None
    stages: list[Term] = field(init=False)

    def __post_init__(self) -> None:
        self.stages = [t for t in self.terms if not t.is_missing for _ in range(t.runs)]


@dataclass
class Happening:
    """An event in plain parts; ``fields`` maps a name to its list of values."""

    ident: int
    ns: int
    letters: set[str]
    fields: dict[str, list[Any]]


def _typed(value: Any) -> tuple[str, Any]:
    kind = "number" if type(value) in (int, float) else type(value).__name__
    return (kind, value)


def keys_of(happening: Happening, term: Term) -> set[tuple[Any, ...]]:
    """All join keys with which an event matches a term."""
    if term.letter not in happening.letters:
        return set()
    columns = []
    for name, is_optional in term.keys:
        values = [value for value in happening.fields.get(name, []) if value is not None]
        if values:
            columns.append({_typed(value) for value in values})
        elif is_optional:
            columns.append({("null", None)})
        else:
            return set()
    return set(itertools.product(*columns))


def find_sequences(
    definition: Definition, happenings: list[Happening]
) -> list[tuple[int | None, ...]]:
    """All sequences among events that are in ordinal order, as ids; sorted."""
    terms = [*definition.terms, *([definition.until] if definition.until else [])]
    keys = set().union(*(keys_of(h, term) for h in happenings for term in terms), set())
    return sorted(
        (ids for key in keys for ids in _sequences_of_key(definition, happenings, key)),
        key=repr,
    )


def _sequences_of_key(definition: Definition, happenings: list[Happening], key: Any):
    def places(term: Term) -> list[int]:
        return [i for i, h in enumerate(happenings) if key in keys_of(h, term)]

    stages = [places(term) for term in definition.stages]
    until = places(definition.until) if definition.until else []
    chains = [(i,) for i in stages[0]]
    for hits in stages[1:]:
        chains = _next_stage(chains, hits, until, happenings, definition.maxspan_ns)
    for chain in chains:
        if not _is_discarded(definition, happenings, chain, places):
            yield _ids(definition, happenings, chain)


def _next_stage(chains, hits, until, happenings, maxspan_ns):
    longer = []
    for number, chain in enumerate(chains):
        start = chain[-1]
        end = chains[number + 1][-1] if number + 1 < len(chains) else len(happenings)
        takers = [hit for hit in hits if start < hit <= end]
        if not takers:
            continue
        taker = takers[0]
        if any(start <= u < taker for u in until):
            continue
        if maxspan_ns is not None and happenings[taker].ns - happenings[chain[0]].ns > maxspan_ns:
            continue
        longer.append((*chain, taker))
    return longer


def _is_discarded(definition, happenings, chain, places) -> bool:
    times = [happenings[i].ns // 1_000_000 for i in chain]
    span = (definition.maxspan_ns or 0) // 1_000_000
    before: list[int] = []
    after: list[int] = []
    stage = 0
    has_leading = has_trailing = False
    for term in definition.terms:
        if not term.is_missing:
            stage += term.runs
            continue
        missing = [happenings[i].ns // 1_000_000 for i in places(term)]
        if stage == 0:
            has_leading = True
            before += [hit for hit in missing if hit < times[0]]
        elif stage == len(times):
            has_trailing = True
            after += [hit for hit in missing if hit > times[-1]]
        elif any(times[stage - 1] < hit < times[stage] for hit in missing):
            return True
    if has_leading and has_trailing:
        return bool(before and after and min(after) - max(before) <= span)
    if has_leading:
        return bool(before and times[-1] - max(before) <= span)
    return bool(has_trailing and after and min(after) - times[0] <= span)


def _ids(definition, happenings, chain) -> tuple[int | None, ...]:
    idents = iter(happenings[i].ident for i in chain)
    return tuple(
        None if term.is_missing else next(idents)
        for term in definition.terms
        for _ in range(term.runs)
    )
