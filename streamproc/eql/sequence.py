"""Sequences: which events, in which order, complete ``sequence by ... [a] [b] until [c]``.

Law of the file: the machine sees events in ordinal order (timestamp, tiebreaker, arrival), one at
a time, and its whole state is plain values in ``SequenceState``. Sorting, lateness, storage and
outputs are other files' work. The rules are Elasticsearch's (``SequenceMatcher``): one pending
partial for each key and stage, the newest wins, a hit consumes it, stages are tried last to first,
``until`` comes after them, and missing events only filter completed matches.

Missing events compare timestamps in milliseconds and strictly: a missing event at the very time
of a neighbour does not count. Instead of keeping them, a partial carries what they say about it,
so that the state of a key has a fixed size (but for matches waiting for a trailing one).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import Any, NamedTuple, TypeAlias

from streamproc.eql.compiler import CompileOptions, Matcher, compile_event_query
from streamproc.eql.event import Event, FieldPath, field_path
from streamproc.eql.nodes import Field, Sequence, SequenceTerm

JoinKey: TypeAlias = tuple[Any, ...]
"""Values of the join fields; booleans stand as ``("bool", value)`` for Python's ``True == 1``."""
Hits: TypeAlias = tuple[tuple[int, tuple[JoinKey, ...]], ...]
"""What an event can do in a sequence: pairs of a place and the join keys it has there.

A place is a stage number (0..n-1), ``UNTIL``, or ``gap_place(g)`` for missing-event gap ``g``.
"""

NS_PER_MS = 1_000_000
UNTIL = -1
JOIN_KEYS_MAX = 1_000
"""Join keys that one event may have at one place.

Every combination of the values of multi-valued join fields is a key: without a bound, one crafted
event with two arrays of 10,000 values would have a hundred million. Further ones are left out.
"""


def gap_place(gap: int) -> int:
    """Return the place number of missing-event gap ``gap``."""
    return -2 - gap


class Step(NamedTuple):
    """One event as a sequence sees it.

    Attributes:
        timestamp_ns: Event time, nanoseconds since the epoch.
        hits: What it can do.
        payload: Whatever the caller wants back in a match.
    """

    timestamp_ns: int
    hits: Hits
    payload: Any


class Taken(NamedTuple):
    """An event that a partial sequence or a match holds."""

    timestamp_ns: int
    payload: Any


class Partial(NamedTuple):
    """A sequence begun.

    Attributes:
        events: One for each stage reached.
        lead_ms: Time of the last leading missing event before the first event.
        gap_ms: Time of the first missing event after the last event.
        is_spoilt: A missing event lay between two of its events. It still takes the place of
            older partials, but completes nothing.
    """

    events: tuple[Taken, ...]
    lead_ms: int | None = None
    gap_ms: int | None = None
    is_spoilt: bool = False


class Match(NamedTuple):
    """A completed sequence: its join key and its events, one for each positive stage."""

    key: JoinKey
    events: tuple[Taken, ...]


class Completion(NamedTuple):
    """A match, and until when a trailing missing event may discard it.

    Attributes:
        match: What was completed.
        deadline_ms: None: nothing can discard it any more. Otherwise it is kept in the state, and
            ``SequenceMachine.settle`` returns it when stream time is later than this.
    """

    match: Match
    deadline_ms: int | None


@dataclass(slots=True)
class KeyState:
    """State of one join key.

    Attributes:
        pending: A partial for each stage but the last.
        leads_ms: Times of the last two leading missing events of different times. Two, because
            one at the time of the first event does not count, but the one before it does.
        waiting: Matches that a trailing missing event may still discard: (deadline, match).
        touched_ns: Event time of the last event that left something here.
    """

    pending: list[Partial | None]
    leads_ms: list[int] = field(default_factory=list)
    waiting: list[tuple[int, Match]] = field(default_factory=list)
    touched_ns: int = 0

    def is_empty(self) -> bool:
        """Return whether nothing would be lost if this state were forgotten."""
        return not self.leads_ms and not self.waiting and not any(self.pending)


