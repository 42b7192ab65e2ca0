"""For each alert, series with which it fires and series with which it stays quiet.

Values are in promtool's notation: ``0+6x20`` is 0, 6, 12 ... up to 20 steps of a minute, ``1x20``
is 1 all the time, ``_`` is no sample.
"""

from __future__ import annotations

from typing import NamedTuple

PAIR = 'namespace="soc",job="streamproc"'
ONE = f'{PAIR},instance="a"'
TWO = f'{PAIR},instance="b"'
DAY = 24 * 60


class Case(NamedTuple):
    """Series (name with labels, values by the minute) and whether the alert fires at the end."""

    alert: str
    fires: bool
    minutes: int
    series: tuple[tuple[str, str], ...]


def fires(alert: str, minutes: int, *series: tuple[str, str]) -> Case:
    return Case(f"Streamproc{alert}", True, minutes, series)


def quiet(alert: str, minutes: int, *series: tuple[str, str]) -> Case:
    return Case(f"Streamproc{alert}", False, minutes, series)


def metric(name: str, values: str, labels: str = "", worker: str = ONE) -> tuple[str, str]:
    """One series; ``labels`` come after those of the worker."""
    return f"streamproc_{name}{{{worker}{',' if labels else ''}{labels}}}", values


def age(minutes: int, fast: int, slow: int) -> tuple[tuple[str, str], ...]:
    """Events per minute that took less and more than ten seconds."""
    return (
        metric("event_age_seconds_bucket", f"0+{fast}x{minutes}", 'le="10.0"'),
        metric("event_age_seconds_bucket", f"0+{fast + slow}x{minutes}", 'le="+Inf"'),
        metric("event_age_seconds_count", f"0+{fast + slow}x{minutes}"),
    )


def partition(name: str, values: str, number: int = 0, worker: str = ONE) -> tuple[str, str]:
    return metric(name, values, f'topic="events",partition="{number}"', worker)


def outcomes(minutes: int, **by_outcome: int) -> tuple[tuple[str, str], ...]:
    """Events per minute by their outcome."""
    return tuple(
        metric("events_processed_total", f"0+{count}x{minutes}", f'outcome="{outcome}"')
        for outcome, count in by_outcome.items()
    )


def unchanged(values: str, minutes: int) -> str:
    return f"{values}x{minutes}"


DETECTION = (
    fires("DetectionLatencyBudgetBurnFast", 90, *age(90, 980, 20)),
    quiet("DetectionLatencyBudgetBurnFast", 90, *age(90, 990, 10)),
    fires("DetectionLatencyBudgetBurn", 400, *age(400, 993, 7)),
    quiet("DetectionLatencyBudgetBurn", 400, *age(400, 995, 5)),
    fires("DetectionLatencyBudgetBurnSlow", 500, *age(500, 998, 2)),
    quiet("DetectionLatencyBudgetBurnSlow", 500, *age(500, 9999, 1)),
    fires(
        "CanaryMissing",
        30,
        metric("canary_last_seen_timestamp_seconds", unchanged("60", 30)),
        metric("canary_sent_total", "0+1x30"),
    ),
    fires(  # none has ever come
        "CanaryMissing",
        30,
        metric("canary_last_seen_timestamp_seconds", unchanged("0", 30)),
        metric("canary_sent_total", "0+1x30"),
    ),
    quiet(
        "CanaryMissing",
        30,
        metric("canary_last_seen_timestamp_seconds", "0+60x30"),
        metric("canary_sent_total", "0+1x30"),
    ),
    quiet(  # the canary is off
        "CanaryMissing",
        30,
        metric("canary_last_seen_timestamp_seconds", unchanged("0", 30)),
        metric("canary_sent_total", unchanged("0", 30)),
    ),
    fires(
        "DetectionSilence",
        3 * DAY,
        metric("rule_matches_total", f"0+1x{DAY} {DAY}x{2 * DAY}", 'rule_id="r"'),
        *outcomes(3 * DAY, filtered=1000, canary=1),
    ),
    quiet(  # nothing comes at all: another alert's matter
        "DetectionSilence",
        3 * DAY,
        metric("rule_matches_total", f"0+1x{DAY} {DAY}x{2 * DAY}", 'rule_id="r"'),
        *outcomes(3 * DAY, filtered=1, canary=1000),
    ),
    quiet(
        "DetectionSilence",
        3 * DAY,
        metric("rule_matches_total", f"0+1x{3 * DAY}", 'rule_id="r"'),
        *outcomes(3 * DAY, filtered=1000),
    ),
    fires(
        "NoEvents",
        40,
        partition("records_consumed_total", unchanged("900", 40)),
        metric("assigned_partitions", unchanged("1", 40)),
    ),
    quiet(
        "NoEvents",
        40,
        partition("records_consumed_total", "0+1x40"),
        metric("assigned_partitions", unchanged("1", 40)),
    ),
    fires("RecordsLost", 20, partition("records_lost_total", "0x10 5x10")),
    # The first scrape of a new worker may come after the loss.
    fires("RecordsLost", 20, partition("records_lost_total", "_x10 5x10")),
    quiet("RecordsLost", 20, partition("records_lost_total", "_x10 0x10")),
    quiet("RecordsLost", 60, partition("records_lost_total", unchanged("5", 60))),
    fires("EventsFailed", 20, *outcomes(20, failed=1)),
    quiet("EventsFailed", 20, *outcomes(20, failed=0, matched=5)),
)

