"""Plain numbers that the engine and the transport count, once per batch; read at scrape time.

Law of the file: nothing here locks, formats or knows Prometheus. Writers add to plain integers
(one writer thread each), ``streamproc.ops.metrics`` reads them when it is scraped, so the hot
path pays an integer addition and no more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# Seconds. The SLI is "time from append to fully processed", from milliseconds to half an hour.
AGE_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

Partition = tuple[str, int]
"""Topic and partition number."""


class AgeHistogram:
    """A histogram of ages in seconds; the cell after ``AGE_BUCKETS_S`` in ``counts`` is +Inf."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(AGE_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, age_s: float, events: int) -> None:
        """Count ``events`` events at ``age_s`` seconds (a batch: at its oldest record's age)."""
        self.sum_s += age_s * events
        for position, bound in enumerate(AGE_BUCKETS_S):
            if age_s <= bound:
                self.counts[position] += events
                return
        self.counts[-1] += events


@dataclass(slots=True)
class Lag:
    """Where consumption of one assigned partition stands.

    Attributes:
        position: Offset of the next record to be processed; -1 before the first one.
        end: Offset after the last record that the broker holds; -1 while unknown.
        timestamp_ms: Time of the last processed record, milliseconds since the epoch; 0 if none.
    """

    position: int = -1
    end: int = -1
    timestamp_ms: int = 0


@dataclass(slots=True)
class Counters:
    """All counters of one worker or replay. Outcomes add up to the records consumed.

    Outcomes: ``matched`` and ``unmatched`` (decoded and evaluated), ``filtered`` (ended by the
    prefilter), ``invalid`` (to dead letters), ``failed`` (our fault; to dead letters).
    """

    records_consumed: Counter[Partition] = field(default_factory=Counter)
    record_bytes: Counter[str] = field(default_factory=Counter)  # by topic
    outcomes: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)  # by reason
    incomplete: Counter[str] = field(default_factory=Counter)  # evaluated, but lacking a field
    dead_letters: Counter[str] = field(default_factory=Counter)  # by reason
    rule_matches: Counter[str] = field(default_factory=Counter)  # by rule id
    rule_errors: Counter[str] = field(default_factory=Counter)  # by rule id
    alerts: Counter[str] = field(default_factory=Counter)  # by severity
    context_requests: Counter[str] = field(default_factory=Counter)  # by status
    records_produced: Counter[str] = field(default_factory=Counter)  # acknowledged, by topic
    produce_errors: Counter[str] = field(default_factory=Counter)  # by topic
    suppressed: Counter[str] = field(default_factory=Counter)  # matches without alert, by reason
    truncated: Counter[str] = field(default_factory=Counter)  # oversized outputs cut, by kind
    commit_failures: Counter[str] = field(default_factory=Counter)  # by reason
    kafka_errors: Counter[str] = field(default_factory=Counter)  # by reason
    rebalances: Counter[str] = field(default_factory=Counter)  # assigned, revoked, lost
    records_lost: Counter[Partition] = field(default_factory=Counter)  # retention overtook us
    sequence_keys_max: int = 0  # join keys that may be held; 0 where no sequence rules run
    sequence_keys: int = 0  # join keys held
    sequence_waiting: int = 0  # events that wait for earlier ones
    late_events: int = 0
    cut_join_keys: int = 0  # events with more join keys than are followed
    released_early: int = 0  # waited less than the lateness, because of a limit
    state_evictions: Counter[str] = field(default_factory=Counter)  # by rule id
    state_errors: Counter[str] = field(default_factory=Counter)  # snapshots not kept, by reason
    state_restores: int = 0
    state_restore_seconds: float = 0.0
    partitions: dict[Partition, Lag] = field(default_factory=dict)  # assigned ones only
    event_age: AgeHistogram = field(default_factory=AgeHistogram)