SequenceState: TypeAlias = OrderedDict[JoinKey, KeyState]
"""The keys of a sequence that hold something; the key touched longest ago comes first."""


@dataclass(frozen=True, slots=True)
class _KeyField:
    """A join field; ``path`` None: an optional field that no event has."""

    path: FieldPath | None
    is_optional: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """One step of the query, compiled: its filter and how to read its join keys.

    ``query`` is its place among the steps and ``until`` as they are written, from 0; those that
    ``runs`` makes of one step share it.
    """

    query: int
    place: int
    matches: Callable[[Event], bool]
    key_fields: tuple[_KeyField, ...]

    def keys(self, event: Event) -> tuple[JoinKey, ...]:
        """Return every join key of the event: none where a required field is missing."""
        columns: list[tuple[Any, ...]] = []
        for key_field in self.key_fields:
            values: tuple[Any, ...] = ()
            if key_field.path is not None:
                values = _key_values(event.read(key_field.path))
            if not values:
                if not key_field.is_optional:
                    return ()
                values = (None,)
            columns.append(values)
        return tuple(islice(product(*columns), JOIN_KEYS_MAX))


def _key_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The distinct values, in the order of Elasticsearch's doc values: sorted."""
    if len(values) == 1 and not isinstance(values[0], bool):
        return values
    distinct = {("bool", value) if isinstance(value, bool) else value for value in values}
    return tuple(sorted(distinct, key=_sort_key))


def _sort_key(value: Any) -> tuple[str, Any]:
    return ("", value) if isinstance(value, int | float) else (type(value).__name__, value)


