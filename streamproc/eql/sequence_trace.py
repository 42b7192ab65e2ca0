"""What a sequence does with each event: which steps it meets, what begins, goes on and ends, why.

Law of the file: the machine decides. ``_TracingMachine`` lets it make each of its moves and then
looks at what has changed; it moves nothing itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.nodes import Sequence
from streamproc.eql.sequence import (
    NS_PER_MS,
    UNTIL,
    Completion,
    JoinKey,
    KeyState,
    Match,
    Partial,
    SequenceMachine,
    SequenceState,
    Step,
    Taken,
    gap_place,
)

Numbers = tuple[int, ...]
"""Positions of events among those that were given."""


class Change(Enum):
    """What became of a sequence that was begun."""

    STARTED = "started"
    EXTENDED = "extended"
    COMPLETED = "completed"
    WAITING = "completed, unless a missing event still comes"
    SETTLED = "completed: no missing event came in time"
    REPLACED = "dropped: replaced by a newer one at the same step"
    TOO_LONG = "dropped: longer than maxspan"
    MISSING = "dropped: an event came that must be missing"
    STOPPED = "dropped: until"
    SPOILT = "will not complete: an event came that must be missing"
    LED = "an event came that must be missing before the first step"


class Note(NamedTuple):
    """One change.

    Attributes:
        change: What happened.
        key: To the sequence of which join key.
        events: The events of that sequence, the new one included.
    """

    change: Change
    key: JoinKey
    events: Numbers


class Pending(NamedTuple):
    """A sequence that was begun and is not complete.

    Attributes:
        key: Its join key.
        step: The step that it has reached, or "complete" while it waits for a missing event.
        events: Its events.
        is_expired: Whether its maxspan is over; it may still stand in the state.
        is_spoilt: Whether it will complete nothing, for a missing event came.
    """

    key: JoinKey
    step: str
    events: Numbers
    is_expired: bool = False
    is_spoilt: bool = False


class TraceEntry(NamedTuple):
    """One event.

    Attributes:
        number: Its position among the events that were given.
        steps: The steps that it meets, each with the event's join keys there.
        notes: What it changed, in order.
        pending: What is begun and not complete after it, of the join keys that it has.
    """

    number: int
    steps: tuple[tuple[str, tuple[JoinKey, ...]], ...]
    notes: tuple[Note, ...]
    pending: tuple[Pending, ...]


class SequenceTrace(NamedTuple):
    """A sequence over a list of events.

    Attributes:
        entries: One for each event, in the order in which the sequence saw them.
        at_end: What was settled when no more events came.
    """

    entries: tuple[TraceEntry, ...]
    at_end: tuple[Note, ...]

    @property
    def completed(self) -> tuple[Numbers, ...]:
        """The events of each completed sequence, in the order of completion."""
        notes = [note for entry in self.entries for note in entry.notes]
        final = (Change.COMPLETED, Change.SETTLED)
        return tuple(note.events for note in (*notes, *self.at_end) if note.change in final)


def trace_sequence(
    sequence: Sequence, options: CompileOptions, events: Iterable[tuple[int, int, Event]]
) -> SequenceTrace:
    """Run a sequence and watch it.

    Args:
        sequence: The query.
        options: How it is compiled.
        events: Number, time (nanoseconds since the epoch) and event, in ordinal order.

    Raises:
        EqlSyntaxError: A constant is wrong for its place.
    """
    machine = _TracingMachine(sequence, options)
    labels = place_labels(sequence)
    state: SequenceState = OrderedDict()
    entries = []
    for number, timestamp_ns, event in events:
        hits = machine.hits(event)
        _settle(machine, state, timestamp_ns // NS_PER_MS)
        machine.advance(state, Step(timestamp_ns, hits, number))
        steps = tuple((labels[place], keys) for place, keys in sorted(hits, key=_step_order))
        keys = dict.fromkeys(key for _, found in hits for key in found)
        pending = tuple(
            item
            for key in keys
            if key in state
            for item in _pending(machine, key, state[key], labels, timestamp_ns)
        )
        entries.append(TraceEntry(number, steps, machine.take_notes(), pending))
    for key, key_state in state.items():
        for _, match in key_state.waiting:
            machine.note(Change.SETTLED, key, match.events)
    return SequenceTrace(tuple(entries), machine.take_notes())


def place_labels(sequence: Sequence) -> dict[int, str]:
    """Return what to call each place of a sequence; steps count from 1, as they are written."""
    labels = {UNTIL: "until"}
    stage = gap = 0
    for number, term in enumerate(sequence.terms, 1):
        if term.is_missing:
            labels[gap_place(gap)] = f"step {number} (missing)"
            gap += 1
            continue
        for run in range(1, term.runs + 1):
            labels[stage] = f"step {number}" + f", run {run}" * (term.runs > 1)
            stage += 1
    return labels


class _TracingMachine(SequenceMachine):
    """The machine, with a note of every change."""

    def __init__(self, sequence: Sequence, options: CompileOptions) -> None:
        super().__init__(sequence, options)
        self._notes: list[Note] = []

    def note(self, change: Change, key: JoinKey, events: Iterable[Taken] = ()) -> None:
        self._notes.append(Note(change, key, tuple(taken.payload for taken in events)))

    def take_notes(self) -> tuple[Note, ...]:
        notes, self._notes = tuple(self._notes), []
        return notes

    def _extend(
        self,
        state: SequenceState,
        key: JoinKey,
        stage: int,
        taken: Taken,
        completed: list[Completion],
    ) -> None:
        before = _at(state, key, stage - 1)
        older = _at(state, key, stage) if stage < self.stages - 1 else None
        count = len(completed)
        super()._extend(state, key, stage, taken, completed)
        if before is None or _at(state, key, stage - 1) is before:
            return
        events = (*before.events, taken)
        span_ns = taken.timestamp_ns - before.events[0].timestamp_ns
        if self.maxspan_ns is not None and span_ns > self.maxspan_ns:
            self.note(Change.TOO_LONG, key, events)
        elif stage == self.stages - 1:
            self._note_end(key, events, completed[count:])
        else:
            self._note_replaced(key, older)
            self.note(Change.EXTENDED, key, events)

    def _start(
        self, state: SequenceState, key: JoinKey, taken: Taken, completed: list[Completion]
    ) -> None:
        older = _at(state, key, 0) if self.stages > 1 else None
        count = len(completed)
        super()._start(state, key, taken, completed)
        if self.stages == 1:
            self._note_end(key, (taken,), completed[count:])
        else:
            self._note_replaced(key, older)
            self.note(Change.STARTED, key, (taken,))

    def _stop(self, state: SequenceState, key: JoinKey) -> None:
        partials = list(state[key].pending) if key in state else []
        super()._stop(state, key)
        for partial in partials:
            if partial is not None:
                self.note(Change.STOPPED, key, partial.events)

    def _record_missing(self, state: SequenceState, key: JoinKey, after: int, hit_ms: int) -> None:
        waiting = _waiting(state, key)
        before = _at(state, key, after) if 0 <= after < self.stages - 1 else None
        super()._record_missing(state, key, after, hit_ms)
        if after == -1:
            self.note(Change.LED, key)
        kept = {id(match) for match in _waiting(state, key)}
        for match in waiting:
            if id(match) not in kept:
                self.note(Change.MISSING, key, match.events)
        if before is not None and _at(state, key, after) is not before:
            self.note(Change.SPOILT, key, before.events)

    def _note_end(
        self, key: JoinKey, events: tuple[Taken, ...], completed: list[Completion]
    ) -> None:
        if not completed:
            self.note(Change.MISSING, key, events)
        else:
            is_final = completed[0].deadline_ms is None
            self.note(Change.COMPLETED if is_final else Change.WAITING, key, events)

    def _note_replaced(self, key: JoinKey, older: Partial | None) -> None:
        if older is not None:
            self.note(Change.REPLACED, key, older.events)


def _at(state: SequenceState, key: JoinKey, stage: int) -> Partial | None:
    return state[key].pending[stage] if key in state else None


def _waiting(state: SequenceState, key: JoinKey) -> list[Match]:
    return [match for _, match in state[key].waiting] if key in state else []


def _settle(machine: _TracingMachine, state: SequenceState, now_ms: int) -> None:
    for key, key_state in state.items() if machine.trailing else ():
        for match in machine.settle(key_state, now_ms):
            machine.note(Change.SETTLED, key, match.events)


def _pending(
    machine: SequenceMachine, key: JoinKey, key_state: KeyState, labels: dict[int, str], now_ns: int
) -> Iterator[Pending]:
    for stage, partial in enumerate(key_state.pending):
        if partial is None:
            continue
        span_ns = now_ns - partial.events[0].timestamp_ns
        yield Pending(
            key,
            labels[stage],
            tuple(taken.payload for taken in partial.events),
            machine.maxspan_ns is not None and span_ns > machine.maxspan_ns,
            partial.is_spoilt or partial.gap_ms is not None,
        )
    for _, match in key_state.waiting:
        yield Pending(key, "complete", tuple(taken.payload for taken in match.events))


def _step_order(hit: tuple[int, tuple[JoinKey, ...]]) -> tuple[bool, int]:
    """Steps as they are written, then missing ones, then until."""
    place = hit[0]
    return (place < 0, place if place >= 0 else -place if place != UNTIL else 1 << 30)
