"""The scopes of a partition: which join keys they hold, and when each is next looked at.

Law of the file: every key that holds something stands in the order of its rule, by broker time of
its last touch, and is counted; every scope that has something to do later is due some time.
Nothing walks over all keys or scopes.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from streamproc.engine.sequence_budget import SequenceBudget
from streamproc.engine.sequence_scope import NEVER, Scope
from streamproc.eql.sequence import (
    JOIN_KEYS_MAX,
    NS_PER_MS,
    Hits,
    JoinKey,
    Match,
    SequenceMachine,
    SequenceState,
    Step,
)

# How often, in broker time, a scope that may be forgotten asks whether its offset is committed.
_COMMIT_POLL_MS = 1_000


class SequenceMatch(NamedTuple):
    """A rule's completed sequence; ``payloads`` by result position, None for a missing event."""

    rule: str
    key: JoinKey
    payloads: tuple[Any | None, ...]


class Scopes:
    """The scopes of a partition and the order of their keys.

    Args:
        machines: Rule to its machine.
        budget: Shared by the partitions of a worker.

    Attributes:
        changed: Scopes whose snapshot is outdated; cleared by the caller.
        keys: Join keys held at present, over all rules.
    """

    def __init__(self, machines: Mapping[str, SequenceMachine], budget: SequenceBudget) -> None:
        self._machines = machines
        self._budget = budget
        self._limits = budget.limits
        self._counts = budget.counts
        self._lateness_ns = self._limits.lateness_ms * NS_PER_MS
        self._scopes: dict[str, Scope] = {}
        # By rule: scope and key to the broker time of the last touch, oldest first.
        self._touched: dict[str, OrderedDict[tuple[str, JoinKey], int]] = {}
        self._retired: list[str] = []
        self._due: list[tuple[int, str]] = []
        self._clock_ms = 0
        self._committed = 0
        self.changed: set[str] = set()
        self.keys = 0

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

    # Keys: which are held, and which was touched longest ago

    def _touch(self, name: str, scope: Scope, rule: str, step: Step, arrived_ms: int) -> None:
        """Put the event's keys that hold something last in both orders; drop those that do not."""
        state = scope.states[rule]
        touched = self._touched.get(rule)
        if touched is None:
            touched = self._touched[rule] = OrderedDict()
        for key in self._distinct_keys(step.hits):
            key_state = state.get(key)
            if key_state is None:
                continue
            if key_state.is_empty():
                self._drop_key(name, scope, rule, key)
                continue
            key_state.touched_ns = step.timestamp_ns
            state.move_to_end(key)
            if (name, key) in touched:
                touched.move_to_end((name, key))
            else:
                self._count_keys(rule, 1)
            touched[name, key] = max(arrived_ms, self._clock_ms)

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
        before_ms = self._clock_ms - self._silence_ms(rule)
        while touched:
            (name, key), touched_ms = next(iter(touched.items()))
            if touched_ms >= before_ms:
                break
            scope = self._scopes[name]
            key_state = scope.states[rule][key]
            for _, match in key_state.waiting:
                found.append(result(rule, machine, match))
            self._drop_key(name, scope, rule, key)
            self.changed.add(name)
            self._schedule(name, scope)

    def _silence_ms(self, rule: str) -> int:
        """Return for how long what a rule has begun outlives its last touch, in broker time."""
        span_ms = (self._machines[rule].maxspan_ns or 0) // NS_PER_MS
        return span_ms + self._limits.lateness_ms + self._limits.offline_ms

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
            due_ms = scope.oldest_ms() + self._limits.lateness_ms + 1
            if scope.deadlines:
                due_ms = min(due_ms, scope.deadlines[0].due_ms + 1)
            for rule, begun in scope.starts.items():
                due_ms = min(due_ms, begun[0].touched_ms + self._silence_ms(rule) + 1)
            if due_ms >= NEVER:
                return
            due_ms = max(due_ms, self._clock_ms + 1)
        if scope.due_ms is None or due_ms < scope.due_ms:
            scope.due_ms = due_ms
            heapq.heappush(self._due, (due_ms, name))


def result(rule: str, machine: SequenceMachine, match: Match) -> SequenceMatch:
    """Return a match as the caller wants it."""
    return SequenceMatch(rule, match.key, machine.results(match))
