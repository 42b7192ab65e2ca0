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
from collections.abc import Iterable, Mapping, Sequence

from streamproc.engine.sequence_budget import SequenceBudget
from streamproc.engine.sequence_keys import SequenceMatch, result
from streamproc.engine.sequence_quiet import QuietScopes
from streamproc.engine.sequence_scope import LONG_AGO, Arrival, Deadline, Held, Lane, Scope
from streamproc.engine.sequence_starts import Reader
from streamproc.eql.sequence import NS_PER_MS, SequenceMachine, Step

# Keys of rules that went away which are dropped at a time: a moment, between two batches.
_RETIRED_AT_ONCE = 2_000


class PartitionSequences(QuietScopes):
    """The sequence state of one topic partition.

    Args:
        machines: Rule (any name that changes when its query does) to its machine. Every machine
            has a span: rules without ``maxspan`` get a default one from the caller.
        budget: Shared by the partitions of a worker; has the limits and the counts.
        reader: Asks rules about events that are offered with prospects.

    Attributes:
        changed: Scopes whose snapshot is outdated; cleared by the caller.
        keys: Join keys held at present, over all rules.

    Raises ValueError for a machine without a span.
    """

    def __init__(
        self, machines: Mapping[str, SequenceMachine], budget: SequenceBudget, reader: Reader
    ) -> None:
        check_spans(machines)
        super().__init__(machines, budget, reader)
        self._before_file: set[str] = set()
        self._offered = -1
        budget.enter(self)

    def adopt(self, machines: Mapping[str, SequenceMachine], reader: Reader) -> None:
        """Go on with other rules; those of the same name keep all that they have begun.

        O(rules + scopes), as ``SequenceStates.adopt`` tells. The keys of rules that went away are
        dropped little by little, by ``advance``. A rule that returns begins anew.
        """
        self._look_at_all()
        gone = [rule for rule in self._machines if rule not in machines]
        if gone:
            self._drop_starts_of(gone)
        self._reader = reader
        self._plans.clear()
        self._end_quiet_of_all()
        for rule in [rule for rule in self._retired if rule in machines]:
            self._drop_retired(rule, len(self._touched[rule]))
        self._machines = machines
        self._retired = [rule for rule in self._touched if rule not in machines]

    # What comes in

    def offer(self, name: str, arrival: Arrival) -> list[SequenceMatch]:
        """Take one event of a scope, in offset order; return what is settled by it.

        Events up to the offset that a restored scope includes change nothing.
        """
        return self.offer_all([(name, arrival)])

    def offer_all(self, offers: Sequence[tuple[str, Arrival]]) -> list[SequenceMatch]:
        """Take events, each after the name of its scope, in offset order; as ``offer``."""
        found: list[SequenceMatch] = []
        scopes, budget, begun_ms = self._scopes, self._budget, self._clock_ms
        may_be_news = self._may_be_news(offers)
        for name, arrival in offers:
            scope = scopes.get(name)
            if scope is None:
                scope = scopes[name] = Scope()
            elif arrival.offset <= scope.offset:
                continue
            # The way of most: nothing is to be done but to wait. See ``QuietScopes``.
            quiet = scope.quiet
            if (
                quiet.room
                and may_be_news
                and not arrival.hits
                and (id(arrival.prospects) in quiet.known or self._stays_quiet(scope, arrival))
            ):
                news, broker_ms = quiet.news, arrival.broker_ms
                arrival.arrived_ms = broker_ms if broker_ms > begun_ms else begun_ms
                news.append(arrival)
                budget.waiting += 1
                if len(news) == 1:
                    self.changed.add(name)
                    if not quiet.waiting:
                        self._schedule(name, scope)
                if len(news) >= quiet.room:
                    self._look(name, scope, found)
                    if quiet.room:
                        self._take_turns(name, scope, scope.clock_ms, found)
                continue
            self._look(name, scope, found)
            if arrival.offset > scope.offset:
                self._take_in(name, scope, arrival, begun_ms, found)
        return found

    def _may_be_news(self, offers: Sequence[tuple[str, Arrival]]) -> bool:
        """Return whether events may wait that are looked at later, and note that they come."""
        before = self._offered
        self._offered = offers[-1][1].offset if offers else before
        return (
            bool(offers)
            and offers[0][1].offset > before  # not redelivered
            and not self._before_file
            and self._budget.waiting + len(offers) < self._patient_max
        )

    def _look(self, name: str, scope: Scope, found: list[SequenceMatch]) -> None:
        """Let what has come to a quiet scope wait in order.

        It settles nothing: none of it may follow anything.
        """
        quiet = scope.quiet
        news = quiet.news
        if not news:
            return
        quiet.news = []
        if self._are_in_time(scope, news):
            quiet.waiting += news
            self._make_room(scope)
            return
        self._budget.waiting -= len(news)
        for arrival in news:
            if arrival.offset > scope.offset:
                self._take_in(name, scope, arrival, arrival.arrived_ms, found)

    def _look_at_all(self) -> None:
        """Let nothing be news any more: something is about to change for all."""
        for name, scope in list(self._scopes.items()):
            self._look(name, scope, [])

    def _take_in(
        self,
        name: str,
        scope: Scope,
        arrival: Arrival,
        begun_ms: int,
        found: list[SequenceMatch],
    ) -> None:
        """Let time pass, and an event wait.

        Args:
            name: Of the scope.
            scope: That of the event.
            arrival: The event.
            begun_ms: The partition's broker time when the event came.
            found: What is settled is appended to it.
        """
        scope.end_quiet()
        if name in self._before_file:
            self._enter_file(name, scope, arrival, found)
        timestamp_ns = arrival.timestamp_ns
        lateness_ms = self._limits.lateness_ms
        clock_ms = max(scope.clock_ms, begun_ms, arrival.broker_ms)
        lane = scope.ordinary
        arrived = lane.arrived
        # Time passes first, so that batches cut elsewhere give the same answer.
        is_waited = bool(arrived) and arrived[0].arrived_ms < clock_ms - lateness_ms
        if is_waited or self._is_passed(scope) or scope.deadlines or scope.ahead.heap:
            self._move(name, scope, clock_ms, found)
        if timestamp_ns > clock_ms * NS_PER_MS + self._lateness_ns:
            lane = scope.ahead
        ordinal = arrival.ordinal()
        if clock_ms - scope.clock_ms > self._limits.forget_ms:
            # Only late events for so long, or none: its clock went back for good. What it sends
            # is believed again; the machines invent nothing of older events after newer ones.
            lane.frontier, scope.newest_ns = None, LONG_AGO
        if lane.frontier is not None and ordinal < lane.frontier:
            self._counts.late_events += 1
        else:
            self._wait(name, scope, lane, Held(ordinal, arrival, clock_ms), found)
        self._judge(scope)
        due_ms = scope.due_ms
        # What came now is due no sooner than what waits already.
        if due_ms is None or due_ms > clock_ms + lateness_ms + 1 or scope.deadlines:
            self._schedule(name, scope)

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
            self._look(name, scope, found)
            clock_ms = max(scope.clock_ms, self._clock_ms)
            if scope.quiet.room:
                self._take_turns(name, scope, clock_ms, found)
            else:
                scope.end_quiet()
                self._move(name, scope, clock_ms, found)
            self._drop_silent_starts(name, scope)
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
        self._look_at_all()
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
        scope = self._scopes.get(name)
        if scope is not None:
            self._look(name, scope, [])  # which settles nothing
        return scope

    def restore(self, scopes: Mapping[str, Scope]) -> None:
        """Put back scopes that were read from their snapshots, before any event is offered.

        What belongs to rules that are not there any more is left out.
        """
        for name, scope in sorted(scopes.items(), key=lambda item: item[1].clock_ms):
            self._scopes[name] = scope
            scope.due_ms = None
            self._budget.waiting += scope.waiting()
            scope.states = {rule: s for rule, s in scope.states.items() if rule in self._machines}
            scope.starts = {rule: s for rule, s in scope.starts.items() if rule in self._machines}
            self._budget.starts += sum(map(len, scope.starts.values()))
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
        for scope in self._scopes.values():
            self._budget.waiting -= scope.waiting()
            self._budget.starts -= sum(map(len, scope.starts.values()))
        self._budget.leave(self)

    # Moving a scope

    def _wait(
        self, name: str, scope: Scope, lane: Lane, held: Held, found: list[SequenceMatch]
    ) -> None:
        """Let an event wait for its turn, and those that need not wait any longer take theirs."""
        arrival, clock_ms = held.arrival, held.arrived_ms
        if arrival.hits and self._is_overdue(scope, arrival):
            self._counts.late_events += 1
        # Late events leave these alone: see above.
        scope.offset, scope.clock_ms = arrival.offset, clock_ms
        lane.add(held)
        budget, limits = self._budget, self._limits
        budget.waiting += 1
        self.changed.add(name)
        if lane is scope.ordinary:
            event_ns = min(arrival.timestamp_ns, clock_ms * NS_PER_MS)
            if event_ns > scope.newest_ns:
                scope.newest_ns = event_ns
        # Of what broker time releases nothing is new since the look before.
        if self._is_passed(scope) or scope.ahead.heap or scope.deadlines:
            self._move(name, scope, clock_ms, found)
        if len(lane.heap) > limits.buffer_max or budget.waiting > limits.waiting_max:
            self._release_surplus(name, scope, lane, found)

    def _is_passed(self, scope: Scope) -> bool:
        """Return whether an event waits that event time releases."""
        heap = scope.ordinary.heap
        return bool(heap) and heap[0][0][0] < scope.newest_ns - self._lateness_ns

    def _enter_file(
        self, name: str, scope: Scope, arrival: Arrival, found: list[SequenceMatch]
    ) -> None:
        """Take the first event of a scope from another file: is it older than those before?"""
        self._before_file.remove(name)
        if arrival.timestamp_ns < scope.newest_ns - self._lateness_ns:
            self._go_back(name, scope, found)

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
            if held.arrival.hits:
                self._release(name, scope, held, found, is_ahead=False)
            else:  # the same in short, for most
                self._budget.waiting -= 1
                self.changed.add(name)
                self._ask(name, scope, held, found, is_ahead=False)
        if scope.ahead.heap:
            for held in scope.ahead.release(LONG_AGO, arrived_before_ms):
                self._release(name, scope, held, found, is_ahead=True)
        if scope.deadlines:
            self._settle(name, scope, clock_ms, found)

    def _release(
        self, name: str, scope: Scope, held: Held, found: list[SequenceMatch], *, is_ahead: bool
    ) -> None:
        """Let an event take its turn."""
        arrival = held.arrival
        self._budget.waiting -= 1
        self.changed.add(name)
        if arrival.prospects:
            self._ask(name, scope, held, found, is_ahead=is_ahead)
        for rule, hits in arrival.hits.items():
            if rule in self._machines:  # it may have gone away while the event waited
                step = Step(arrival.timestamp_ns, hits, arrival.payload)
                self._take(name, scope, rule, step, held.arrived_ms, found, is_ahead=is_ahead)

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
            found.append(result(rule, machine, match))
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


def check_spans(machines: Mapping[str, SequenceMachine]) -> None:
    """Raise ValueError for a machine without a span: its state would have no end."""
    for rule, machine in machines.items():
        if machine.maxspan_ns is None:
            raise ValueError(f"rule {rule} has no span: its state would grow without end")