class SequenceMachine:
    """A compiled sequence query. Holds no state of its own: callers own ``SequenceState``.

    Attributes:
        maxspan_ns: The span, nanoseconds; None without ``maxspan``.
        stages: Number of positive stages after ``runs`` are expanded.
        layout: For each position of a result, the stage that fills it, or None for a
            missing-event position.
        trailing: The places of trailing missing events.
        later: For each query of a later step or of ``until`` the lowest stage at which it can do
            anything: it needs a partial of the stage before. ``until`` counts as stage 1.
        can_wait: Whether an event can only begin a sequence, or do something to one that another
            event began before. With missing events that is not so.
    """

    def __init__(
        self,
        sequence: Sequence,
        options: CompileOptions,
        matchers: Collection[Matcher] | None = None,
    ) -> None:
        """Compile.

        Args:
            sequence: The query.
            options: How it is compiled.
            matchers: Those of its steps and of ``until``, in order, if they are compiled already.

        Raises:
            EqlSyntaxError: A constant is wrong for its place.
        """
        matches = enumerate(_matchers(sequence, options) if matchers is None else matchers)
        self.maxspan_ns = None if sequence.maxspan_ms is None else sequence.maxspan_ms * NS_PER_MS
        self.layout: list[int | None] = []
        # For each missing-event gap the positive stage before it; -1: leading.
        self._gaps: list[int] = []
        self._places: list[_Place] = []
        stage = 0
        for term in sequence.terms:
            if term.is_missing:
                place = gap_place(len(self._gaps))
                self._gaps.append(stage - 1)
                self._places.append(_place(place, *next(matches), term, sequence, options))
                self.layout.extend([None] * term.runs)
                continue
            compiled = _place(stage, *next(matches), term, sequence, options)
            for _ in range(term.runs):
                self._places.append(replace(compiled, place=stage))
                self.layout.append(stage)
                stage += 1
        self.stages = stage
        if sequence.until is not None:
            self._places.append(_place(UNTIL, *next(matches), sequence.until, sequence, options))
        self._has_leading = -1 in self._gaps
        self.can_wait = self.stages > 1 and not self._gaps
        self.later: dict[int, int] = {}
        for item in self._places:
            if item.place != 0:
                self.later.setdefault(item.query, max(item.place, 1))
        self.trailing = frozenset(
            gap_place(gap) for gap, after in enumerate(self._gaps) if after == stage - 1
        )

    def hits(self, event: Event, queries: Container[int] | None = None) -> Hits:
        """Return what the event can do in this sequence; empty when it can be forgotten.

        Args:
            event: The event.
            queries: Those that it may match: places among the steps and ``until``, from 0, as
                the prefilter knows them; None: all.
        """
        found = []
        previous = -1
        keys: tuple[JoinKey, ...] = ()
        for place in self._places:
            if place.query != previous:
                previous = place.query
                is_match = (queries is None or previous in queries) and place.matches(event)
                keys = place.keys(event) if is_match else ()
            if keys:
                found.append((place.place, keys))
        return tuple(found)

    def advance(self, state: SequenceState, step: Step) -> list[Completion]:
        """Move the state by one event and return what it completes.

        Keys that become empty stay in the state; the caller sweeps the keys of ``step.hits``.
        """
        places = dict(step.hits)
        taken = Taken(step.timestamp_ns, step.payload)
        completed: list[Completion] = []
        for stage in range(self.stages - 1, 0, -1):
            for key in places.get(stage, ()):
                self._extend(state, key, stage, taken, completed)
        for key in places.get(0, ()):
            self._start(state, key, taken, completed)
        for key in places.get(UNTIL, ()):
            self._stop(state, key)
        if self._gaps:
            hit_ms = step.timestamp_ns // NS_PER_MS
            for gap, after in enumerate(self._gaps):
                for key in places.get(gap_place(gap), ()):
                    self._record_missing(state, key, after, hit_ms)
        return completed

    def settle(self, key_state: KeyState, now_ms: int) -> list[Match]:
        """Take out of a key's state the matches whose trailing span has passed.

        Args:
            key_state: Moved in place.
            now_ms: Stream time: no event earlier than this will be seen any more.
        """
        due = [match for deadline_ms, match in key_state.waiting if deadline_ms < now_ms]
        if due:
            key_state.waiting = [item for item in key_state.waiting if item[0] >= now_ms]
        return due

    def results(self, match: Match) -> tuple[Any | None, ...]:
        """Return the payloads of a match by result position; None for a missing event."""
        events = match.events
        return tuple(None if stage is None else events[stage].payload for stage in self.layout)

    def _key_state(self, state: SequenceState, key: JoinKey) -> KeyState:
        found = state.get(key)
        if found is None:
            found = state[key] = KeyState([None] * (self.stages - 1))
        return found

    def _extend(
        self,
        state: SequenceState,
        key: JoinKey,
        stage: int,
        taken: Taken,
        completed: list[Completion],
    ) -> None:
        key_state = state.get(key)
        partial = None if key_state is None else key_state.pending[stage - 1]
        if key_state is None or partial is None:
            return
        if taken.timestamp_ns < partial.events[-1].timestamp_ns:
            return  # never in ordinal order; a caller whose clock went back invents nothing
        key_state.pending[stage - 1] = None
        span_ns = taken.timestamp_ns - partial.events[0].timestamp_ns
        if self.maxspan_ns is not None and span_ns > self.maxspan_ns:
            return
        is_spoilt = partial.is_spoilt or (
            partial.gap_ms is not None and partial.gap_ms < taken.timestamp_ns // NS_PER_MS
        )
        grown = Partial((*partial.events, taken), partial.lead_ms, None, is_spoilt)
        if stage == self.stages - 1:
            self._complete(key_state, key, grown, completed)
        else:
            key_state.pending[stage] = grown

    def _start(
        self, state: SequenceState, key: JoinKey, taken: Taken, completed: list[Completion]
    ) -> None:
        key_state = self._key_state(state, key)
        begun = Partial((taken,))
        if key_state.leads_ms:
            first_ms = taken.timestamp_ns // NS_PER_MS
            before = [lead_ms for lead_ms in key_state.leads_ms if lead_ms < first_ms]
            begun = Partial((taken,), before[-1] if before else None)
        if self.stages == 1:  # a single positive stage beside missing events
            self._complete(key_state, key, begun, completed)
        else:
            key_state.pending[0] = begun

    def _stop(self, state: SequenceState, key: JoinKey) -> None:
        if key in state:
            state[key].pending = [None] * (self.stages - 1)

    def _complete(
        self, key_state: KeyState, key: JoinKey, partial: Partial, completed: list[Completion]
    ) -> None:
        """Emit a completed sequence, put it to wait, or drop it for a missing event."""
        if partial.is_spoilt:
            return
        match = Match(key, partial.events)
        if not self._gaps:
            completed.append(Completion(match, None))
            return
        span_ms = (self.maxspan_ns or 0) // NS_PER_MS
        last_ms = partial.events[-1].timestamp_ns // NS_PER_MS
        lead_ms = partial.lead_ms
        if not self.trailing:
            if lead_ms is None or last_ms - lead_ms > span_ms:
                completed.append(Completion(match, None))
            return
        from_ms = partial.events[0].timestamp_ns // NS_PER_MS if lead_ms is None else lead_ms
        deadline_ms = from_ms + span_ms
        if (self._has_leading and lead_ms is None) or deadline_ms <= last_ms:
            completed.append(Completion(match, None))
            return
        key_state.waiting.append((deadline_ms, match))
        completed.append(Completion(match, deadline_ms))

    def _record_missing(self, state: SequenceState, key: JoinKey, after: int, hit_ms: int) -> None:
        if after == -1:
            leads_ms = self._key_state(state, key).leads_ms
            if leads_ms and hit_ms < leads_ms[-1]:
                leads_ms.clear()  # as in _extend: a clock went back
            if not leads_ms or hit_ms > leads_ms[-1]:
                leads_ms.append(hit_ms)
                del leads_ms[:-2]
            return
        key_state = state.get(key)
        if key_state is None:
            return
        if after == self.stages - 1:
            # Only matches that ended strictly earlier can be discarded by it.
            key_state.waiting = [
                (deadline_ms, match)
                for deadline_ms, match in key_state.waiting
                if hit_ms > deadline_ms or hit_ms <= match.events[-1].timestamp_ns // NS_PER_MS
            ]
            return
        partial = key_state.pending[after]
        if partial is None or partial.gap_ms is not None:
            return
        if hit_ms > partial.events[-1].timestamp_ns // NS_PER_MS:
            key_state.pending[after] = partial._replace(gap_ms=hit_ms)