LAG = (
    fires(
        "PartitionStuck",
        20,
        partition("consumer_lag_records", unchanged("7", 20)),
        partition("records_consumed_total", unchanged("900", 20)),
    ),
    quiet(  # behind, and moving
        "PartitionStuck",
        20,
        partition("consumer_lag_records", unchanged("7", 20)),
        partition("records_consumed_total", "0+100x20"),
    ),
    quiet(  # idle
        "PartitionStuck",
        20,
        partition("consumer_lag_records", unchanged("0", 20)),
        partition("records_consumed_total", unchanged("900", 20)),
    ),
    fires("LagSecondsHigh", 15, partition("consumer_lag_seconds", unchanged("90", 15))),
    quiet("LagSecondsHigh", 15, partition("consumer_lag_seconds", "90x2 0x13")),
    fires(
        "LagGrowing",
        40,
        partition("consumer_lag_records", "0+600x40"),
        partition("consumer_lag_seconds", "0+5x40"),
    ),
    quiet(  # behind, and catching up
        "LagGrowing",
        40,
        partition("consumer_lag_records", "90000-600x40"),
        partition("consumer_lag_seconds", unchanged("90", 40)),
    ),
    fires(
        "HotPartition",
        40,
        *(partition("records_consumed_total", "0+600x40", number) for number in range(3)),
        partition("records_consumed_total", "0+6000x40", 3),
        partition("consumer_lag_seconds", unchanged("20", 40), 3),
    ),
    quiet(  # hot, and nobody waits
        "HotPartition",
        40,
        *(partition("records_consumed_total", "0+600x40", number) for number in range(3)),
        partition("records_consumed_total", "0+6000x40", 3),
        partition("consumer_lag_seconds", unchanged("0", 40), 3),
    ),
    fires(
        "OutOfPartitions",
        40,
        metric("assigned_partitions", unchanged("1", 40)),
        metric("assigned_partitions", unchanged("1", 40), worker=TWO),
        partition("consumer_lag_seconds", unchanged("90", 40)),
    ),
    quiet(
        "OutOfPartitions",
        40,
        metric("assigned_partitions", unchanged("2", 40)),
        metric("assigned_partitions", unchanged("1", 40), worker=TWO),
        partition("consumer_lag_seconds", unchanged("90", 40)),
    ),
    fires("IdleWorkers", 40, metric("assigned_partitions", unchanged("0", 40))),
    quiet("IdleWorkers", 40, metric("assigned_partitions", unchanged("1", 40))),
)

