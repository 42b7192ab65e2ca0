"""Sequences: which events, in which order, complete ``sequence by ... [a] [b] until [c]``.

Law of the file: the machine sees events in ordinal order (timestamp, tiebreaker, arrival), one at
a time, and its whole state is plain values in ``SequenceState``. Sorting, lateness, storage and
outputs are other files' work. The rules are Elasticsearch's (``SequenceMatcher``): one pending
partial for each key and stage, the newest wins, a hit consumes it, stages are tried last to first,
``until`` comes after them, and missing events only filter completed matches.

Missing events compare timestamps in milliseconds and strictly: a missing event at the very time
of a neighbour does not count.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.nodes import Field, Sequence, SequenceTerm

JoinKey: TypeAlias = tuple[Any, ...]
"""Values of the join fields; booleans stand as ``("bool", value)`` for Python's ``True == 1``."""

NS_PER_MS = 1_000_000

# Expiring walks over all keys; it only frees memory here, so it is done once in a while.
EXPIRE_EVERY = 4096
_NEVER = 1 << 80


class Step(NamedTuple):
    """One event as a sequence sees it: its place in time, what it can do, and what it was.

    Attributes:
        timestamp_ns: Event time, nanoseconds since the epoch.
        hits: What it matches: pairs of place and join keys. A place is a stage number (0..n-1),
            ``-1`` for until, ``-2 - g`` for missing-event gap ``g``.
        payload: Whatever the caller wants back in a match.
    """

    timestamp_ns: int
    hits: tuple[tuple[int, tuple[JoinKey, ...]], ...]
    payload: Any


UNTIL = -1


def gap_place(gap: int) -> int:
    """Return the place number of missing-event gap ``gap`` in ``Step.hits``."""
    return -2 - gap


class Match(NamedTuple):
    """A completed sequence: its join key and its steps, one for each positive stage."""

    key: JoinKey
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Waiting:
    """A completed match that a trailing missing event may still discard."""

    match: Match
    deadline_ms: int  # the span has passed when stream time is later than this


