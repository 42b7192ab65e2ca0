"""Scopes in which nothing can happen: their events wait in short, and take their turns together.

Law of the file: it changes what is done when, and nothing of what comes out. A scope is quiet
while none of its waiting events may follow what was begun there, or what waits. Then no turn can
complete, extend or stop a sequence, and all that a turn does is to keep what may be a beginning;
so turns are put off, and many are taken at a time, in order. Times are not looked at either before
that: what comes is news. If news turn out to be late, ahead of the clock or the end of a wait, they
are taken in one by one, as of when they came. Any other event, and whoever wants to see the scope,
ends the quiet first (``Scope.end_quiet``): what waits is in the lanes then, as if it had never been
quiet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import compress
from operator import attrgetter, not_

from streamproc.engine.sequence_budget import SequenceBudget
from streamproc.engine.sequence_keys import SequenceMatch
from streamproc.engine.sequence_scope import (
    LONG_AGO,
    NEVER,
    Arrival,
    Prospects,
    Quiet,
    Scope,
    Start,
)
from streamproc.engine.sequence_starts import Reader, Starts
from streamproc.eql.sequence import NS_PER_MS, SequenceMachine

# Turns of a scope that are put off for those that come together.
TURNS_PUT_OFF = 32
# Prospects that the events of a quiet scope may have between them.
_KNOWN_MAX = 64
# Turns are taken as soon as they may be while a tenth of what may wait does.
_PATIENT_SHARE = 10
_TIME = attrgetter("timestamp_ns")


class QuietScopes(Starts):
    """The scopes of a partition, some of them quiet.

    Attributes:
        turns_put_off: About so many turns of a scope are put off, where that changes nothing.
    """

    def __init__(
        self, machines: Mapping[str, SequenceMachine], budget: SequenceBudget, reader: Reader
    ) -> None:
        super().__init__(machines, budget, reader)
        self.turns_put_off = TURNS_PUT_OFF
        self._patient_max = self._limits.waiting_max // _PATIENT_SHARE

    def _judge(self, scope: Scope) -> None:
        """After an event that was taken in: is the scope quiet from now on?

        O(waiting), but only once in so many events that each pays for a few.
        """
        quiet, heap = scope.quiet, scope.ordinary.heap
        quiet.age += 1
        if quiet.age <= max(self.turns_put_off, len(heap) // 4):
            return
        quiet.forget()
        if scope.deadlines or scope.ahead.heap or len(heap) >= self._limits.buffer_max:
            return
        if self._budget.waiting >= self._patient_max:
            return  # the next event would end it
        for _, held in heap:
            if held.arrival.hits:
                return
            self._expect(quiet, held.arrival.prospects)
        if self._is_undisturbed(scope):
            scope.begin_quiet()
            self._make_room(scope)

    def _make_room(self, scope: Scope) -> None:
        """Note how many may come before turns are taken.

        With as many waiting as may wait the quiet is over: the next event releases another.
        """
        waiting = len(scope.quiet.waiting)
        room = self.turns_put_off + waiting // 4
        scope.quiet.room = min(room, self._limits.buffer_max - waiting)

    def _are_in_time(self, scope: Scope, news: list[Arrival]) -> bool:
        """Return whether none is late, ahead, or the end of a wait; the clocks are on then."""
        quiet, frontier, lateness_ns = scope.quiet, scope.ordinary.frontier, self._lateness_ns
        after_ns = LONG_AGO if frontier is None else frontier[0]
        oldest_ms = (quiet.waiting or news)[0].arrived_ms
        until_ms = min(
            oldest_ms + self._limits.lateness_ms, scope.clock_ms + self._limits.forget_ms
        )
        clock_ms, newest_ns = scope.clock_ms, scope.newest_ns
        is_timed = quiet.is_timed
        for arrival in news:
            if arrival.arrived_ms > clock_ms:
                clock_ms = arrival.arrived_ms
            else:
                arrival.arrived_ms = clock_ms
            event_ns = arrival.timestamp_ns
            if event_ns <= after_ns or event_ns < newest_ns - lateness_ns or clock_ms > until_ms:
                return False
            if event_ns > newest_ns:
                clock_ns = clock_ms * NS_PER_MS
                if event_ns > clock_ns:
                    if event_ns > clock_ns + lateness_ns:
                        return False
                    event_ns = clock_ns
                newest_ns = event_ns
            if arrival.tiebreaker is not None:
                is_timed = False
        quiet.is_timed = is_timed
        scope.offset, scope.clock_ms, scope.newest_ns = news[-1].offset, clock_ms, newest_ns
        return True

    def _stays_quiet(self, scope: Scope, arrival: Arrival) -> bool:
        """Learn that another event waits, too; return whether all may wait."""
        self._expect(scope.quiet, arrival.prospects)
        return self._is_undisturbed(scope)

    def _expect(self, quiet: Quiet, prospects: Prospects) -> None:
        if id(prospects) not in quiet.known:
            plan = quiet.known[id(prospects)] = self._plan(prospects)
            quiet.starting.update(part.rule for part in plan.starters)
            quiet.following |= plan.changing

    def _is_undisturbed(self, scope: Scope) -> bool:
        quiet = scope.quiet
        following = quiet.following
        return (
            len(quiet.known) <= _KNOWN_MAX
            and following.isdisjoint(quiet.starting)
            and following.isdisjoint(scope.starts)
            and following.isdisjoint(scope.states)
        )

    def _take_turns(
        self, name: str, scope: Scope, clock_ms: int, found: list[SequenceMatch]
    ) -> None:
        """Let the events of a quiet scope without news take the turns that are due, in order."""
        quiet = scope.quiet
        waiting, before_ns = quiet.waiting, scope.newest_ns - self._lateness_ns
        arrived_before_ms = clock_ms - self._limits.lateness_ms
        if waiting and waiting[0].arrived_ms < arrived_before_ms:
            # What has waited long enough goes, and what it has to be preceded by.
            last = max(a.ordinal() for a in waiting if a.arrived_ms < arrived_before_ms)
            is_due = [a.timestamp_ns < before_ns or a.ordinal() <= last for a in waiting]
        else:
            is_due = [a.timestamp_ns < before_ns for a in waiting]
        due = list(compress(waiting, is_due))
        if due:
            quiet.waiting = list(compress(waiting, map(not_, is_due)))
            due.sort(key=_TIME if quiet.is_timed else Arrival.ordinal)
            lane, last = scope.ordinary, due[-1].ordinal()
            if lane.frontier is None or last > lane.frontier:
                lane.frontier = last
            self._budget.waiting -= len(due)
            self.changed.add(name)
            self._keep_starts(name, scope, due, found)
        self._make_room(scope)

    def _keep_starts(
        self, name: str, scope: Scope, due: list[Arrival], found: list[SequenceMatch]
    ) -> None:
        """Keep those of a quiet scope that may begin sequences; the others are over.

        What ``_ask`` does where nothing is asked, for many. Of what a rule has begun before a
        restart ``_ask`` does not know how far it came, and asks; here it is known that these can
        do nothing to it.
        """
        starts, known, budget = scope.starts, scope.quiet.known, self._budget
        clock_ms, limits = self._clock_ms, self._limits
        over_ns: dict[str, int] = {}  # for each rule, the time before which starts are over
        for arrival in due:
            starters = known[id(arrival.prospects)].starters
            if not starters:
                continue
            event_ns, touched_ms = arrival.timestamp_ns, arrival.arrived_ms
            if touched_ms < clock_ms:
                touched_ms = clock_ms
            for rule, queries, _, _, outdated_ns in starters:
                begun = starts.get(rule)
                if begun is None:
                    begun = starts[rule] = deque()
                begun.append(Start(event_ns, touched_ms, arrival.payload, queries))
                budget.starts += 1
                over_ns[rule] = event_ns - outdated_ns
        for rule, before_ns in over_ns.items():
            if starts[rule][0].timestamp_ns < before_ns:
                self._drop_starts(scope, rule, before_ns)
        for rule in over_ns:
            while budget.starts > limits.starts_max and rule in starts:
                self._begin(name, scope, rule, found, 1)

    def _end_quiet_of_all(self) -> None:
        """Let it be found out anew of every scope whether it is quiet: the rules change."""
        for scope in self._scopes.values():
            scope.quiet.room, scope.quiet.age = 0, NEVER
