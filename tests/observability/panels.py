"""What the dashboards show: panels and their queries, in the order in which they are read.

``SEL`` in a query stands for the selector of the dashboard's variables, ``GROUP`` for the part of
it that recording rules keep, ``RATE`` for the time over which a rate is taken.
"""

from __future__ import annotations

from typing import NamedTuple

NAMED = (
    "* on (rule_id) group_left (rule_name) max by (rule_id, rule_name) (streamproc_rule_info{SEL})"
)


class Query(NamedTuple):
    """One query and the legend of its series."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One panel.

    Attributes:
        kind: ``stat``, ``lines``, ``bars``, ``table`` or ``heatmap``.
        width: Of 24 columns.
        good, bad: Thresholds of a stat: green from (or below) ``good``, red beyond ``bad``.
    """

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    good: float | None = None
    bad: float | None = None


class Row(NamedTuple):
    """A heading and the panels under it."""

    title: str
    panels: tuple[Panel, ...]


class Board(NamedTuple):
    """One dashboard; ``name`` is its file and its uid."""

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]


def stat(title, description, expr, unit="short", good=None, bad=None, width=4, legend=""):
    return Panel("stat", title, description, (Query(expr, legend),), unit, width, good, bad)


def lines(title, description, *queries, unit="short", width=12):
    return Panel("lines", title, description, queries, unit, width)


def bars(title, description, *queries, unit="short", width=12):
    return Panel("bars", title, description, queries, unit, width)


def table(title, description, expr, unit="short", width=12):
    return Panel("table", title, description, (Query(expr),), unit, width)


def heatmap(title, description, expr, unit="s", width=12):
    return Panel("heatmap", title, description, (Query(expr, "{{le}}"),), unit, width)