KAFKA = (
    fires("AlertPublishFailing", 8, metric("produce_errors_total", "_x6 2x2", 'topic="alerts"')),
    fires("AlertPublishFailing", 8, metric("produce_errors_total", "0x4 2x4", 'topic="alerts"')),
    quiet("AlertPublishFailing", 8, metric("produce_errors_total", "2x8", 'topic="alerts"')),
    fires("Backpressure", 10, metric("backpressure", unchanged("1", 10))),
    quiet("Backpressure", 10, metric("backpressure", "1 1 1 1 0 1 1 1 1 0 1")),
    fires("KafkaAuthFailing", 10, metric("kafka_errors_total", "0+1x10", 'reason="auth"')),
    quiet("KafkaAuthFailing", 10, metric("kafka_errors_total", "0+1x10", 'reason="timeout"')),
    fires("CommitFailing", 20, metric("commit_failures_total", "0+1x20", 'reason="other"')),
    quiet("CommitFailing", 20, metric("commit_failures_total", "0+1x20", 'reason="rebalance"')),
    fires(
        "RebalanceStorm",
        40,
        metric("rebalances_total", "0+1x40", 'reason="assigned"'),
        metric("build_info", unchanged("1", 40)),
    ),
    quiet(  # a rollout
        "RebalanceStorm",
        40,
        metric("rebalances_total", "0x20 2x20", 'reason="assigned"'),
        metric("build_info", unchanged("1", 40)),
    ),
    fires(
        "SlowRebalance",
        20,
        metric("rebalance_duration_seconds_count", "0x10 2x10"),
        metric("rebalance_duration_seconds_bucket", "0x10 1x10", 'le="30.0"'),
    ),
    quiet(
        "SlowRebalance",
        20,
        metric("rebalance_duration_seconds_count", "0x10 2x10"),
        metric("rebalance_duration_seconds_bucket", "0x10 2x10", 'le="30.0"'),
    ),
    fires(
        "CertificateExpiring",
        90,
        metric("tls_certificate_expiry_timestamp_seconds", f"{13 * 86400}x90", 'role="ca"'),
    ),
    quiet(
        "CertificateExpiring",
        90,
        metric("tls_certificate_expiry_timestamp_seconds", f"{15 * 86400}x90", 'role="ca"'),
    ),
    quiet(  # there is none
        "CertificateExpiring",
        90,
        metric("tls_certificate_expiry_timestamp_seconds", unchanged("0", 90), 'role="ca"'),
    ),
    fires(
        "CertificateExpiresSoon",
        30,
        metric("tls_certificate_expiry_timestamp_seconds", f"{2 * 86400}x30", 'role="client"'),
    ),
    quiet(
        "CertificateExpiresSoon",
        30,
        metric("tls_certificate_expiry_timestamp_seconds", f"{4 * 86400}x30", 'role="client"'),
    ),
)

EVENTS = (
    fires(
        "DeadLetterVolume",
        40,
        metric("dead_letter_records_total", "0+2x40", 'reason="json"'),
        *outcomes(40, filtered=998, invalid=2),
    ),
    quiet(
        "DeadLetterVolume",
        40,
        metric("dead_letter_records_total", "0+1x40", 'reason="json"'),
        *outcomes(40, filtered=9999, invalid=1),
    ),
    fires("InvalidEventRatio", 40, *outcomes(40, filtered=980, invalid=20)),
    quiet("InvalidEventRatio", 40, *outcomes(40, filtered=995, invalid=5)),
    fires("LateEvents", 60, metric("late_events_total", "0+20x60"), *outcomes(60, filtered=1000)),
    quiet("LateEvents", 60, metric("late_events_total", "0+5x60"), *outcomes(60, filtered=1000)),
    fires("OutputsTruncated", 20, metric("outputs_truncated_total", "0x9 1x9", 'output="alert"')),
    quiet("OutputsTruncated", 20, metric("outputs_truncated_total", "1x20", 'output="alert"')),
)

