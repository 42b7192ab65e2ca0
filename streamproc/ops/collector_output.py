"""Metrics of what goes out, of the work with Kafka, and of the canary.

Law of the file: a series on whose rate somebody alerts is there, at zero, before the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamproc.ops.counters import SEVERITIES, Counters
from streamproc.ops.facts import WorkerFacts
from streamproc.ops.families import counter, counter_of_pairs, histogram, histograms

SUPPRESSION_REASONS = ("own_alert",)
TRUNCATED_OUTPUTS = ("alert", "dead_letter")
REQUEST_KINDS = ("default", "rule")
REQUEST_RESULTS = ("resolved", "partial", "unresolvable")
REBALANCE_REASONS = ("assigned", "revoked", "lost")
# As streamproc.refusals and streamproc.transport.faults name them.
ERROR_REASONS = (
    "auth",
    "auth_rotated",
    "authorization",
    "tls",
    "tls_authority",
    "tls_expired",
    "tls_hostname",
    "timeout",
    "fenced",
    "other",
)
CREDENTIALS = ("password", "certificates")
CREDENTIAL_RESULTS = ("accepted", "refused")
COMMIT_REASONS = (*ERROR_REASONS, "outputs_failed", "outputs_pending", "rebalance", "unavailable")


def output_metrics(counters: Counters, facts: WorkerFacts) -> Iterator[Metric]:
    """Yield the metrics of alerts, context requests and of all that is written."""
    yield counter(
        "streamproc_alerts_published",
        "Alerts handed to Kafka; a sequence counts once, without its building blocks.",
        "severity",
        counters.alerts,
        SEVERITIES,
    )
    yield histograms(
        "streamproc_detection_latency_seconds",
        "Time from an event's @timestamp (the last event's of a sequence) until its alert was"
        " acknowledged by the brokers; with the ids of the alert and of its trace as exemplar"
        " (OpenMetrics).",
        "severity",
        counters.detection_latency,
    )
    yield counter(
        "streamproc_alerts_suppressed",
        "Matches that gave no alert: own_alert, the event is an alert of the rule itself.",
        "reason",
        counters.suppressed,
        SUPPRESSION_REASONS,
    )
    yield counter_of_pairs(
        "streamproc_context_requests",
        "Context requests by the origin of their query (the rule's guide, or the default set) and"
        " by how completely it could be filled in.",
        ("kind", "result"),
        counters.context_requests,
        product(REQUEST_KINDS, REQUEST_RESULTS),
    )
    yield counter(
        "streamproc_records_produced",
        "Records that the brokers acknowledged.",
        "topic",
        counters.records_produced,
        facts.output_topics,
    )
    yield counter_of_pairs(
        "streamproc_produce_errors",
        "Records that could not be written; none of their events is committed.",
        ("topic", "reason"),
        counters.produce_errors,
        product(facts.output_topics, ERROR_REASONS),
    )
    yield histograms(
        "streamproc_produce_duration_seconds",
        "Time from queueing a record until the brokers acknowledged it.",
        "topic",
        counters.produce_seconds,
    )
    yield GaugeMetricFamily(
        "streamproc_produce_pending_records",
        "Records queued and not acknowledged yet.",
        counters.outputs_pending,
    )
    yield counter(
        "streamproc_outputs_truncated",
        "Outputs that were cut because they were too large for their topic.",
        "output",
        counters.truncated,
        TRUNCATED_OUTPUTS,
    )


def kafka_metrics(counters: Counters) -> Iterator[Metric]:
    """Yield the metrics of the consumer group and of the clients."""
    yield GaugeMetricFamily(
        "streamproc_assigned_partitions",
        "Partitions that this worker reads.",
        len(counters.partitions),
    )
    yield counter(
        "streamproc_rebalances",
        "Changes of the assigned partitions.",
        "reason",
        counters.rebalances,
        REBALANCE_REASONS,
    )
    yield histogram(
        "streamproc_rebalance_duration_seconds",
        "Time without detection: from giving up partitions (or being given the first) until the"
        " new ones are taken over.",
        counters.rebalance_seconds,
    )
    yield counter(
        "streamproc_commit_failures",
        "Commits of offsets that failed; what they covered may be processed again.",
        "reason",
        counters.commit_failures,
        COMMIT_REASONS,
    )
    yield counter(
        "streamproc_kafka_errors",
        "Errors that the Kafka client reported.",
        "reason",
        counters.kafka_errors,
        ERROR_REASONS,
    )
    yield counter_of_pairs(
        "streamproc_credential_reloads",
        "Changed password files and certificates, by whether they are in use now; refused ones are"
        " tried again.",
        ("what", "result"),
        counters.credential_reloads,
        product(CREDENTIALS, CREDENTIAL_RESULTS),
    )


def canary_metrics(counters: Counters) -> Iterator[Metric]:
    """Yield the metrics of the canary; all zero where canary_interval_s is 0."""
    canary = counters.canary
    yield CounterMetricFamily(
        "streamproc_canary_sent",
        "Synthetic events handed to Kafka (canary_interval_s).",
        value=canary.sent,
    )
    yield CounterMetricFamily(
        "streamproc_canary_received",
        "Synthetic events that came the whole way: read, matched, and their alert acknowledged.",
        value=canary.received,
    )
    yield counter(
        "streamproc_canary_failures",
        "Synthetic events, or their alerts, that the brokers refused.",
        "reason",
        canary.failed,
        ERROR_REASONS,
    )
    yield GaugeMetricFamily(
        "streamproc_canary_last_seen_timestamp_seconds",
        "When the last synthetic event came the whole way; 0: none yet.",
        canary.last_seen_s,
    )
    yield GaugeMetricFamily(
        "streamproc_canary_latency_seconds",
        "Time that the last synthetic event took, from sending it to its alert's acknowledgement.",
        canary.latency_s,
    )
