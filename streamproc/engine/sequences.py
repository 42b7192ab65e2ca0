"""Partial sequences of one topic partition: order, lateness, limits, snapshots.

Law of the file: what a sequence rule answers depends on the records of the partition alone, never
on how they were cut into batches, nor on restarts. Events wait in a buffer, in event-time order,
until no earlier one can come; then they move the machines of ``streamproc.eql.sequence``.

Scopes. State is kept by *scope*: the ``host.id`` of the event for rules joined by a host's own
field, one scope for the whole partition (``""``) for other rules. Every scope has a clock of its
own, so that one host's wrong clock makes no other host late.

Time. Stream time of a scope is its newest event time plus the broker time that has passed since,
never past the broker's time, less the allowed lateness. A waiting event is released when stream
time has reached it, or when it has waited for the lateness in broker time. An event earlier than
what was already decided is late: counted, not used.
"""

from __future__ import annotations

import bisect
import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamproc.eql.sequence import (
    NS_PER_MS,
    JoinKey,
    SequenceMachine,
    SequenceState,
    Step,
)

PARTITION_SCOPE = ""
_NEVER = 1 << 80

Hits = tuple[tuple[int, tuple[JoinKey, ...]], ...]


class Arrival(NamedTuple):
    """One event that can take part in sequences.

    Attributes:
        timestamp_ns: Event time.
        tiebreaker: Orders events of one timestamp before the offset does; None sorts last.
        offset: Offset of the record in the partition.
        broker_ms: Time of the record (append or create time), milliseconds.
        payload: What the alert needs of the event, carried along unread.
        hits: Rule id to what the event can do in that rule's sequence.
    """

    timestamp_ns: int
    tiebreaker: Any
    offset: int
    broker_ms: int
    payload: Any
    hits: Mapping[str, Hits]

    def order(self) -> tuple[int, bool, str, Any, int]:
        """Return the ordinal: timestamp, tiebreaker (null last), then offset."""
        kind = type(self.tiebreaker).__name__ if isinstance(self.tiebreaker, str) else ""
        rest = 0 if self.tiebreaker is None else self.tiebreaker
        return (self.timestamp_ns, self.tiebreaker is None, kind, rest, self.offset)


@dataclass(slots=True)
class Scope:
    """Everything known of one scope. ``offset`` is the last input offset that it includes."""

    offset: int = -1
    newest_ns: int = 0  # the scope's clock: this event time ...
    newest_at_ms: int = 0  # ... was reached at this broker time
    frontier: tuple[Any, ...] = ()  # ordinal of the last released event
    frontier_ns: int = -(1 << 62)  # stream time up to which partials were dropped or settled
    buffer: list[Arrival] = field(default_factory=list)  # ascending by ordinal
    states: dict[str, SequenceState] = field(default_factory=dict)
    # Lower bounds, so that most events need not walk over buffer and states:
    arrived_ms: int = _NEVER  # broker time of every waiting event
    expires_ns: dict[str, int] = field(default_factory=dict)  # by rule: when its states change
    due_ms: int | None = None  # broker time at which ``advance`` looks at it again

    def is_empty(self) -> bool:
        """Return whether no partial sequence would be lost if this scope were forgotten."""
        return not self.buffer and not any(self.states.values())

    def clock_ns(self, broker_ms: int) -> int:
        """Return the scope's own time at a broker time, never past the broker's."""
        passed_ns = max(0, broker_ms - self.newest_at_ms) * NS_PER_MS
        return min(self.newest_ns + passed_ns, broker_ms * NS_PER_MS)


class SequenceMatch(NamedTuple):
    """A rule's completed sequence; ``payloads`` by result position, None for a missing event."""

    rule: str
    key: JoinKey
    payloads: tuple[Any | None, ...]


@dataclass(slots=True)
class SequenceCounts:
    """What the metrics read of all partitions of a worker."""

    late_events: int = 0
    evicted_keys: int = 0  # a rule's keys_max was reached: a possible missed detection
    released_early: int = 0  # a scope's buffer_max was reached


@dataclass(frozen=True, slots=True)
class SequenceLimits:
    """Bounds of the state.

    Attributes:
        lateness_ms: How long an event may be overtaken by later ones, milliseconds.
        keys_max: Join keys kept for each rule; beyond it the one touched longest ago is evicted.
        buffer_max: Waiting events of one scope; beyond it the earliest is released early.
        forget_ms: Broker time after which an empty scope is forgotten.
    """

    lateness_ms: int = 30_000
    keys_max: int = 100_000
    buffer_max: int = 10_000
    forget_ms: int = 120_000


