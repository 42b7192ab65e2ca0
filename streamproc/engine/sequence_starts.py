"""Events whose turn has come: which rules are asked about them, and which need not be.

Law of the file: a rule is asked about an event before the event, or what the rule would have made
of it, can change anything; until then, or for ever, the event stays undecoded. What comes out is
what asking every rule at once would bring.

Why that holds. For a rule without missing events (``SequenceMachine.can_wait``)

- a hit on a later step, or on ``until``, changes nothing without a partial of the stage before it
  in the same scope. So while a rule has begun nothing in the scope, and nothing that may be a
  beginning waits there, it is not asked about events that can only be later steps;
- a hit on the first step begins a partial, which nothing but a later hit of the same rule in the
  same scope can tell from none. So events that may be beginnings are kept as ``Start`` values,
  in the order of their turns. When an event of their rule does hit a later step, they are asked
  about first, in that order, and then the event takes its turn;
- a start whose span is over for every event still to come, or whose scope was silent for too
  long, is dropped like a partial (``streamproc.engine.sequence_keys``), without a question.

Starts have a bound; beyond it the oldest of the scope is asked about, so nothing is lost by it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from streamproc.engine.sequence_budget import SequenceBudget
from streamproc.engine.sequence_keys import Scopes, SequenceMatch, result
from streamproc.engine.sequence_scope import NEVER, Held, Prospects, Scope, Start
from streamproc.eql.sequence import NS_PER_MS, Completion, Hits, SequenceMachine, Step

_PLANS_MAX = 8_192


class Reader(Protocol):
    """Asks a rule about an event that was not decoded so far."""

    def hits(self, rule: str, payload: Any, timestamp_ns: int, queries: tuple[int, ...]) -> Hits:
        """Return what the event can do in the rule's sequence; nothing if it cannot be read.

        Args:
            rule: The rule.
            payload: The event's, as it was offered.
            timestamp_ns: The event's time.
            queries: Those that it may match.
        """


class Part(NamedTuple):
    """What an event may be to one rule.

    Attributes:
        rule: The rule.
        queries: Those that the event may match.
        may_start: Whether the first step is among them.
        first_later: The lowest stage after the first at which it can do anything; NEVER: none.
        outdated_ns: How much later than a start an event has to be for the start to be over.
    """

    rule: str
    queries: tuple[int, ...]
    may_start: bool
    first_later: int
    outdated_ns: int


class Plan(NamedTuple):
    """What an event may be to all rules.

    Attributes:
        prospects: What it was made of.
        parts: One for each rule.
        starters: Those that may begin a sequence.
        followers: The rules of the others.
        changing: The rules of which it may do something to a sequence that was begun.
    """

    prospects: Prospects
    parts: tuple[Part, ...]
    starters: tuple[Part, ...]
    followers: frozenset[str]
    changing: frozenset[str]


class Starts(Scopes):
    """The scopes of a partition, and the turns of the events in them."""

    def __init__(
        self, machines: Mapping[str, SequenceMachine], budget: SequenceBudget, reader: Reader
    ) -> None:
        super().__init__(machines, budget)
        self._reader = reader
        self._plans: dict[int, Plan] = {}

    def _ask(
        self, name: str, scope: Scope, held: Held, found: list[SequenceMatch], *, is_ahead: bool
    ) -> None:
        """Ask the rules that an event can change something for; keep it where it may begin."""
        arrival = held.arrival
        event_ns = arrival.timestamp_ns
        starts, states = scope.starts, scope.states
        plan = self._plan(arrival.prospects)
        is_quiet = plan.followers.isdisjoint(starts) and plan.followers.isdisjoint(states)
        # Most are followers of rules that have begun nothing here.
        for part in plan.starters if is_quiet and not is_ahead else plan.parts:
            rule = part.rule
            if not part.may_start and rule not in starts and rule not in states and not is_ahead:
                continue
            begun = starts.get(rule)
            before_ns = event_ns - part.outdated_ns
            if begun is not None and begun[0].timestamp_ns < before_ns and not is_ahead:
                self._drop_starts(scope, rule, before_ns)
                begun = starts.get(rule)
            reached = scope.reached.get(rule, NEVER) if rule in states else -1
            if part.first_later <= (max(reached, 0) if begun else reached) + 1 or is_ahead:
                hits = self._reader.hits(rule, arrival.payload, event_ns, part.queries)
                if not hits:
                    continue
                if not begun or is_ahead or any(place != 0 for place, _ in hits):
                    self._begin(name, scope, rule, found)
                    step = Step(event_ns, hits, arrival.payload)
                    self._take(name, scope, rule, step, held.arrived_ms, found, is_ahead=is_ahead)
                    continue
            elif not part.may_start:
                continue
            self._keep(name, scope, part, held, found)

    def _keep(
        self, name: str, scope: Scope, part: Part, held: Held, found: list[SequenceMatch]
    ) -> None:
        """Keep an event that may begin a sequence of a rule."""
        begun = scope.starts.get(part.rule)
        if begun is None:
            begun = scope.starts[part.rule] = deque()
        arrival = held.arrival
        touched_ms = max(held.arrived_ms, self._clock_ms)
        begun.append(Start(arrival.timestamp_ns, touched_ms, arrival.payload, part.queries))
        self._budget.starts += 1
        if self._budget.starts > self._limits.starts_max:
            self._begin(name, scope, part.rule, found, 1)

    def _plan(self, prospects: Prospects) -> Plan:
        """Return what is known of prospects before any event is looked at."""
        known = self._plans.get(id(prospects))
        if known is not None and known.prospects is prospects:
            return known
        parts = []
        for rule, queries in prospects:
            machine = self._machines.get(rule)
            if machine is None:
                continue  # the rule went away while the event waited
            later = min((machine.later.get(query, NEVER) for query in queries), default=NEVER)
            outdated_ns = (machine.maxspan_ns or 0) + NS_PER_MS
            parts.append(Part(rule, queries, 0 in queries, later, outdated_ns))
        if len(self._plans) >= _PLANS_MAX:
            self._plans.clear()
        changing = frozenset(part.rule for part in parts if part.first_later != NEVER)
        starters = tuple(part for part in parts if part.may_start)
        followers = frozenset(part.rule for part in parts if not part.may_start)
        plan = self._plans[id(prospects)] = Plan(
            prospects, tuple(parts), starters, followers, changing
        )
        return plan

    def _begin(
        self,
        name: str,
        scope: Scope,
        rule: str,
        found: list[SequenceMatch],
        count: int | None = None,
    ) -> None:
        """Ask a rule about what may have begun its sequences: the oldest ones, or all."""
        begun = scope.starts.get(rule)
        if begun is None:
            return
        for _ in range(len(begun) if count is None else count):
            start = begun.popleft()
            self._budget.starts -= 1
            hits = self._reader.hits(rule, start.payload, start.timestamp_ns, start.queries)
            if hits:
                step = Step(start.timestamp_ns, hits, start.payload)
                self._take(name, scope, rule, step, start.touched_ms, found, is_ahead=False)
        if not begun:
            del scope.starts[rule]

    def _take(
        self,
        name: str,
        scope: Scope,
        rule: str,
        step: Step,
        arrived_ms: int,
        found: list[SequenceMatch],
        *,
        is_ahead: bool,
    ) -> None:
        """Move one machine by one event."""
        machine = self._machines[rule]
        state = scope.states.get(rule)
        if state is None:
            state = scope.states[rule] = OrderedDict()
            scope.reached[rule] = 0
        last = max(place for place, _ in step.hits)
        if last > scope.reached.get(rule, NEVER):
            scope.reached[rule] = last
        for completion in machine.advance(state, step):
            if completion.deadline_ms is None:
                found.append(result(rule, machine, completion.match))
            else:
                self._await_trailing(scope, rule, completion, arrived_ms)
        self._touch(name, scope, rule, step, arrived_ms)
        if not is_ahead:
            self._drop_outdated(name, scope, rule, step.timestamp_ns)
        if not state:
            scope.states.pop(rule, None)
        self._budget.relieve(rule)

    def _await_trailing(
        self, scope: Scope, rule: str, completion: Completion, arrived_ms: int
    ) -> None:
        """Note when a match is settled: at its deadline, or when broker time passed as much."""
        match, deadline_ms = completion
        if deadline_ms is None:
            return
        last_ms = match.events[-1].timestamp_ns // NS_PER_MS
        due_ms = arrived_ms + deadline_ms - last_ms + self._limits.lateness_ms
        scope.await_trailing(rule, match.key, deadline_ms, due_ms)
        waiting = scope.states[rule][match.key].waiting
        if len(waiting) > self._limits.settling_max:
            del waiting[0]
            self._counts.evicted_keys[rule] += 1

    def _drop_starts(self, scope: Scope, rule: str, before_ns: int) -> None:
        """Drop the starts whose span is over for every event still to come."""
        begun = scope.starts[rule]
        while begun and begun[0].timestamp_ns < before_ns:
            begun.popleft()
            self._budget.starts -= 1
        if not begun:
            del scope.starts[rule]

    def _drop_silent_starts(self, name: str, scope: Scope) -> None:
        """Drop the starts that broker time has left behind."""
        for rule, begun in list(scope.starts.items()):
            before_ms = self._clock_ms - self._silence_ms(rule)
            while begun and begun[0].touched_ms < before_ms:
                begun.popleft()
                self._budget.starts -= 1
                self.changed.add(name)
            if not begun:
                del scope.starts[rule]

    def _drop_starts_of(self, rules: list[str]) -> None:
        """Drop all starts of rules that go away."""
        for name, scope in self._scopes.items():
            for rule in rules if scope.starts else ():
                begun = scope.starts.pop(rule, None)
                if begun is not None:
                    self._budget.starts -= len(begun)
                    self.changed.add(name)
