"""Bounds of sequence state: for a scope, for a rule and for the whole worker.

Law of the file: state is bounded whatever comes in, and everything that a bound costs is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class SequenceCounts:
    """What the metrics read of all partitions of a worker.

    Attributes:
        late_events: Came after what they would have changed was decided.
        evicted_keys: By rule: forgotten because of a limit, each a possible missed detection.
        released_early: Events that were not waited with as long as the lateness, because of a
            limit: an earlier one is late after that.
        cut_join_keys: Events with more join keys than are followed.
    """

    late_events: int = 0
    evicted_keys: Counter[str] = field(default_factory=Counter)
    released_early: int = 0
    cut_join_keys: int = 0


@dataclass(frozen=True, slots=True)
class SequenceLimits:
    """Times and bounds of the state.

    Attributes:
        lateness_ms: How long an event may be overtaken by later ones, milliseconds.
        offline_ms: How long a scope may be silent, in broker time and beyond a rule's span and the
            lateness, before its partial sequences are dropped: a host that was offline for less
            may still complete them with what it sends afterwards.
        forget_ms: Broker time after which an empty scope is forgotten, milliseconds.
        buffer_max: Waiting events of one scope; beyond it the earliest is released early.
        waiting_max: Waiting events of the worker; beyond it likewise.
        starts_max: Undecoded events of the worker that may have begun a sequence and whose turn is
            over; beyond it the oldest of the scope is decoded, and takes its turn after all.
        rule_keys_max: Join keys of one rule in the worker; beyond it the one touched longest ago
            is evicted.
        keys_max: Join keys of all rules in the worker; likewise, from the largest rule.
        settling_max: Matches of one key that wait for a trailing missing event; beyond it the
            oldest is evicted.
    """

    lateness_ms: int = 30_000
    offline_ms: int = 600_000
    forget_ms: int = 3_600_000
    buffer_max: int = 10_000
    waiting_max: int = 200_000
    starts_max: int = 20_000
    rule_keys_max: int = 100_000
    keys_max: int = 300_000
    settling_max: int = 1_000


class KeyHolder(Protocol):
    """A partition's state, as the budget sees it."""

    def keys_of(self, rule: str) -> int:
        """Return how many join keys of a rule it holds."""

    def largest_rule(self) -> tuple[int, str]:
        """Return the rule of which it holds most keys, after their number."""

    def evict(self, rule: str) -> None:
        """Forget the key of a rule that was touched longest ago."""


class SequenceBudget:
    """The bounds that the partitions of a worker share. Not for use by two threads.

    Args:
        limits: The bounds.

    Attributes:
        waiting: Waiting events in all partitions.
        starts: Undecoded starts in all partitions; an event counts once for each rule.
        keys: Join keys in all partitions.
        counts: What the bounds have cost so far, and late events.
    """

    def __init__(self, limits: SequenceLimits) -> None:
        self.limits = limits
        self.waiting = 0
        self.starts = 0
        self.keys = 0
        self.counts = SequenceCounts()
        self._by_rule: Counter[str] = Counter()
        self._holders: list[KeyHolder] = []

    def enter(self, holder: KeyHolder) -> None:
        """Take a partition in."""
        self._holders.append(holder)

    def leave(self, holder: KeyHolder) -> None:
        """Let a partition go, which has given back what it held."""
        self._holders.remove(holder)

    def add_keys(self, rule: str, count: int) -> None:
        """Count join keys that a partition holds now; negative when it gave them back."""
        self.keys += count
        self._by_rule[rule] += count

    def relieve(self, rule: str) -> None:
        """Evict until all bounds hold, after keys of a rule were added.

        O(1) while they hold; O(partitions + rules) for each eviction.
        """
        while self._by_rule[rule] > self.limits.rule_keys_max:
            max(self._holders, key=lambda holder: holder.keys_of(rule)).evict(rule)
            self.counts.evicted_keys[rule] += 1
        while self.keys > self.limits.keys_max:
            holder = max(self._holders, key=lambda holder: holder.largest_rule())
            _, largest = holder.largest_rule()
            holder.evict(largest)
            self.counts.evicted_keys[largest] += 1
