"""Every metric: its name, labels and meaning; drawn from ``Counters`` when it is scraped.

Law of the file: it only reads, in a thread of its own, and the hot path knows nothing of it.
Names have the prefix ``streamproc_``, base units and ``_total`` for counters; labels come from
bounded sets (never a host, user, process or event). Series that must exist before something
happens, so that an alert on their rate works the first time, start at zero.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from streamproc.errors import ConfigError
from streamproc.ops.counters import AGE_BUCKETS_S, Counters, Lag, Partition

OUTCOMES = ("matched", "unmatched", "filtered", "invalid", "failed")
INVALID_REASONS = ("empty", "json", "not_object", "too_large")
SEVERITIES = ("low", "medium", "high", "critical")
SUPPRESSION_REASONS = ("own_alert",)
TRUNCATED_OUTPUTS = ("alert", "dead_letter")
REQUEST_STATUSES = ("resolved", "partial", "unresolvable")
REBALANCE_REASONS = ("assigned", "revoked", "lost")
STATE_ERROR_REASONS = ("began_anew", "stale", "too_large", "unreadable")
# As streamproc.transport.faults names them.
ERROR_REASONS = ("auth", "authorization", "tls", "timeout", "fenced", "other")
COMMIT_REASONS = (*ERROR_REASONS, "outputs_failed", "outputs_pending", "rebalance", "unavailable")


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What the metrics say of one loaded rule."""

    rule_id: str
    name: str
    severity: str


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What does not change while a worker runs.

    Attributes:
        version: Version of this program.
        ruleset_digest: Digest of the loaded rules, to be compared across workers.
        rules: The loaded rules.
        rules_rejected: How many rule files were left out as faulty.
    """

    version: str
    ruleset_digest: str
    rules: tuple[RuleFacts, ...]
    rules_rejected: int


class StreamprocCollector(Collector):
    """Reads the counters whenever Prometheus asks.

    Args:
        counters: The running worker's counters; it may go on changing them.
        facts: What does not change.
        clock: Seconds since the epoch; replaced in tests.
    """

    def __init__(
        self, counters: Counters, facts: WorkerFacts, clock: Callable[[], float] = time.time
    ) -> None:
        self._counters = counters
        self._facts = facts
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """All metrics, in the order of the catalogue."""
        yield from self._build_metrics()
        yield from self._input_metrics()
        yield from self._lag_metrics()
        yield from self._rule_metrics()
        yield from self._sequence_metrics()
        yield from self._output_metrics()
        yield from self._kafka_metrics()

    def _build_metrics(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "streamproc_build",
            "Version of streamproc and of the Python that runs it.",
            {"version": self._facts.version, "python_version": platform.python_version()},
        )
        yield InfoMetricFamily(
            "streamproc_ruleset",
            "Digest of the loaded rules; workers that differ run different rules.",
            {"digest": self._facts.ruleset_digest},
        )
        yield GaugeMetricFamily(
            "streamproc_rules_loaded", "Rules that run.", len(self._facts.rules)
        )
        yield GaugeMetricFamily(
            "streamproc_rules_rejected",
            "Rule files that were left out as faulty.",
            self._facts.rules_rejected,
        )

    def _input_metrics(self) -> Iterator[Metric]:
        counters = self._counters
        assigned = dict(counters.partitions)
        yield _by_partition(
            "streamproc_records_consumed",
            "Records read from Kafka, of the partitions that are assigned now.",
            {
                key: count
                for key, count in dict(counters.records_consumed).items()
                if key in assigned
            },
        )
        yield _counter(
            "streamproc_record_bytes_consumed",
            "Bytes of the values of the records read.",
            "topic",
            counters.record_bytes,
        )
        outcomes = dict(counters.outcomes)
        yield _counter(
            "streamproc_events_processed",
            "Records by what became of them; the outcomes add up to all records processed.",
            "outcome",
            outcomes,
            OUTCOMES,
        )
        processed = sum(outcomes.values())
        yield GaugeMetricFamily(
            "streamproc_prefilter_ended_ratio",
            "Share of all processed records that the prefilter ended, 0 to 1, since the start.",
            outcomes.get("filtered", 0) / processed if processed else 0.0,
        )
        yield _counter(
            "streamproc_events_invalid",
            "Records that are no event and went to dead letters.",
            "reason",
            counters.invalid,
            INVALID_REASONS,
        )
        yield _counter(
            "streamproc_events_incomplete",
            "Events evaluated although they lack a field that every event should have.",
            "field",
            counters.incomplete,
        )
        yield _counter(
            "streamproc_dead_letter_records",
            "Records written to dead letters.",
            "reason",
            counters.dead_letters,
            INVALID_REASONS,
        )

    def _lag_metrics(self) -> Iterator[Metric]:
        now_s = self._clock()
        records = GaugeMetricFamily(
            "streamproc_consumer_lag_records",
            "Records that the partition holds after the last one processed.",
            labels=("topic", "partition"),
        )
        seconds = GaugeMetricFamily(
            "streamproc_consumer_lag_seconds",
            "0 when caught up, else the age of the last record processed.",
            labels=("topic", "partition"),
        )
        partitions = dict(self._counters.partitions)
        for (topic, partition), lag in sorted(partitions.items()):
            labels = (topic, str(partition))
            # A value that is not known yet is left out: 0 would say "caught up".
            if (behind := _records_behind(lag)) is not None:
                records.add_metric(labels, behind)
                if behind == 0 or lag.timestamp_ms:
                    age_s = max(0.0, now_s - lag.timestamp_ms / 1000)
                    seconds.add_metric(labels, age_s if behind else 0.0)
        yield records
        yield seconds
        yield GaugeMetricFamily(
            "streamproc_last_processed_timestamp_seconds",
            "Time of the newest record processed, of the partitions that are assigned now.",
            max((lag.timestamp_ms for lag in partitions.values()), default=0) / 1000,
        )
        age = self._counters.event_age
        cells, sum_s = list(age.counts), age.sum_s
        bounds = [str(float(bound)) for bound in AGE_BUCKETS_S] + ["+Inf"]
        cumulative = [sum(cells[: position + 1]) for position in range(len(cells))]
        yield HistogramMetricFamily(
            "streamproc_event_age_seconds",
            "Time from a record's own timestamp until it was processed; a batch counts as old as"
            " its oldest record.",
            buckets=list(zip(bounds, cumulative, strict=True)),
            sum_value=sum_s,
        )

    def _rule_metrics(self) -> Iterator[Metric]:
        matches = CounterMetricFamily(
            "streamproc_rule_matches",
            "Events (or sequences) that a rule matched.",
            labels=("rule_id", "severity"),
        )
        errors = CounterMetricFamily(
            "streamproc_rule_errors", "Evaluations of a rule that failed.", labels=("rule_id",)
        )
        names = GaugeMetricFamily(
            "streamproc_rule_info",
            "Always 1: the names behind the rule ids, for joins.",
            labels=("rule_id", "rule_name", "severity"),
        )
        matched, failed = dict(self._counters.rule_matches), dict(self._counters.rule_errors)
        for rule in self._facts.rules:
            matches.add_metric((rule.rule_id, rule.severity), matched.get(rule.rule_id, 0))
            errors.add_metric((rule.rule_id,), failed.get(rule.rule_id, 0))
            names.add_metric((rule.rule_id, rule.name, rule.severity), 1)
        yield from (matches, errors, names)

    def _sequence_metrics(self) -> Iterator[Metric]:
        counters = self._counters
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
        ):
            yield GaugeMetricFamily(f"streamproc_sequence_state_{name}", meaning, value)
        evicted = CounterMetricFamily(
            "streamproc_sequence_state_evictions",
            "Partial sequences forgotten because of a limit, each a possible missed detection.",
            labels=("rule_id",),
        )
        # Single-event rules have no state; a series for each would only be in the way.
        for rule_id, count in sorted(dict(counters.state_evictions).items()):
            evicted.add_metric((rule_id,), count)
        yield evicted
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
        yield _counter(
            "streamproc_sequence_state_errors",
            "Snapshots of sequence state that could not be kept or used.",
            "reason",
            counters.state_errors,
            STATE_ERROR_REASONS,
        )
        restores = SummaryMetricFamily(
            "streamproc_state_restore_duration_seconds",
            "Time from an assignment until the sequence state of its partitions was there.",
        )
        restores.add_metric((), counters.state_restores, counters.state_restore_seconds)
        yield restores

    def _output_metrics(self) -> Iterator[Metric]:
        counters = self._counters
        yield _counter(
            "streamproc_alerts_published",
            "Alerts handed to Kafka; a sequence counts once, without its building blocks.",
            "severity",
            counters.alerts,
            SEVERITIES,
        )
        yield _counter(
            "streamproc_alerts_suppressed",
            "Matches that gave no alert: own_alert, the event is an alert of the rule itself.",
            "reason",
            counters.suppressed,
            SUPPRESSION_REASONS,
        )
        yield _counter(
            "streamproc_context_requests",
            "Context requests by how completely their queries could be filled in.",
            "status",
            counters.context_requests,
            REQUEST_STATUSES,
        )
        yield _counter(
            "streamproc_records_produced",
            "Records that the brokers acknowledged.",
            "topic",
            counters.records_produced,
        )
        yield _counter(
            "streamproc_produce_errors",
            "Records that could not be written; none of their events is committed.",
            "topic",
            counters.produce_errors,
        )
        yield _counter(
            "streamproc_outputs_truncated",
            "Outputs that were cut because they were too large for their topic.",
            "output",
            counters.truncated,
            TRUNCATED_OUTPUTS,
        )

    def _kafka_metrics(self) -> Iterator[Metric]:
        counters = self._counters
        yield GaugeMetricFamily(
            "streamproc_assigned_partitions",
            "Partitions that this worker reads.",
            len(counters.partitions),
        )
        yield _counter(
            "streamproc_rebalances",
            "Changes of the assigned partitions.",
            "reason",
            counters.rebalances,
            REBALANCE_REASONS,
        )
        yield _counter(
            "streamproc_commit_failures",
            "Commits of offsets that failed; what they covered may be processed again.",
            "reason",
            counters.commit_failures,
            COMMIT_REASONS,
        )
        yield _counter(
            "streamproc_kafka_errors",
            "Errors that the Kafka client reported.",
            "reason",
            counters.kafka_errors,
            ERROR_REASONS,
        )
        yield _by_partition(
            "streamproc_records_lost",
            "Records that were deleted by retention before they could be read.",
            dict(counters.records_lost),
        )


class MetricsServer:
    """A running HTTP server; made by ``serve_metrics``.

    Attributes:
        port: The port that it listens on.
    """

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread
        self.port = int(server.server_port)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def metrics_registry(collector: Collector) -> CollectorRegistry:
    """A registry of its own with the collector, and the process's memory, CPU and files."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def serve_metrics(host: str, port: int, registry: CollectorRegistry) -> MetricsServer:
    """Serve ``/metrics`` from a thread of its own; a busy event loop does not delay it.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        registry: What to serve, as ``metrics_registry`` makes it.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"metrics_host = {host}, metrics_port = {port}: cannot listen there: {reason};"
            " choose another port, or 0 to serve no metrics"
        ) from None
    return MetricsServer(server, thread)


def _counter(
    name: str,
    meaning: str,
    label: str,
    counts: Mapping[str, int],
    always: Iterable[str] = (),
) -> CounterMetricFamily:
    """A counter with one label; ``always`` names the label values that exist from the start."""
    family = CounterMetricFamily(name, meaning, labels=(label,))
    # dict() copies in one step, so that a worker counting meanwhile cannot disturb the loop.
    for value, count in sorted((dict.fromkeys(always, 0) | dict(counts)).items()):
        family.add_metric((value,), count)
    return family


def _by_partition(name: str, meaning: str, counts: Mapping[Partition, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, meaning, labels=("topic", "partition"))
    for (topic, partition), count in sorted(counts.items()):
        family.add_metric((topic, str(partition)), count)
    return family


def _records_behind(lag: Lag) -> int | None:
    """Records between the position and the partition's end; None while either is unknown."""
    if lag.position < 0 or lag.end < 0:
        return None
    return max(0, lag.end - lag.position)