def quantiles(name: str, *shares: float, by: str = "") -> tuple[Query, ...]:
    """Queries of a histogram's quantiles, over all series or ``by`` a label."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({labels}) (rate({name}_bucket{{SEL}}[RATE])))",
            f"p{share * 100:g}{legend}",
        )
        for share in shares
    )


OVERVIEW = Board(
    "streamproc-overview",
    "streamproc / SOC overview",
    "Is detection working, and what did it find?",
    (
        Row(
            "Is detection working?",
            (
                stat(
                    "In time",
                    "Share of the events of this time range that were processed within 10 s.",
                    'sum(increase(streamproc_event_age_seconds_bucket{SEL,le="10.0"}[$__range]))'
                    " / sum(increase(streamproc_event_age_seconds_count{SEL}[$__range]))",
                    "percentunit",
                    good=0.999,
                    bad=0.99,
                ),
                stat(
                    "Budget left, 30 days",
                    "Of the 0.1 % of events that may be late; below zero the objective is missed.",
                    '1 - (1 - sum(increase(streamproc_event_age_seconds_bucket{SEL,le="10.0"}[30d]))'
                    " / sum(increase(streamproc_event_age_seconds_count{SEL}[30d]))) / 0.001",
                    "percentunit",
                    good=0.5,
                    bad=0,
                ),
                stat(
                    "Burn rate, 1 hour",
                    "How fast the budget is used: 1 uses all of it in 30 days, 14 in two.",
                    "max(streamproc:event_age_slow:ratio_rate1h{GROUP}) / 0.001",
                    good=1,
                    bad=6,
                ),
                stat(
                    "Canary",
                    "Time since a synthetic event last came the whole way.",
                    "time() - max(streamproc_canary_last_seen_timestamp_seconds{SEL})",
                    "s",
                    good=120,
                    bad=600,
                ),
                stat(
                    "Workers ready",
                    "Workers without any reason to be unready.",
                    "count(max by (instance) (streamproc_unready{SEL}) == 0) or vector(0)",
                    good=1,
                    bad=0,
                ),
                stat(
                    "Firing",
                    "Alerts about streamproc itself that fire now.",
                    'count(ALERTS{alertname=~"Streamproc.*",alertstate="firing"}) or vector(0)',
                    good=0,
                    bad=1,
                ),
            ),
        ),
        Row(
            "What was found",
            (
                bars(
                    "Alerts by severity",
                    "Alerts handed to Kafka; a sequence counts once.",
                    Query(
                        "sum by (severity) (increase(streamproc_alerts_published_total{SEL}[RATE]))",
                        "{{severity}}",
                    ),
                ),
                table(
                    "Loudest rules, 24 hours",
                    "Matches by rule.",
                    "topk(10, sum by (rule_id) (increase(streamproc_rule_matches_total{SEL}[24h])) "
                    f"{NAMED})",
                ),
                lines(
                    "From event to alert",
                    "An event's @timestamp until its alert was acknowledged: the shipper's time is in it.",
                    *quantiles("streamproc_detection_latency_seconds", 0.5, 0.99),
                    unit="s",
                ),
                bars(
                    "Context requests",
                    "By how completely their queries could be filled in from the alert's event.",
                    Query(
                        "sum by (result) (increase(streamproc_context_requests_total{SEL}[RATE]))",
                        "{{result}}",
                    ),
                ),
                stat(
                    "Rules that run",
                    "Loaded rules of the worker that has most.",
                    "max(sum by (instance) (streamproc_rules_loaded{SEL}))",
                    width=6,
                    good=1,
                    bad=0,
                ),
                stat(
                    "Rules silent for 7 days",
                    "Rules without a match; many are meant to be.",
                    "count(sum by (rule_id) (increase(streamproc_rule_matches_total{SEL}[7d])) == 0)"
                    " or vector(0)",
                    width=6,
                ),
                lines(
                    "Canary's way",
                    "Time that the last synthetic event took, from sending it to its alert's"
                    " acknowledgement.",
                    Query("max(streamproc_canary_latency_seconds{SEL})", "slowest worker"),
                    unit="s",
                ),
            ),
        ),
    ),
)

PIPELINE = Board(
    "streamproc-pipeline",
    "streamproc / Pipeline",
    "Where do events stand, and what holds them up?",
    (
        Row(
            "In",
            (
                lines(
                    "Events by outcome",
                    "Events per second; the outcomes add up to all records read.",
                    Query(
                        "sum by (outcome) (rate(streamproc_events_processed_total{SEL}[RATE]))",
                        "{{outcome}}",
                    ),
                    unit="eps",
                ),
                lines(
                    "Bytes read",
                    "Of the values of the records, by topic.",
                    Query(
                        "sum by (topic) (rate(streamproc_record_bytes_consumed_total{SEL}[RATE]))",
                        "{{topic}}",
                    ),
                    unit="Bps",
                ),
                heatmap(
                    "Age of events when processed",
                    "The record's timestamp until it was processed; a batch counts as its oldest record.",
                    "sum by (le) (increase(streamproc_event_age_seconds_bucket{SEL}[RATE]))",
                ),
                lines(
                    "Age, quantiles",
                    "The objective is 99.9 % within 10 s.",
                    *quantiles("streamproc_event_age_seconds", 0.5, 0.99, 0.999),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Lag",
            (
                lines(
                    "Records waiting, by partition",
                    "One line far above the others is a hot or a stuck partition.",
                    Query(
                        "min by (topic, partition) (streamproc_consumer_lag_records{SEL})",
                        "{{topic}} {{partition}}",
                    ),
                ),
                lines(
                    "Seconds behind, by partition",
                    "Age of the next record; 0 when caught up.",
                    Query(
                        "min by (topic, partition) (streamproc_consumer_lag_seconds{SEL})",
                        "{{topic}} {{partition}}",
                    ),
                    unit="s",
                ),
                lines(
                    "Events per second, by partition",
                    "A host's events are one partition's.",
                    Query(
                        "sum by (topic, partition) (rate(streamproc_records_consumed_total{SEL}[RATE]))",
                        "{{topic}} {{partition}}",
                    ),
                    unit="eps",
                ),
                lines(
                    "Time of a batch, by phase",
                    "Mean; produce and commit are waiting for Kafka.",
                    Query(
                        "sum by (phase) (rate(streamproc_batch_phase_duration_seconds_sum{SEL}[RATE]))"
                        " / sum by (phase) (rate(streamproc_batch_phase_duration_seconds_count{SEL}[RATE]))",
                        "{{phase}}",
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Out",
            (
                lines(
                    "Outputs acknowledged",
                    "Records per second, by topic.",
                    Query(
                        "sum by (topic) (rate(streamproc_records_produced_total{SEL}[RATE]))",
                        "{{topic}}",
                    ),
                    unit="cps",
                ),
                lines(
                    "Time until acknowledged",
                    "From queueing an output to the brokers' acknowledgement.",
                    *quantiles("streamproc_produce_duration_seconds", 0.5, 0.99),
                    unit="s",
                ),
                lines(
                    "Waiting for acknowledgement",
                    "Outputs queued, and workers that have stopped reading because of them.",
                    Query("sum(streamproc_produce_pending_records{SEL})", "outputs"),
                    Query("sum(streamproc_backpressure{SEL})", "workers"),
                ),
                bars(
                    "Dead letters",
                    "By reason.",
                    Query(
                        "sum by (reason) (increase(streamproc_dead_letter_records_total{SEL}[RATE]))",
                        "{{reason}}",
                    ),
                ),
            ),
        ),
        Row(
            "Kafka",
            (
                bars(
                    "Errors of the client",
                    "By reason; auth, authorization and tls mean that Kafka refuses us.",
                    Query(
                        "sum by (reason) (increase(streamproc_kafka_errors_total{SEL}[RATE]))",
                        "{{reason}}",
                    ),
                ),
                bars(
                    "Failed commits and writes",
                    "Nothing is lost by either: what they covered is read again.",
                    Query(
                        "sum by (reason) (increase(streamproc_commit_failures_total{SEL}[RATE]))",
                        "commit: {{reason}}",
                    ),
                    Query(
                        "sum by (reason) (increase(streamproc_produce_errors_total{SEL}[RATE]))",
                        "write: {{reason}}",
                    ),
                ),
                bars(
                    "Rebalances",
                    "Changes of the assigned partitions.",
                    Query(
                        "sum by (reason) (increase(streamproc_rebalances_total{SEL}[RATE]))",
                        "{{reason}}",
                    ),
                ),
                lines(
                    "Pause by rebalances",
                    "Mean time without detection.",
                    Query(
                        "sum(increase(streamproc_rebalance_duration_seconds_sum{SEL}[$__range]))"
                        " / sum(increase(streamproc_rebalance_duration_seconds_count{SEL}[$__range]))",
                        "mean",
                    ),
                    unit="s",
                ),
                lines(
                    "Unready workers",
                    "By reason.",
                    Query("sum by (reason) (streamproc_unready{SEL})", "{{reason}}"),
                ),
                bars(
                    "Records lost to retention",
                    "Deleted by Kafka before they were read: never evaluated.",
                    Query(
                        "sum by (topic) (increase(streamproc_records_lost_total{SEL}[RATE]))"
                        " or sum(0 * streamproc_build_info{SEL})",
                        "{{topic}}",
                    ),
                ),
            ),
        ),
    ),
)

RULES = Board(
    "streamproc-rules",
    "streamproc / Rules",
    "Which rules run, what they find, what they cost.",
    (
        Row(
            "The rule set",
            (
                stat(
                    "Single-event rules",
                    "Loaded.",
                    'max(streamproc_rules_loaded{SEL,type="query"})',
                ),
                stat(
                    "Sequence rules",
                    "Loaded.",
                    'max(streamproc_rules_loaded{SEL,type="sequence"})',
                ),
                stat(
                    "Rejected",
                    "Broken files; /status says which and why.",
                    "max(streamproc_rules_rejected{SEL})",
                    good=0,
                    bad=1,
                ),
                stat(
                    "Rule sets at once",
                    "More than one: workers disagree.",
                    "count(count by (digest) (streamproc_ruleset_info{SEL}))",
                    good=1,
                    bad=2,
                ),
                stat(
                    "Last change",
                    "Time since the rules that run were loaded.",
                    "time() - max(streamproc_ruleset_last_reload_success_timestamp_seconds{SEL})",
                    "s",
                ),
                stat(
                    "Refused changes, 24 hours",
                    "The old rules went on.",
                    'sum(increase(streamproc_ruleset_reloads_total{SEL,result="refused"}[24h]))',
                    good=0,
                    bad=1,
                ),
            ),
        ),
        Row(
            "Matches and errors",
            (
                bars(
                    "Matches, ten loudest rules",
                    "By rule.",
                    Query(
                        "topk(10, sum by (rule_id) (increase(streamproc_rule_matches_total{SEL}[RATE])) "
                        f"{NAMED})",
                        "{{rule_name}}",
                    ),
                ),
                bars(
                    "Errors, by rule",
                    "The events are in the dead letters.",
                    Query(
                        "topk(10, sum by (rule_id) (increase(streamproc_rule_errors_total{SEL}[RATE])) "
                        f"{NAMED})",
                        "{{rule_name}}",
                    ),
                ),
                table(
                    "Matches, 7 days",
                    "All rules with their names; sort to find the silent ones.",
                    "sort_desc(sum by (rule_id) (increase(streamproc_rule_matches_total{SEL}[7d])) "
                    f"{NAMED})",
                ),
                bars(
                    "Matches without an alert",
                    "own_alert: the event is an alert of the rule itself.",
                    Query(
                        "sum by (reason) (increase(streamproc_alerts_suppressed_total{SEL}[RATE]))",
                        "{{reason}}",
                    ),
                ),
            ),
        ),
        Row(
            "Cost",
            (
                lines(
                    "Ten costliest rules",
                    "Seconds of evaluation per second, estimated from a sample.",
                    Query(
                        "topk(10, sum by (rule_id)"
                        " (rate(streamproc_rule_evaluation_seconds_total{SEL}[RATE])) "
                        f"{NAMED})",
                        "{{rule_name}}",
                    ),
                    unit="percentunit",
                ),
                lines(
                    "Ended by the prefilter",
                    "Share of the records that were neither decoded nor evaluated.",
                    Query("streamproc_prefilter_ended_ratio{SEL}", "{{instance}}"),
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "Sequences",
            (
                lines(
                    "State",
                    "Join keys of partial sequences against the limit.",
                    Query("streamproc_sequence_state_entries{SEL}", "{{instance}}"),
                    Query("max(streamproc_sequence_state_limit_entries{SEL})", "limit"),
                ),
                lines(
                    "Snapshots held",
                    "Bytes of the newest snapshots.",
                    Query("streamproc_sequence_state_bytes{SEL}", "{{instance}}"),
                    unit="bytes",
                ),
                lines(
                    "Waiting for earlier events",
                    "Events that wait up to lateness_s.",
                    Query("streamproc_sequence_state_waiting_events{SEL}", "{{instance}}"),
                ),
                bars(
                    "What sequences missed",
                    "Late events, forgotten partial sequences, keys not followed.",
                    Query("sum(increase(streamproc_late_events_total{SEL}[RATE]))", "late"),
                    Query(
                        "sum(increase(streamproc_sequence_state_evictions_total{SEL}[RATE]))",
                        "forgotten",
                    ),
                    Query(
                        "sum(increase(streamproc_sequence_join_keys_cut_total{SEL}[RATE]))",
                        "keys not followed",
                    ),
                    Query(
                        "sum(increase(streamproc_sequence_events_released_early_total{SEL}[RATE]))",
                        "not waited with",
                    ),
                ),
            ),
        ),
    ),
)

CAPACITY = Board(
    "streamproc-capacity",
    "streamproc / Capacity",
    "What is left, and what runs out first.",
    (
        Row(
            "Workers",
            (
                lines(
                    "Events per second, by worker",
                    "",
                    Query(
                        "sum by (instance) (rate(streamproc_events_processed_total{SEL}[RATE]))",
                        "{{instance}}",
                    ),
                    unit="eps",
                ),
                lines(
                    "CPU, by worker",
                    "1 is one core: a worker near it is at its limit.",
                    Query(
                        "rate(process_cpu_seconds_total{SEL}[RATE])"
                        " and on (instance) streamproc_build_info{SEL}",
                        "{{instance}}",
                    ),
                    unit="percentunit",
                ),
                lines(
                    "CPU per event",
                    "Rises with more or costlier rules, and with larger events.",
                    Query(
                        "sum by (instance) (rate(process_cpu_seconds_total{SEL}[RATE]))"
                        " / sum by (instance) (rate(streamproc_events_processed_total{SEL}[RATE]))",
                        "{{instance}}",
                    ),
                    unit="s",
                ),
                lines(
                    "Memory, by worker",
                    "Resident, and the limit of the container.",
                    Query(
                        "process_resident_memory_bytes{SEL}"
                        " and on (instance) streamproc_build_info{SEL}",
                        "{{instance}}",
                    ),
                    Query("max(streamproc_memory_limit_bytes{SEL})", "limit"),
                    unit="bytes",
                ),
            ),
        ),
        Row(
            "Partitions",
            (
                lines(
                    "Partitions, by worker",
                    "0: the worker stands by.",
                    Query("streamproc_assigned_partitions{SEL}", "{{instance}}"),
                ),
                lines(
                    "Busiest partition against the median",
                    "Above 4 more workers will not help.",
                    Query(
                        "max(streamproc:records_consumed:rate5m_by_partition{GROUP})"
                        " / quantile(0.5, streamproc:records_consumed:rate5m_by_partition{GROUP})",
                        "ratio",
                    ),
                ),
                lines(
                    "Lag, all partitions",
                    "Records; what KEDA scales on.",
                    Query("sum(streamproc:consumer_lag_records:sum{GROUP})", "records"),
                ),
                lines(
                    "Event size",
                    "Mean bytes of a record's value.",
                    Query(
                        "sum(rate(streamproc_record_bytes_consumed_total{SEL}[RATE]))"
                        " / sum(rate(streamproc_records_consumed_total{SEL}[RATE]))",
                        "mean",
                    ),
                    unit="bytes",
                ),
            ),
        ),
        Row(
            "The process",
            (
                lines(
                    "Event loop, longest delay",
                    "Within the last minute.",
                    Query("streamproc_event_loop_lag_seconds{SEL}", "{{instance}}"),
                    unit="s",
                ),
                lines(
                    "Restoring sequence state",
                    "Mean time after an assignment.",
                    Query(
                        "sum(increase(streamproc_state_restore_duration_seconds_sum{SEL}[$__range]))"
                        " / sum(increase(streamproc_state_restore_duration_seconds_count{SEL}[$__range]))",
                        "mean",
                    ),
                    unit="s",
                ),
                stat(
                    "Certificates expire in",
                    "The first of all workers' files.",
                    "min(streamproc_tls_certificate_expiry_timestamp_seconds{SEL} > 0) - time()",
                    "s",
                    good=14 * 86400,
                    bad=3 * 86400,
                    width=12,
                ),
            ),
        ),
    ),
)

BOARDS = (OVERVIEW, PIPELINE, RULES, CAPACITY)
