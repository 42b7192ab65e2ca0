"""Plain numbers that the engine and the transport count, once per batch; read at scrape time.

Law of the file: nothing here locks, formats or knows Prometheus. Writers add to plain integers
(one writer thread each), ``streamproc.ops.collector`` reads them when it is scraped, so the hot
path pays an integer addition and no more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# All in seconds. The SLI is "time from append to fully processed", from milliseconds to half an
# hour; the others reach as far as what they measure.
AGE_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
PHASE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
PRODUCE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REBALANCE_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

PHASES = ("prefilter", "evaluate", "produce", "commit")
SEVERITIES = ("low", "medium", "high", "critical")

Partition = tuple[str, int]
"""Topic and partition number."""


class Exemplar(NamedTuple):
    """One observation by name.

    Attributes:
        alert_id: The alert behind it.
        value_s: Its value.
        at_s: When it was made, seconds since the epoch.
        trace_id: The trace of the alert's event; empty where the event has none.
    """

    alert_id: str
    value_s: float
    at_s: float
    trace_id: str = ""


class Histogram:
    """Counts of seconds by upper bound; the cell after the bounds in ``counts`` is +Inf.

    Attributes:
        bounds: Upper bounds, ascending, each inclusive.
        counts: One cell for each bound and one more; not cumulative.
        sum_s: Sum of all that was observed, seconds.
        exemplars: The newest of each cell that has one, by position.
    """

    __slots__ = ("bounds", "counts", "exemplars", "sum_s")

    def __init__(self, bounds: Sequence[float] = AGE_BUCKETS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, seconds: float, times: int = 1, exemplar: Exemplar | None = None) -> None:
        """Count ``seconds``, ``times`` times over (a batch: each event at its oldest's age)."""
        position = bisect_left(self.bounds, seconds)
        self.counts[position] += times
        self.sum_s += seconds * times
        if exemplar is not None:
            self.exemplars[position] = exemplar


@dataclass(slots=True)
class Lag:
    """Where consumption of one assigned partition stands.

    Attributes:
        position: Offset of the next record to be processed; -1 before the first one.
        end: Offset after the last record that the broker holds; -1 while unknown.
        timestamp_ms: Time of the last processed record, milliseconds since the epoch; 0 if none.
        next_timestamp_ms: Time of the first record handed out and not processed; 0 if none.
        caught_up_ms: When nothing was left to process last; 0 if that was never.
        assigned_ms: When the partition became ours; 0 while unknown.
        empty: First and last of two offsets between which the partition holds no record, the
            second being the end that was read to: markers of transactions may follow the last
            record, and compaction leaves gaps.
    """

    position: int = -1
    end: int = -1
    timestamp_ms: int = 0
    next_timestamp_ms: int = 0
    caught_up_ms: int = 0
    assigned_ms: int = 0
    empty: tuple[int, int] = (-1, -1)

    def place(self) -> int:
        """Return the offset that processing has come to; -1 while unknown."""
        start, stop = self.empty
        return max(self.position, stop) if self.position >= start else self.position

    def records(self) -> int | None:
        """Return how many records wait; None while the position or the end is unknown."""
        if self.end == 0:
            return 0  # there has never been a record, so nothing of it was read or committed
        place = self.place()
        if place < 0 or self.end < 0:
            return None
        return max(0, self.end - place)

    def seconds(self, now_s: float) -> float | None:
        """Return how far behind the partition is in time; 0 if caught up, None while unknown.

        The age of the next record where it is known. Else it is at most as old as the last one
        processed, and it came after the moment at which nothing was left to process. Before the
        first one nothing is known but the time of the assignment: it may be older.
        """
        behind = self.records()
        if not behind:
            return None if behind is None else 0.0
        processed_ms = max(self.timestamp_ms, self.caught_up_ms)
        since_ms = self.next_timestamp_ms or processed_ms or self.assigned_ms
        return max(0.0, now_s - since_ms / 1000) if since_ms else None


@dataclass(slots=True)
class Canary:
    """The synthetic events of this worker.

    Attributes:
        sent: Handed to Kafka.
        received: Whose alert a broker has acknowledged: the whole way.
        failed: Refused by a broker, or not to be queued; by reason.
        last_seen_s: When the last one was received, seconds since the epoch; 0 if none was.
        latency_s: Time from sending the last one until its alert was acknowledged.
    """

    sent: int = 0
    received: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    last_seen_s: float = 0.0
    latency_s: float = 0.0


def _by_word(words: Sequence[str], bounds: Sequence[float]) -> dict[str, Histogram]:
    return {word: Histogram(bounds) for word in words}


@dataclass(slots=True)
class Counters:
    """All counters of one worker or replay. Outcomes add up to the records consumed.

    Outcomes: ``matched`` and ``unmatched`` (decoded and evaluated), ``filtered`` (ended by the
    prefilter), ``invalid`` (to dead letters), ``failed`` (our fault; to dead letters), ``canary``
    (a synthetic event of this worker).
    """

    # What comes in
    records_consumed: Counter[Partition] = field(default_factory=Counter)
    record_bytes: Counter[str] = field(default_factory=Counter)  # by topic
    outcomes: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)  # by reason
    incomplete: Counter[str] = field(default_factory=Counter)  # evaluated, but lacking a field
    dead_letters: Counter[str] = field(default_factory=Counter)  # by reason
    event_age: Histogram = field(default_factory=Histogram)
    phases: dict[str, Histogram] = field(default_factory=lambda: _by_word(PHASES, PHASE_BUCKETS_S))
    partitions: dict[Partition, Lag] = field(default_factory=dict)  # assigned ones only
    records_lost: Counter[Partition] = field(default_factory=Counter)  # retention overtook us
    # Rules
    rule_matches: Counter[str] = field(default_factory=Counter)  # by rule id
    rule_errors: Counter[tuple[str, str]] = field(default_factory=Counter)  # rule id, reason
    rule_seconds: dict[str, float] = field(default_factory=dict)  # sampled cost, by rule id
    reloads: Counter[str] = field(default_factory=Counter)  # accepted, refused, unchanged
    reloaded_at_s: float = 0.0  # the last rule set taken over, seconds since the epoch
    reload_refusal: str = ""  # why the newest files are not in force; empty when they are
    # Sequences
    sequence_keys_max: int = 0  # join keys that may be held; 0 where no sequence rules run
    sequence_keys: int = 0  # join keys held
    sequence_waiting: int = 0  # events that wait for earlier ones
    sequence_state_bytes: int = 0  # of the last snapshots of what is held
    late_events: int = 0
    cut_join_keys: int = 0  # events with more join keys than are followed
    released_early: int = 0  # waited less than the lateness, because of a limit
    state_evictions: Counter[str] = field(default_factory=Counter)  # by rule id
    state_errors: Counter[str] = field(default_factory=Counter)  # snapshots not kept, by reason
    state_restore: Histogram = field(default_factory=lambda: Histogram(REBALANCE_BUCKETS_S))
    # What goes out
    alerts: Counter[str] = field(default_factory=Counter)  # by severity
    detection_latency: dict[str, Histogram] = field(
        default_factory=lambda: _by_word(SEVERITIES, AGE_BUCKETS_S)
    )
    suppressed: Counter[str] = field(default_factory=Counter)  # matches without alert, by reason
    context_requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # kind, result
    truncated: Counter[str] = field(default_factory=Counter)  # oversized outputs cut, by kind
    records_produced: Counter[str] = field(default_factory=Counter)  # acknowledged, by topic
    produce_errors: Counter[tuple[str, str]] = field(default_factory=Counter)  # topic, reason
    produce_seconds: dict[str, Histogram] = field(default_factory=dict)  # by topic
    outputs_pending: int = 0  # queued and not acknowledged
    # Kafka
    commit_failures: Counter[str] = field(default_factory=Counter)  # by reason
    kafka_errors: Counter[str] = field(default_factory=Counter)  # by reason
    # by what (password, certificates) and result (accepted, refused)
    credential_reloads: Counter[tuple[str, str]] = field(default_factory=Counter)
    rebalances: Counter[str] = field(default_factory=Counter)  # assigned, revoked, lost
    rebalance_seconds: Histogram = field(default_factory=lambda: Histogram(REBALANCE_BUCKETS_S))
    # The worker itself
    heartbeat_s: float = 0.0  # last one of the event loop, seconds since the epoch
    loop_lag_s: float = 0.0  # longest delay of the event loop within a minute
    is_held_back: bool = False  # waits for acknowledgements
    canary: Canary = field(default_factory=Canary)
