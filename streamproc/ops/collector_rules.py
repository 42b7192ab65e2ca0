"""Metrics of the rules: what runs, what each found, failed and cost; sequences; reloads.

Law of the file: at most four series for each rule, all labelled by rule id; names are joined by
``streamproc_rule_info``. A thousand rules stay below five thousand series.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from streamproc.ops.counters import Counters
from streamproc.ops.facts import WorkerFacts
from streamproc.ops.families import counter, histogram

RULE_TYPES = ("query", "sequence")
RELOAD_RESULTS = ("accepted", "refused", "unchanged")
RULE_ERROR_REASONS = ("evaluation", "output")
EVICTION_REASONS = ("capacity",)
STATE_ERROR_REASONS = ("began_anew", "stale", "too_large", "unreadable")


def rule_metrics(counters: Counters, facts: WorkerFacts) -> Iterator[Metric]:
    """Yield all metrics of the group."""
    yield from _ruleset(counters, facts)
    yield from _rules(counters, facts)
    yield from _sequence_state(counters)
    yield from _sequence_losses(counters)


def _ruleset(counters: Counters, facts: WorkerFacts) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "streamproc_ruleset",
        "Digest of the loaded rules; workers that differ run different rules.",
        {"digest": facts.ruleset_digest},
    )
    loaded = GaugeMetricFamily("streamproc_rules_loaded", "Rules that run.", labels=("type",))
    for kind in RULE_TYPES:
        loaded.add_metric((kind,), sum(rule.type == kind for rule in facts.rules))
    yield loaded
    yield GaugeMetricFamily(
        "streamproc_rules_rejected",
        "Rule files that were left out as faulty; /status says which and why.",
        len(facts.rejected),
    )
    yield counter(
        "streamproc_ruleset_reloads",
        "Changed rules noticed: accepted, refused (the old ones go on) or unchanged in content.",
        "result",
        counters.reloads,
        RELOAD_RESULTS,
    )
    yield GaugeMetricFamily(
        "streamproc_ruleset_last_reload_success_timestamp_seconds",
        "When the rules that run were loaded.",
        counters.reloaded_at_s or facts.loaded_at_s,
    )


def _rules(counters: Counters, facts: WorkerFacts) -> Iterator[Metric]:
    matches = CounterMetricFamily(
        "streamproc_rule_matches",
        "Events (or sequences) that a rule matched.",
        labels=("rule_id", "severity"),
    )
    errors = CounterMetricFamily(
        "streamproc_rule_errors",
        "Failures of a rule: in its evaluation, or in writing its outputs.",
        labels=("rule_id", "reason"),
    )
    cost = CounterMetricFamily(
        "streamproc_rule_evaluation_seconds",
        "Time spent in evaluating a rule, estimated from a sample of its evaluations.",
        labels=("rule_id",),
    )
    names = GaugeMetricFamily(
        "streamproc_rule_info",
        "Always 1: the names behind the rule ids, for joins.",
        labels=("rule_id", "rule_name", "severity", "type"),
    )
    matched, failed = dict(counters.rule_matches), dict(counters.rule_errors)
    seconds = dict(counters.rule_seconds)
    first = RULE_ERROR_REASONS[0]
    for rule_id, name, severity, kind in facts.rules:
        matches.add_metric((rule_id, severity), matched.get(rule_id, 0))
        names.add_metric((rule_id, name, severity, kind), 1)
        errors.add_metric((rule_id, first), failed.get((rule_id, first), 0))
        for reason in RULE_ERROR_REASONS[1:]:
            if count := failed.get((rule_id, reason)):
                errors.add_metric((rule_id, reason), count)
        if rule_id in seconds:
            cost.add_metric((rule_id,), seconds[rule_id])
    yield from (matches, errors, cost, names)


def _sequence_state(counters: Counters) -> Iterator[Metric]:
    for name, meaning, value in (
        ("entries", "Join keys of partial sequences held.", counters.sequence_keys),
        (
            "limit_entries",
            "Join keys that may be held (sequence_keys_max); beyond it they are evicted.",
            counters.sequence_keys_max,
        ),
        (
            "waiting_events",
            "Events that wait for earlier ones of their host.",
            counters.sequence_waiting,
        ),
        (
            "bytes",
            "Bytes of the newest snapshots of the state held, packed as they are written.",
            counters.sequence_state_bytes,
        ),
    ):
        yield GaugeMetricFamily(f"streamproc_sequence_state_{name}", meaning, value)
    yield counter(
        "streamproc_sequence_state_errors",
        "Snapshots of sequence state that could not be kept or used.",
        "reason",
        counters.state_errors,
        STATE_ERROR_REASONS,
    )
    yield histogram(
        "streamproc_state_restore_duration_seconds",
        "Time from an assignment until the sequence state of its partitions was there.",
        counters.state_restore,
    )


def _sequence_losses(counters: Counters) -> Iterator[Metric]:
    evictions = dict(counters.state_evictions)
    yield counter(
        "streamproc_sequence_state_evictions",
        "Partial sequences forgotten because of a limit, each a possible missed detection.",
        "reason",
        {"capacity": sum(evictions.values())},
        EVICTION_REASONS,
    )
    by_rule = CounterMetricFamily(
        "streamproc_rule_state_evictions",
        "The same by rule; only rules that lost any.",
        labels=("rule_id",),
    )
    for rule_id, count in sorted(evictions.items()):
        by_rule.add_metric((rule_id,), count)
    yield by_rule
    yield CounterMetricFamily(
        "streamproc_late_events",
        "Events later than lateness_s that a sequence rule could have used, and did not.",
        value=counters.late_events,
    )
    yield CounterMetricFamily(
        "streamproc_sequence_events_released_early",
        "Events not waited with for lateness_s, because too many wait (sequence_waiting_max).",
        value=counters.released_early,
    )
    yield CounterMetricFamily(
        "streamproc_sequence_join_keys_cut",
        "Events with as many join keys as are followed (1,000) or more.",
        value=counters.cut_join_keys,
    )