@dataclass(slots=True)
class KeyState:
    """State of one join key: a partial for each stage but the last, and recent missing events."""

    pending: list[tuple[Step, ...] | None]
    gap_hits_ms: list[list[int]]  # ascending, for each gap
    waiting: list[Waiting] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Return whether nothing would be lost if this state were forgotten."""
        return not any(self.pending) and not any(self.gap_hits_ms) and not self.waiting


SequenceState: TypeAlias = dict[JoinKey, KeyState]


@dataclass(frozen=True, slots=True)
class _Place:
    """One step of the query, compiled: its filter and how to read its join keys."""

    place: int
    matches: Callable[[Event], bool]
    key_fields: tuple[tuple[str, bool], ...]  # path, is optional

    def keys(self, event: Event) -> tuple[JoinKey, ...]:
        """Return every join key of the event: none where a required field is missing."""
        columns: list[tuple[Any, ...]] = []
        for path, is_optional in self.key_fields:
            # In the order of Elasticsearch's doc values: sorted.
            values = tuple(sorted(set(map(_key_value, event.values(path))), key=_sort_key))
            if not values:
                if not is_optional:
                    return ()
                values = (None,)
            columns.append(values)
        return tuple(itertools.product(*columns))


def _key_value(value: Any) -> Any:
    return ("bool", value) if isinstance(value, bool) else value


def _sort_key(value: Any) -> tuple[str, Any]:
    return ("", value) if isinstance(value, int | float) else (type(value).__name__, value)


@dataclass(frozen=True, slots=True)
class _Gap:
    """A missing-event filter between positive stages ``after`` and ``after + 1``."""

    after: int  # -1: leading


class SequenceMachine:
    """A compiled sequence query. Holds no state of its own: callers own ``SequenceState``.

    Attributes:
        maxspan_ns: The span, nanoseconds; None without ``maxspan``.
        stages: Number of positive stages after ``runs`` are expanded.
        layout: For each position of a result, the stage that fills it, or None for a
            missing-event position.
    """

    def __init__(self, sequence: Sequence, options: CompileOptions) -> None:
        self.maxspan_ns = None if sequence.maxspan_ms is None else sequence.maxspan_ms * NS_PER_MS
        self.layout: list[int | None] = []
        self._gaps: list[_Gap] = []
        self._places: list[_Place] = []
        stage = 0
        for term in sequence.terms:
            if term.is_missing:
                place = gap_place(len(self._gaps))
                self._gaps.append(_Gap(after=stage - 1))
                self._places.append(_compile_place(place, term, sequence, options))
                self.layout.extend([None] * term.runs)
                continue
            compiled = _compile_place(stage, term, sequence, options)
            for _ in range(term.runs):
                self._places.append(_Place(stage, compiled.matches, compiled.key_fields))
                self.layout.append(stage)
                stage += 1
        self.stages = stage
        if sequence.until is not None:
            self._places.append(_compile_place(UNTIL, sequence.until, sequence, options))
        self._has_trailing = any(gap.after == stage - 1 for gap in self._gaps)
        self._has_leading = any(gap.after == -1 for gap in self._gaps)

    def hits(self, event: Event) -> tuple[tuple[int, tuple[JoinKey, ...]], ...]:
        """Return what the event can do in this sequence; empty when it can be forgotten."""
        found = []
        previous: _Place | None = None
        keys: tuple[JoinKey, ...] = ()
        for place in self._places:
            if previous is None or place.matches is not previous.matches:
                keys = place.keys(event) if place.matches(event) else ()
            previous = place
            if keys:
                found.append((place.place, keys))
        return tuple(found)

    def advance(self, state: SequenceState, step: Step) -> list[Match]:
        """Move the state by one event and return the matches that are settled by it.

        Trailing missing events settle later: ``expire`` returns those matches.
        """
        places = dict(step.hits)
        completed: list[Match] = []
        for stage in range(self.stages - 1, 0, -1):
            for key in places.get(stage, ()):
                self._extend(state, key, stage, step, completed)
        for key in places.get(0, ()):
            self._start(state, key, step, completed)
        for key in places.get(UNTIL, ()):
            if key in state:
                state[key].pending = [None] * (self.stages - 1)
        settled = [match for match in completed if self._is_settled(state, match)]
        for gap in range(len(self._gaps)):
            for key in places.get(gap_place(gap), ()):
                self._record_missing(state, key, gap, step.timestamp_ns // NS_PER_MS)
        return settled

    def expire(self, state: SequenceState, now_ns: int) -> list[Match]:
        """Return matches whose trailing span has passed, and drop what can no longer matter.

        Args:
            state: Moved in place.
            now_ns: Stream time: no event earlier than this will be seen any more.
        """
        now_ms = now_ns // NS_PER_MS
        settled: list[Match] = []
        for key in list(state):
            key_state = state[key]
            due = [item for item in key_state.waiting if now_ms > item.deadline_ms]
            if due:
                settled.extend(item.match for item in due)
                key_state.waiting = [i for i in key_state.waiting if now_ms <= i.deadline_ms]
            self._drop_outdated(key_state, now_ns)
            if key_state.is_empty():
                del state[key]
        return settled

    def expiry_ns(self, state: SequenceState) -> int:
        """Return the stream time after which ``expire`` would settle or drop something."""
        span_ns = self.maxspan_ns or 0
        earliest = _NEVER
        for key_state in state.values():
            for partial in key_state.pending:
                if partial is not None and self.maxspan_ns is not None:
                    earliest = min(earliest, partial[0].timestamp_ns + span_ns)
            for item in key_state.waiting:
                earliest = min(earliest, (item.deadline_ms + 1) * NS_PER_MS - 1)
            for hits in key_state.gap_hits_ms:
                if hits:
                    earliest = min(earliest, (hits[0] + 1) * NS_PER_MS + span_ns)
        return earliest

    def results(self, match: Match) -> tuple[Any | None, ...]:
        """Return the payloads of a match by result position; None for a missing event."""
        return tuple(None if stage is None else match.steps[stage].payload for stage in self.layout)

    def _key_state(self, state: SequenceState, key: JoinKey) -> KeyState:
        found = state.get(key)
        if found is None:
            found = KeyState([None] * (self.stages - 1), [[] for _ in self._gaps])
            state[key] = found
        return found

    def _extend(
        self, state: SequenceState, key: JoinKey, stage: int, step: Step, completed: list[Match]
    ) -> None:
        key_state = state.get(key)
        partial = None if key_state is None else key_state.pending[stage - 1]
        if key_state is None or partial is None:
            return
        key_state.pending[stage - 1] = None
        if self._exceeds_span(partial[0], step.timestamp_ns):
            return
        if stage == self.stages - 1:
            completed.append(Match(key, (*partial, step)))
        else:
            key_state.pending[stage] = (*partial, step)

    def _start(
        self, state: SequenceState, key: JoinKey, step: Step, completed: list[Match]
    ) -> None:
        if self.stages == 1:  # a single positive stage beside missing events
            self._key_state(state, key)
            completed.append(Match(key, (step,)))
        else:
            self._key_state(state, key).pending[0] = (step,)

    def _exceeds_span(self, first: Step, now_ns: int) -> bool:
        return self.maxspan_ns is not None and now_ns - first.timestamp_ns > self.maxspan_ns

    def _is_settled(self, state: SequenceState, match: Match) -> bool:
        """Decide a completed match; False when it is discarded or put to wait."""
        if not self._gaps:
            return True
        key_state = self._key_state(state, match.key)
        times = [step.timestamp_ns // NS_PER_MS for step in match.steps]
        lead: int | None = None
        for gap, hits in zip(self._gaps, key_state.gap_hits_ms, strict=True):
            if gap.after == -1:
                before = [hit for hit in hits if hit < times[0]]
                lead = max([*before, *([] if lead is None else [lead])], default=None)
            elif gap.after < self.stages - 1 and any(
                times[gap.after] < hit < times[gap.after + 1] for hit in hits
            ):
                return False
        return self._is_settled_outside(key_state, match, times, lead)

    def _is_settled_outside(
        self, key_state: KeyState, match: Match, times: list[int], lead: int | None
    ) -> bool:
        span_ms = (self.maxspan_ns or 0) // NS_PER_MS
        if not self._has_trailing:
            return lead is None or times[-1] - lead > span_ms
        if self._has_leading and lead is None:
            return True
        deadline = (times[0] if lead is None else lead) + span_ms
        key_state.waiting.append(Waiting(match, deadline))
        return False

    def _record_missing(self, state: SequenceState, key: JoinKey, gap: int, hit_ms: int) -> None:
        key_state = self._key_state(state, key)
        if self._gaps[gap].after == self.stages - 1:
            # Only matches that ended strictly earlier can be discarded by it.
            key_state.waiting = [
                item
                for item in key_state.waiting
                if hit_ms > item.deadline_ms
                or hit_ms <= item.match.steps[-1].timestamp_ns // NS_PER_MS
            ]
            return
        hits = key_state.gap_hits_ms[gap]
        if not hits or hits[-1] != hit_ms:
            hits.append(hit_ms)

    def _drop_outdated(self, key_state: KeyState, now_ns: int) -> None:
        if self.maxspan_ns is None:
            return
        for stage, partial in enumerate(key_state.pending):
            if partial is not None and self._exceeds_span(partial[0], now_ns):
                key_state.pending[stage] = None
        oldest_ms = (now_ns - self.maxspan_ns) // NS_PER_MS
        for hits in key_state.gap_hits_ms:
            if hits and hits[0] < oldest_ms:
                hits[:] = [hit for hit in hits if hit >= oldest_ms]


def _compile_place(
    place: int, term: SequenceTerm, sequence: Sequence, options: CompileOptions
) -> _Place:
    keys = (*sequence.keys, *term.keys)
    return _Place(
        place,
        compile_event_query(term.query, options),
        tuple(_key_field(key, options) for key in keys),
    )


def _key_field(key: Field, options: CompileOptions) -> tuple[str, bool]:
    return key.path, key.is_optional


def run_sequence(machine: SequenceMachine, steps: Iterator[Step]) -> list[Match]:
    """Run a machine over events already in ordinal order and settle everything at the end.

    Returns:
        Matches ordered by their last event; those of one last event by when their join key
        first appeared.
    """
    state: SequenceState = {}
    found: list[Match] = []
    order: dict[int, int] = {}
    ranks: dict[JoinKey, int] = {}
    for number, step in enumerate(steps):
        order[id(step)] = number
        for place, keys in step.hits:
            for key in keys if place == 0 else ():
                ranks.setdefault(key, len(ranks))
        found.extend(machine.advance(state, step))
        if number % EXPIRE_EVERY == 0:
            found.extend(machine.expire(state, step.timestamp_ns))
    for key_state in state.values():
        found.extend(item.match for item in key_state.waiting)
    return sorted(found, key=lambda match: (order[id(match.steps[-1])], ranks[match.key]))
