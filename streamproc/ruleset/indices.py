"""Which rules look at an event, by the index that it would lie in.

An event names its index with three fields: ``{data_stream.type}-{data_stream.dataset}-
{data_stream.namespace}``. An event that lacks any of the three is offered to every rule: a
missing label must not be a way around a rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.rule import Rule

# Names come from events, so a hostile sender could invent a new one for each. Real deployments
# have some hundreds of data streams.
INDEX_NAMES_MAX = 4_096

# Elasticsearch's own limit, in bytes. A longer name is no index, so it chooses no rules either.
INDEX_NAME_LENGTH_MAX = 255

_PARTS = ("data_stream.type", "data_stream.dataset", "data_stream.namespace")


class EventView(Protocol):
    """The part of ``streamproc.eql.event.Event`` that is needed here."""

    def values(self, path: str) -> tuple[object, ...]:
        """Return the scalars at a field path."""


def index_name(event: EventView) -> str | None:
    """Return the name of the index that an event belongs to, None if it does not say (or lies)."""
    parts = []
    for path in _PARTS:
        values = event.values(path)
        # An array of several names chooses no index: it must not choose away from a rule either.
        if len(values) != 1 or not isinstance(values[0], str) or not values[0]:
            return None
        parts.append(values[0])
    name = "-".join(parts)
    return name if len(name) <= INDEX_NAME_LENGTH_MAX else None


class IndexSelector:
    """Chooses rules by index name; remembers the answer for each of the names seen."""

    def __init__(self, rules: Sequence[Rule], breathe: Breathe = go_on) -> None:
        self._patterns = [rule.indices for rule in rules]
        self._compiled: dict[str, re.Pattern[str]] = {}
        for patterns in self._patterns:
            for pattern in patterns:
                if pattern not in self._compiled:
                    self._compiled[pattern] = _compile(pattern)
            breathe()
        self._known: dict[str, frozenset[int]] = {}

    def applicable(self, event: EventView) -> frozenset[int] | None:
        """Return the positions of the rules that look at an event; None stands for all."""
        name = index_name(event)
        return None if name is None else self.positions(name)

    def applies(self, event: EventView, position: int) -> bool:
        """Return whether the rule at ``position`` looks at an event."""
        applicable = self.applicable(event)
        return applicable is None or position in applicable

    def positions(self, name: str) -> frozenset[int]:
        """Return the positions of the rules that look at an index."""
        known = self._known.get(name)
        if known is None:
            hits = {text: bool(found.fullmatch(name)) for text, found in self._compiled.items()}
            known = frozenset(
                position
                for position, patterns in enumerate(self._patterns)
                if _is_chosen(patterns, hits)
            )
            if len(self._known) < INDEX_NAMES_MAX:
                self._known[name] = known
        return known


def _is_chosen(patterns: Sequence[str], hits: dict[str, bool]) -> bool:
    """Apply patterns in order; ``-pattern`` takes away what those before it gave."""
    is_chosen = all(pattern.startswith("-") for pattern in patterns)
    for pattern in patterns:
        if hits[pattern]:
            is_chosen = not pattern.startswith("-")
    return is_chosen


def _compile(pattern: str) -> re.Pattern[str]:
    # The cluster of ``cluster:logs-*`` says where Elasticsearch would search, not what.
    bare = pattern.removeprefix("-").rpartition(":")[2]
    return re.compile(".*".join(re.escape(part) for part in bare.split("*")), re.DOTALL)
