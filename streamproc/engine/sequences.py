"""Partial sequences of one topic partition: order, lateness, limits.

Law of the file: what a sequence rule answers depends on the records of the partition alone, not
on how they were cut into batches, nor on restarts. Events wait, in event-time order, until no
earlier one can come; then they move the machines of ``streamproc.eql.sequence``.

Scopes. State is kept by *scope*, a name that the caller gives: the host of the event for rules
joined by a host's own field, the rule for others. Every scope has a clock of its own, so that one
host's wrong clock makes no other host late.

Time. A waiting event is released when its scope has seen an event later by more than the
lateness, or when it has waited for longer than the lateness in broker time. An event is *in time*
if no event of its scope that came before it and belongs after it

- is later than it by more than the lateness in event time, or
- came more than the lateness before it in broker time;

for rules with a trailing missing event also if its delay (broker time less event time) exceeds
that of no earlier event of the scope by more than the lateness. Over events in time, the matches
are those of the batch definition. An event that belongs before one that was released is late:
counted, not used, unless nothing else came for ``forget_ms``. Broker time alone drops no partial
sequence before the scope has been silent for ``offline_ms``, so that a host that was offline
loses none.

Clocks. Event time never passes the broker's. Events that claim to be ahead of the broker by more
than the lateness wait apart, for broker time only.

Cost. ``offer`` is O(log waiting) and O(keys) in the event's own join keys; ``advance`` is
O(rules) and O(log scopes) for each scope that is due. Nothing walks over all keys or scopes.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from streamproc.engine.sequence_budget import SequenceBudget
from streamproc.engine.sequence_scope import LONG_AGO, NEVER, Arrival, Deadline, Held, Lane, Scope
from streamproc.eql.sequence import (
    JOIN_KEYS_MAX,
    NS_PER_MS,
    Completion,
    Hits,
    JoinKey,
    Match,
    SequenceMachine,
    SequenceState,
    Step,
)

# How often, in broker time, a scope that may be forgotten asks whether its offset is committed.
_COMMIT_POLL_MS = 1_000
# Keys of rules that went away which are dropped at a time: a moment, between two batches.
_RETIRED_AT_ONCE = 2_000


class SequenceMatch(NamedTuple):
    """A rule's completed sequence; ``payloads`` by result position, None for a missing event."""

    rule: str
    key: JoinKey
    payloads: tuple[Any | None, ...]