RULES = (
    fires(
        "NoRulesLoaded",
        5,
        metric("rules_loaded", unchanged("0", 5), 'type="query"'),
        metric("rules_loaded", unchanged("0", 5), 'type="sequence"'),
    ),
    quiet(
        "NoRulesLoaded",
        5,
        metric("rules_loaded", unchanged("0", 5), 'type="query"'),
        metric("rules_loaded", unchanged("1", 5), 'type="sequence"'),
    ),
    fires("RulesRejected", 20, metric("rules_rejected", unchanged("1", 20))),
    quiet("RulesRejected", 20, metric("rules_rejected", "1x5 0x15")),
    fires("RulesetReloadFailed", 9, metric("ruleset_reloads_total", "0x5 1x5", 'result="refused"')),
    quiet("RulesetReloadFailed", 9, metric("ruleset_reloads_total", "0+1x9", 'result="accepted"')),
    fires(
        "RulesetSkew",
        20,
        metric("ruleset_info", unchanged("1", 20), 'digest="x"'),
        metric("ruleset_info", unchanged("1", 20), 'digest="y"', TWO),
    ),
    quiet(
        "RulesetSkew",
        20,
        metric("ruleset_info", unchanged("1", 20), 'digest="x"'),
        metric("ruleset_info", "_x3 1x17", 'digest="x"', TWO),
        metric("ruleset_info", "1x2", 'digest="y"', TWO),
    ),
    fires(
        "ConfigSkew",
        40,
        metric("config_info", unchanged("1", 40), 'digest="x"'),
        metric("config_info", unchanged("1", 40), 'digest="y"', TWO),
    ),
    quiet(
        "ConfigSkew",
        40,
        metric("config_info", unchanged("1", 40), 'digest="x"'),
        metric("config_info", unchanged("1", 40), 'digest="x"', TWO),
    ),
    fires("RuleErrors", 70, metric("rule_errors_total", "_x66 2x4", 'rule_id="r"')),
    fires("RuleErrors", 20, metric("rule_errors_total", "0x9 1x9", 'rule_id="r"')),
    quiet("RuleErrors", 90, metric("rule_errors_total", "1x90", 'rule_id="r"')),
    fires("RuleFlood", 30, metric("rule_matches_total", "0+90x30", 'rule_id="r"')),
    quiet("RuleFlood", 30, metric("rule_matches_total", "0+30x30", 'rule_id="r"')),
    fires(
        "StateNearLimit",
        20,
        metric("sequence_state_entries", unchanged("90", 20)),
        metric("sequence_state_limit_entries", unchanged("100", 20)),
    ),
    quiet(  # no sequence rules: no limit
        "StateNearLimit",
        20,
        metric("sequence_state_entries", unchanged("0", 20)),
        metric("sequence_state_limit_entries", unchanged("0", 20)),
    ),
    fires(
        "StateCapacityEvictions",
        9,
        metric("sequence_state_evictions_total", "0x5 3x5", 'reason="capacity"'),
    ),
    quiet(
        "StateCapacityEvictions",
        9,
        metric("sequence_state_evictions_total", "3x9", 'reason="capacity"'),
    ),
    fires("StateErrors", 9, metric("sequence_state_errors_total", "0x5 1x5", 'reason="stale"')),
    quiet("StateErrors", 9, metric("sequence_state_errors_total", "1x9", 'reason="stale"')),
)

WORKER = (
    fires("Absent", 20, metric("build_info", "1x5")),
    quiet("Absent", 20, metric("build_info", unchanged("1", 20))),
    fires("NotReady", 20, metric("unready", unchanged("1", 20), 'reason="brokers"')),
    quiet("NotReady", 20, metric("unready", "1x5 0x10 1x5", 'reason="starting"')),
    fires("EventLoopBlocked", 10, metric("event_loop_lag_seconds", unchanged("9", 10))),
    quiet("EventLoopBlocked", 10, metric("event_loop_lag_seconds", "9 9 0x8")),
    fires(
        "CrashLooping",
        30,
        (f"process_start_time_seconds{{{ONE}}}", "0+60x30"),
        metric("build_info", unchanged("1", 30)),
    ),
    quiet(  # somebody else's process
        "CrashLooping",
        30,
        ('process_start_time_seconds{namespace="other",job="other",instance="c"}', "0+60x30"),
        metric("build_info", unchanged("1", 30)),
    ),
    fires(
        "MemoryNearLimit",
        20,
        (f"process_resident_memory_bytes{{{ONE}}}", unchanged("95", 20)),
        metric("memory_limit_bytes", unchanged("100", 20)),
    ),
    quiet(  # no limit is set
        "MemoryNearLimit",
        20,
        (f"process_resident_memory_bytes{{{ONE}}}", unchanged("95", 20)),
        metric("memory_limit_bytes", unchanged("0", 20)),
    ),
)

CASES = (*DETECTION, *LAG, *KAFKA, *EVENTS, *RULES, *WORKER)