def _matchers(sequence: Sequence, options: CompileOptions) -> Iterator[Matcher]:
    for term in sequence.terms:
        yield compile_event_query(term.query, options)
    if sequence.until is not None:
        yield compile_event_query(sequence.until.query, options)


def _place(
    place: int,
    query: int,
    matches: Matcher,
    term: SequenceTerm,
    sequence: Sequence,
    options: CompileOptions,
) -> _Place:
    keys = (*sequence.keys, *term.keys)
    return _Place(query, place, matches, tuple(_key_field(key, options) for key in keys))


def _key_field(key: Field, options: CompileOptions) -> _KeyField:
    mapped = options.mapped_fields
    is_unknown = key.is_optional and mapped is not None and key.path not in mapped
    return _KeyField(None if is_unknown else field_path(key.path), key.is_optional)


def run_sequence(machine: SequenceMachine, steps: Iterable[Step]) -> list[Match]:
    """Run a machine over events already in ordinal order and settle everything at the end.

    Returns:
        Matches ordered by their last event; those of one last event by when their join key
        first appeared.
    """
    state: SequenceState = OrderedDict()
    ranks: dict[JoinKey, int] = {}
    # A completed match has its place in the results even when it must wait for a trailing gap.
    found: list[tuple[int, int, Completion]] = []
    for number, step in enumerate(steps):
        for place, keys in step.hits:
            for key in keys if place == 0 else ():
                ranks.setdefault(key, len(ranks))
        for completion in machine.advance(state, step):
            found.append((number, ranks[completion.match.key], completion))
    kept = {id(match) for key_state in state.values() for _, match in key_state.waiting}
    found.sort(key=lambda item: item[:2])
    return [
        completion.match
        for _, _, completion in found
        if completion.deadline_ms is None or id(completion.match) in kept
    ]