class PartitionSequences:
    """The sequence state of one topic partition.

    Args:
        machines: Rule (any name that changes when its query does) to its machine. Every machine
            has a span: rules without ``maxspan`` get a default one from the caller.
        budget: Shared by the partitions of a worker; has the limits and the counts.

    Attributes:
        changed: Scopes whose snapshot is outdated; cleared by the caller.
        keys: Join keys held at present, over all rules.

    Raises ValueError for a machine without a span.
    """

    def __init__(self, machines: Mapping[str, SequenceMachine], budget: SequenceBudget) -> None:
        check_spans(machines)
        self._machines = machines
        self._budget = budget
        self._limits = budget.limits
        self._counts = budget.counts
        self._lateness_ns = self._limits.lateness_ms * NS_PER_MS
        self._scopes: dict[str, Scope] = {}
        # By rule: scope and key to the broker time of the last touch, oldest first.
        self._touched: dict[str, OrderedDict[tuple[str, JoinKey], int]] = {}
        self._due: list[tuple[int, str]] = []
        self._clock_ms = 0
        self._committed = 0
        self._before_file: set[str] = set()
        self._retired: list[str] = []
        self.changed: set[str] = set()
        self.keys = 0
        budget.enter(self)

    def adopt(self, machines: Mapping[str, SequenceMachine]) -> None:
        """Go on with other rules; those of the same name keep all that they have begun.

        O(rules), so that it takes no time between two batches: what rules that went away have
        begun is dropped little by little, by ``advance``. A rule that returns begins anew.
        """
        for rule in [rule for rule in self._retired if rule in machines]:
            self._drop_retired(rule, len(self._touched[rule]))
        self._machines = machines
        self._retired = [rule for rule in self._touched if rule not in machines]

    # What comes in

    def offer(self, name: str, arrival: Arrival) -> list[SequenceMatch]:
        """Take one event of a scope, in offset order; return what is settled by it.

        Events up to the offset that a restored scope includes change nothing.
        """
        scope = self._scopes.get(name)
        if scope is None:
            scope = self._scopes[name] = Scope()
        if arrival.offset <= scope.offset:
            return []
        found: list[SequenceMatch] = []
        if name in self._before_file:
            self._before_file.remove(name)
            if arrival.timestamp_ns < scope.newest_ns - self._lateness_ns:
                self._go_back(name, scope, found)
        clock_ms = max(scope.clock_ms, self._clock_ms, arrival.broker_ms)
        # Time passes first, so that batches cut elsewhere give the same answer.
        self._move(name, scope, clock_ms, found)
        is_ahead = arrival.timestamp_ns > clock_ms * NS_PER_MS + self._lateness_ns
        lane = scope.ahead if is_ahead else scope.ordinary
        ordinal = arrival.ordinal()
        if clock_ms - scope.clock_ms > self._limits.forget_ms:
            # Only late events for so long, or none: its clock went back for good. What it sends
            # is believed again; the machines invent nothing of older events after newer ones.
            lane.frontier, scope.newest_ns = None, LONG_AGO
        if lane.frontier is not None and ordinal < lane.frontier:
            self._counts.late_events += 1
        else:
            if self._is_overdue(scope, arrival):
                self._counts.late_events += 1
            # Late events leave these alone: see above.
            scope.offset, scope.clock_ms = arrival.offset, clock_ms
            lane.add(Held(ordinal, arrival, clock_ms))
            self._budget.waiting += 1
            self.changed.add(name)
            if not is_ahead:
                event_ns = min(arrival.timestamp_ns, clock_ms * NS_PER_MS)
                scope.newest_ns = max(scope.newest_ns, event_ns)
            self._move(name, scope, clock_ms, found)
            self._release_surplus(name, scope, lane, found)
        self._schedule(name, scope)
        return found

    def advance(self, broker_ms: int) -> list[SequenceMatch]:
        """Let time pass: release what has waited long enough, settle and drop what is over.

        Args:
            broker_ms: Time of the newest record of the partition, no later than the wall clock's;
                the wall clock's time when the partition was read to its end. Milliseconds.
        """
        self._clock_ms = max(self._clock_ms, broker_ms)
        found: list[SequenceMatch] = []
        while self._due and self._due[0][0] <= self._clock_ms:
            due_ms, name = heapq.heappop(self._due)
            scope = self._scopes.get(name)
            if scope is None or scope.due_ms != due_ms:
                continue  # rescheduled since
            scope.due_ms = None
            self._move(name, scope, max(scope.clock_ms, self._clock_ms), found)
            if self._can_be_forgotten(scope):
                del self._scopes[name]
                self.changed.add(name)
            else:
                self._schedule(name, scope)
        if self._retired:
            self._drop_retired(self._retired[-1], _RETIRED_AT_ONCE)
        for rule, touched in self._touched.items():
            if touched and rule in self._machines:
                self._drop_silent(rule, touched, found)
        return found

    def begin_file(self) -> None:
        """Learn that what is offered next is from another file.

        If a scope's first event there is too old for the lateness, the file overlaps those
        before it: the scope's time starts again, and what it has begun stays.
        """
        self._before_file = set(self._scopes)

    def committed(self, offset: int) -> None:
        """Learn that the partition will not be read again below this offset.

        Until then a scope's offset is kept though nothing else of it is left: its events would
        count again when they are redelivered.
        """
        self._committed = max(self._committed, offset)

    # Snapshots

    def scopes(self) -> Iterable[str]:
        """Return the names of all scopes held."""
        return self._scopes.keys()

    def scope(self, name: str) -> Scope | None:
        """Return a scope's state, for its snapshot; None when it was forgotten."""
        return self._scopes.get(name)

    def restore(self, scopes: Mapping[str, Scope]) -> None:
        """Put back scopes that were read from their snapshots, before any event is offered.

        What belongs to rules that are not there any more is left out.
        """
        for name, scope in sorted(scopes.items(), key=lambda item: item[1].clock_ms):
            self._scopes[name] = scope
            scope.due_ms = None
            self._budget.waiting += scope.waiting()
            scope.states = {rule: s for rule, s in scope.states.items() if rule in self._machines}
            scope.deadlines = [item for item in scope.deadlines if item.rule in self._machines]
            heapq.heapify(scope.deadlines)
            for rule, state in scope.states.items():
                touched = self._touched.setdefault(rule, OrderedDict())
                touched.update(((name, key), scope.clock_ms) for key in state)
                self._count_keys(rule, len(state))
            self._schedule(name, scope)
        for rule in list(self._touched):
            self._budget.relieve(rule)

    def close(self) -> None:
        """Give back to the budget what this partition holds; it is not used after that."""
        for rule, touched in self._touched.items():
            self._budget.add_keys(rule, -len(touched))
        self._budget.waiting -= sum(scope.waiting() for scope in self._scopes.values())
        self._budget.leave(self)

    # What the budget asks for

    def keys_of(self, rule: str) -> int:
        """Return how many join keys of a rule it holds."""
        return len(self._touched.get(rule, ()))

    def largest_rule(self) -> tuple[int, str]:
        """Return the rule of which it holds most keys, after their number."""
        sizes = ((len(touched), rule) for rule, touched in self._touched.items())
        return max(sizes, default=(0, ""))

    def evict(self, rule: str) -> None:
        """Forget the key of a rule that was touched longest ago."""
        name, key = next(iter(self._touched[rule]))
        scope = self._scopes[name]
        self._drop_key(name, scope, rule, key)
        self.changed.add(name)
        self._schedule(name, scope)

    # Moving a scope

    def _go_back(self, name: str, scope: Scope, found: list[SequenceMatch]) -> None:
        """Release all that waits, and let time start again."""
        for lane in (scope.ordinary, scope.ahead):
            while lane.heap:
                self._release(name, scope, lane.pop(), found, is_ahead=lane is scope.ahead)
            lane.frontier = None
        scope.newest_ns = LONG_AGO

    def _move(self, name: str, scope: Scope, clock_ms: int, found: list[SequenceMatch]) -> None:
        """Release what is due and settle what is over."""
        arrived_before_ms = clock_ms - self._limits.lateness_ms
        for held in scope.ordinary.release(scope.newest_ns - self._lateness_ns, arrived_before_ms):
            self._release(name, scope, held, found, is_ahead=False)
        if scope.ahead.heap:
            for held in scope.ahead.release(LONG_AGO, arrived_before_ms):
                self._release(name, scope, held, found, is_ahead=True)
        if scope.deadlines:
            self._settle(name, scope, clock_ms, found)

    def _release(
        self, name: str, scope: Scope, held: Held, found: list[SequenceMatch], *, is_ahead: bool
    ) -> None:
        """Move the machines by one event."""
        arrival = held.arrival
        self._budget.waiting -= 1
        self.changed.add(name)
        for rule, hits in arrival.hits.items():
            machine = self._machines.get(rule)
            if machine is None:
                continue  # the rule went away while the event waited
            state = scope.states.get(rule)
            if state is None:
                state = scope.states[rule] = OrderedDict()
            step = Step(arrival.timestamp_ns, hits, arrival.payload)
            for completion in machine.advance(state, step):
                if completion.deadline_ms is None:
                    found.append(_result(rule, machine, completion.match))
                else:
                    self._await_trailing(scope, rule, completion, held)
            self._touch(name, scope, rule, held)
            if not is_ahead:
                self._drop_outdated(name, scope, rule, arrival.timestamp_ns)
            if not state:
                scope.states.pop(rule, None)
            self._budget.relieve(rule)

    def _await_trailing(self, scope: Scope, rule: str, completion: Completion, held: Held) -> None:
        """Note when a match is settled: at its deadline, or when broker time passed as much."""
        match, deadline_ms = completion
        if deadline_ms is None:
            return
        last_ms = match.events[-1].timestamp_ns // NS_PER_MS
        due_ms = held.arrived_ms + deadline_ms - last_ms + self._limits.lateness_ms
        scope.await_trailing(rule, match.key, deadline_ms, due_ms)
        waiting = scope.states[rule][match.key].waiting
        if len(waiting) > self._limits.settling_max:
            del waiting[0]
            self._counts.evicted_keys[rule] += 1

    def _settle(self, name: str, scope: Scope, clock_ms: int, found: list[SequenceMatch]) -> None:
        """Let go the matches that no trailing missing event can discard any more."""
        frontier = scope.ordinary.frontier
        passed_ns = scope.newest_ns - self._lateness_ns
        passed_ms = (passed_ns if frontier is None else max(passed_ns, frontier[0])) // NS_PER_MS
        first_ns = scope.first_waiting_ns()
        while scope.deadlines:
            deadline = scope.deadlines[0]
            if deadline.deadline_ms >= passed_ms:
                if deadline.due_ms >= clock_ms:
                    break
                if first_ns is not None and first_ns // NS_PER_MS <= deadline.deadline_ms:
                    break  # an event that may discard it is here, but waits for its turn
                scope.settled_ms = max(scope.settled_ms, deadline.deadline_ms)
            heapq.heappop(scope.deadlines)
            self._settle_key(name, scope, deadline, found)

    def _settle_key(
        self, name: str, scope: Scope, deadline: Deadline, found: list[SequenceMatch]
    ) -> None:
        self.changed.add(name)
        rule, key = deadline.rule, deadline.key
        machine = self._machines.get(rule)
        state = scope.states.get(rule)
        key_state = None if state is None else state.get(key)
        if machine is None or key_state is None:
            return  # the rule went away, or the match was discarded since
        for match in machine.settle(key_state, deadline.deadline_ms + 1):
            found.append(_result(rule, machine, match))
        if key_state.is_empty():
            self._drop_key(name, scope, rule, key)

    def _is_overdue(self, scope: Scope, arrival: Arrival) -> bool:
        """Return whether it might have discarded a match that was settled by broker time."""
        if arrival.timestamp_ns // NS_PER_MS > scope.settled_ms:
            return False
        return any(
            place in self._machines[rule].trailing
            for rule, hits in arrival.hits.items()
            if rule in self._machines
            for place, _ in hits
        )

    def _release_surplus(
        self, name: str, scope: Scope, lane: Lane, found: list[SequenceMatch]
    ) -> None:
        limits = self._limits
        while lane.heap and (
            len(lane.heap) > limits.buffer_max or self._budget.waiting > limits.waiting_max
        ):
            self._counts.released_early += 1
            self._release(name, scope, lane.pop(), found, is_ahead=lane is scope.ahead)

    # Keys: which are held, and which was touched longest ago

    def _touch(self, name: str, scope: Scope, rule: str, held: Held) -> None:
        """Put the event's keys that hold something last in both orders; drop those that do not."""
        state = scope.states[rule]
        touched = self._touched.get(rule)
        if touched is None:
            touched = self._touched[rule] = OrderedDict()
        for key in self._distinct_keys(held.arrival.hits[rule]):
            key_state = state.get(key)
            if key_state is None:
                continue
            if key_state.is_empty():
                self._drop_key(name, scope, rule, key)
                continue
            key_state.touched_ns = held.arrival.timestamp_ns
            state.move_to_end(key)
            if (name, key) in touched:
                touched.move_to_end((name, key))
            else:
                self._count_keys(rule, 1)
            touched[name, key] = max(held.arrived_ms, self._clock_ms)

    def _distinct_keys(self, hits: Hits) -> Iterable[JoinKey]:
        if len(hits) == 1:
            keys: Iterable[JoinKey] = hits[0][1]
        else:
            keys = {key: None for _, keys_there in hits for key in keys_there}
        if any(len(keys_there) >= JOIN_KEYS_MAX for _, keys_there in hits):
            self._counts.cut_join_keys += 1
        return keys

    def _drop_outdated(self, name: str, scope: Scope, rule: str, event_ns: int) -> None:
        """Drop, oldest first, the keys whose span is over for every event still to come."""
        state = scope.states.get(rule)
        # A millisecond more, because missing events count in whole ones.
        before_ns = event_ns - (self._machines[rule].maxspan_ns or 0) - NS_PER_MS
        while state:
            key, key_state = next(iter(state.items()))
            if key_state.touched_ns >= before_ns or key_state.waiting:
                break
            self._drop_key(name, scope, rule, key)

    def _drop_silent(
        self, rule: str, touched: OrderedDict[tuple[str, JoinKey], int], found: list[SequenceMatch]
    ) -> None:
        """Drop, oldest first, the keys that broker time has left behind."""
        machine = self._machines[rule]
        span_ms = (machine.maxspan_ns or 0) // NS_PER_MS
        before_ms = self._clock_ms - span_ms - self._limits.lateness_ms - self._limits.offline_ms
        while touched:
            (name, key), touched_ms = next(iter(touched.items()))
            if touched_ms >= before_ms:
                break
            scope = self._scopes[name]
            key_state = scope.states[rule][key]
            for _, match in key_state.waiting:
                found.append(_result(rule, machine, match))
            self._drop_key(name, scope, rule, key)
            self.changed.add(name)
            self._schedule(name, scope)

    def _drop_retired(self, rule: str, count: int) -> None:
        """Drop some keys of a rule that went away."""
        touched = self._touched[rule]
        for name, key in list(islice(touched, count)):
            scope = self._scopes[name]
            self._drop_key(name, scope, rule, key)
            self.changed.add(name)
            self._schedule(name, scope)
        if not touched:
            del self._touched[rule]
            self._retired.remove(rule)

    def _drop_key(self, name: str, scope: Scope, rule: str, key: JoinKey) -> None:
        state: SequenceState = scope.states[rule]
        del state[key]
        if not state:
            del scope.states[rule]
        touched = self._touched[rule]
        if (name, key) in touched:
            del touched[name, key]
            self._count_keys(rule, -1)

    def _count_keys(self, rule: str, count: int) -> None:
        self.keys += count
        self._budget.add_keys(rule, count)

    # When a scope is looked at

    def _can_be_forgotten(self, scope: Scope) -> bool:
        return (
            scope.is_empty()
            and scope.offset < self._committed
            and scope.clock_ms + self._limits.forget_ms <= self._clock_ms
        )

    def _schedule(self, name: str, scope: Scope) -> None:
        """Note the broker time at which this scope next has something to do."""
        if scope.is_empty():
            due_ms = scope.clock_ms + self._limits.forget_ms
            if due_ms <= self._clock_ms:
                due_ms = self._clock_ms + _COMMIT_POLL_MS
        else:
            oldest_ms = min(scope.ordinary.oldest_ms(), scope.ahead.oldest_ms())
            due_ms = oldest_ms + self._limits.lateness_ms + 1
            if scope.deadlines:
                due_ms = min(due_ms, scope.deadlines[0].due_ms + 1)
            if due_ms >= NEVER:
                return
            due_ms = max(due_ms, self._clock_ms + 1)
        if scope.due_ms is None or due_ms < scope.due_ms:
            scope.due_ms = due_ms
            heapq.heappush(self._due, (due_ms, name))


def check_spans(machines: Mapping[str, SequenceMachine]) -> None:
    """Raise ValueError for a machine without a span: its state would have no end."""
    for rule, machine in machines.items():
        if machine.maxspan_ns is None:
            raise ValueError(f"rule {rule} has no span: its state would grow without end")


def _result(rule: str, machine: SequenceMachine, match: Match) -> SequenceMatch:
    return SequenceMatch(rule, match.key, machine.results(match))