class PartitionSequences:
    """The sequence state of one topic partition.

    Args:
        machines: Rule (any name that changes when its query does) to its machine. Every machine
            has a span: rules without ``maxspan`` get a default one from the caller.
        limits: Bounds of the state.
        counts: Counted into; may be shared by the partitions of a worker.

    Attributes:
        changed: Scopes moved since the caller last cleared it: those whose snapshot is outdated.
    """

    def __init__(
        self,
        machines: Mapping[str, SequenceMachine],
        limits: SequenceLimits,
        counts: SequenceCounts,
    ) -> None:
        self._machines = machines
        self._limits = limits
        self._counts = counts
        self._scopes: dict[str, Scope] = {}
        self._touched: dict[str, OrderedDict[tuple[str, JoinKey], None]] = {
            rule: OrderedDict() for rule in machines
        }
        self._due: list[tuple[int, str]] = []
        self._broker_ms = 0
        self.changed: set[str] = set()

    @property
    def keys(self) -> int:
        """Join keys held at present, over all rules."""
        return sum(map(len, self._touched.values()))

    def offer(self, name: str, arrival: Arrival) -> list[SequenceMatch]:
        """Take one event of a scope, in offset order; return what is settled by it."""
        scope = self._scopes.setdefault(name, Scope())
        if arrival.offset <= scope.offset:
            return []  # the restored state includes it
        self.changed.add(name)
        scope.offset = arrival.offset
        self._broker_ms = max(self._broker_ms, arrival.broker_ms)
        # Time passes first, so that batches cut elsewhere give the same answer.
        found = self._move(name, scope)
        if arrival.timestamp_ns < scope.frontier_ns or arrival.order() < scope.frontier:
            self._counts.late_events += 1
        else:
            bisect.insort(scope.buffer, arrival, key=Arrival.order)
            scope.arrived_ms = min(scope.arrived_ms, arrival.broker_ms)
            bounded_ns = min(arrival.timestamp_ns, self._broker_ms * NS_PER_MS)
            if bounded_ns > scope.clock_ns(self._broker_ms):
                scope.newest_ns, scope.newest_at_ms = bounded_ns, self._broker_ms
            found += self._move(name, scope)
        self._schedule(name, scope)
        return found

    def advance(self, broker_ms: int) -> list[SequenceMatch]:
        """Let time pass: release what has waited long enough, settle and drop what is over.

        Args:
            broker_ms: Time of the newest record of the partition; the wall clock's time when the
                partition was read to its end. Milliseconds since the epoch.
        """
        self._broker_ms = max(self._broker_ms, broker_ms)
        found: list[SequenceMatch] = []
        while self._due and self._due[0][0] <= self._broker_ms:
            due_ms, name = heapq.heappop(self._due)
            scope = self._scopes.get(name)
            if scope is None or scope.due_ms != due_ms:
                continue  # rescheduled since
            scope.due_ms = None
            found += self._move(name, scope)
            if scope.is_empty() and scope.newest_at_ms + self._limits.forget_ms <= self._broker_ms:
                del self._scopes[name]
                self.changed.add(name)
            else:
                self._schedule(name, scope)
        return found

    def scopes(self) -> Iterable[str]:
        """Return the names of all scopes held."""
        return self._scopes.keys()

    def scope(self, name: str) -> Scope | None:
        """Return a scope's state, for its snapshot; None when it was forgotten."""
        return self._scopes.get(name)

    def restore(self, name: str, scope: Scope) -> None:
        """Put back a scope that was read from its snapshot; unknown rules are left out."""
        scope.states = {rule: s for rule, s in scope.states.items() if rule in self._machines}
        self._scopes[name] = scope
        self._broker_ms = max(self._broker_ms, scope.newest_at_ms)
        scope.arrived_ms = min((arrival.broker_ms for arrival in scope.buffer), default=_NEVER)
        for rule, state in scope.states.items():
            scope.expires_ns[rule] = self._machines[rule].expiry_ns(state)
            self._touched[rule].update(((name, key), None) for key in state)
        self._schedule(name, scope)

    def _move(self, name: str, scope: Scope) -> list[SequenceMatch]:
        """Release what is due and settle what is over, up to the present broker time."""
        lateness_ns = self._limits.lateness_ms * NS_PER_MS
        stream_ns = scope.clock_ns(self._broker_ms) - lateness_ns
        found: list[SequenceMatch] = []
        ready = self._ready(scope, stream_ns)
        if ready:
            released, scope.buffer = scope.buffer[:ready], scope.buffer[ready:]
            scope.frontier = released[-1].order()
            self.changed.add(name)
            for arrival in released:
                found += self._release(name, scope, arrival)
        for rule, expires_ns in scope.expires_ns.items():
            if expires_ns < stream_ns:
                found += self._expire(name, scope, rule, stream_ns)
        return found

    def _expire(self, name: str, scope: Scope, rule: str, stream_ns: int) -> list[SequenceMatch]:
        machine, state = self._machines[rule], scope.states[rule]
        found: list[SequenceMatch] = []
        if machine.expiry_ns(state) < stream_ns:
            scope.frontier_ns = stream_ns
            self.changed.add(name)
            before = set(state)
            for match in machine.expire(state, stream_ns):
                found.append(SequenceMatch(rule, match.key, machine.results(match)))
            for key in before - state.keys():
                self._touched[rule].pop((name, key), None)
        scope.expires_ns[rule] = machine.expiry_ns(state)
        return found

    def _ready(self, scope: Scope, stream_ns: int) -> int:
        """Return how many waiting events may go: no earlier one can come in time any more."""
        ready = bisect.bisect_left(scope.buffer, stream_ns, key=lambda item: item.timestamp_ns)
        arrived_by_ms = self._broker_ms - self._limits.lateness_ms
        if scope.arrived_ms < arrived_by_ms:
            for position, arrival in enumerate(scope.buffer, 1):
                if arrival.broker_ms < arrived_by_ms:
                    ready = max(ready, position)
            waiting = scope.buffer[ready:]
            scope.arrived_ms = min((arrival.broker_ms for arrival in waiting), default=_NEVER)
        surplus = len(scope.buffer) - self._limits.buffer_max
        if surplus > ready:
            self._counts.released_early += surplus - ready
            ready = surplus
        return ready

    def _release(self, name: str, scope: Scope, arrival: Arrival) -> list[SequenceMatch]:
        found: list[SequenceMatch] = []
        for rule, hits in arrival.hits.items():
            machine = self._machines.get(rule)
            if machine is None:
                continue  # the rule went away while the event waited
            state = scope.states.setdefault(rule, {})
            step = Step(arrival.timestamp_ns, hits, arrival.payload)
            for match in machine.advance(state, step):
                found.append(SequenceMatch(rule, match.key, machine.results(match)))
            self._touch(name, rule, state, hits)
            expires_ns = arrival.timestamp_ns + (machine.maxspan_ns or 0)
            scope.expires_ns[rule] = min(scope.expires_ns.get(rule, _NEVER), expires_ns)
        return found

    def _touch(self, name: str, rule: str, state: SequenceState, hits: Hits) -> None:
        """Keep the order in which keys were touched, and the limit on their number."""
        touched = self._touched[rule]
        for _, keys in hits:
            for key in keys:
                if key in state and state[key].is_empty():
                    del state[key]
                if key in state:
                    touched[name, key] = None
                    touched.move_to_end((name, key))
                else:
                    touched.pop((name, key), None)
        while len(touched) > self._limits.keys_max:
            (other, key), _ = touched.popitem(last=False)
            del self._scopes[other].states[rule][key]
            self.changed.add(other)
            self._counts.evicted_keys += 1

    def _schedule(self, name: str, scope: Scope) -> None:
        """Note the broker time at which this scope next has something to do."""
        lateness_ms = self._limits.lateness_ms
        if scope.is_empty():
            due_ms = scope.newest_at_ms + self._limits.forget_ms
        else:
            waits = [*scope.expires_ns.values()]
            if scope.buffer:
                waits.append(scope.buffer[0].timestamp_ns)
            event_ms = min(waits) // NS_PER_MS + lateness_ms + 2
            behind_ms = scope.newest_at_ms - scope.newest_ns // NS_PER_MS
            due_ms = event_ms + max(0, behind_ms)
            if scope.buffer:
                due_ms = min(due_ms, scope.arrived_ms + lateness_ms + 1)
        if scope.due_ms is None or due_ms < scope.due_ms:
            scope.due_ms = due_ms
            heapq.heappush(self._due, (due_ms, name))
