"""The metrics: their names, types and labels are an interface; their values are the counters'."""

import threading
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from streamproc.errors import ConfigError
from streamproc.ops.collector import StreamprocCollector, metrics_registry
from streamproc.ops.collector_input import OUTCOMES
from streamproc.ops.counters import (
    AGE_BUCKETS_S,
    PHASE_BUCKETS_S,
    PRODUCE_BUCKETS_S,
    REBALANCE_BUCKETS_S,
    Counters,
    Exemplar,
    Histogram,
    Lag,
)
from streamproc.ops.facts import RejectedRule, RuleFacts, WorkerFacts
from streamproc.ops.metrics import serve_metrics

NOW_S = 1_700_000_000.0
FACTS = WorkerFacts(
    version="1.2.3",
    revision="cafe",
    ruleset_digest="abc",
    config_digest="def",
    rules=(
        RuleFacts("r-1", "First rule", "high"),
        RuleFacts("r-2", 'Quote " rule', "low", "sequence"),
    ),
    rejected=tuple(RejectedRule(f"{n}.toml", "why") for n in range(3)),
    output_topics=("out",),
    loaded_at_s=NOW_S - 100,
)

# Dashboards and alerts are built on these: a change here is a change for every operator.
CATALOGUE = """
streamproc_alerts_published_total counter severity
streamproc_alerts_suppressed_total counter reason
streamproc_assigned_partitions gauge
streamproc_backpressure gauge
streamproc_batch_phase_duration_seconds histogram le phase
streamproc_build_info gauge python_version revision version
streamproc_canary_failures_total counter reason
streamproc_canary_last_seen_timestamp_seconds gauge
streamproc_canary_latency_seconds gauge
streamproc_canary_received_total counter
streamproc_canary_sent_total counter
streamproc_commit_failures_total counter reason
streamproc_config_info gauge digest
streamproc_consumer_lag_records gauge partition topic
streamproc_consumer_lag_seconds gauge partition topic
streamproc_context_requests_total counter kind result
streamproc_credential_reloads_total counter result what
streamproc_dead_letter_records_total counter reason
streamproc_detection_latency_seconds histogram le severity
streamproc_event_age_seconds histogram le
streamproc_event_loop_lag_seconds gauge
streamproc_events_incomplete_total counter field
streamproc_events_invalid_total counter reason
streamproc_events_processed_total counter outcome
streamproc_heartbeat_timestamp_seconds gauge
streamproc_kafka_errors_total counter reason
streamproc_last_processed_timestamp_seconds gauge
streamproc_late_events_total counter
streamproc_memory_limit_bytes gauge
streamproc_outputs_truncated_total counter output
streamproc_prefilter_ended_ratio gauge
streamproc_produce_duration_seconds histogram le topic
streamproc_produce_errors_total counter reason topic
streamproc_produce_pending_records gauge
streamproc_rebalance_duration_seconds histogram le
streamproc_rebalances_total counter reason
streamproc_record_bytes_consumed_total counter topic
streamproc_records_consumed_total counter partition topic
streamproc_records_lost_total counter partition topic
streamproc_records_produced_total counter topic
streamproc_rule_errors_total counter reason rule_id
streamproc_rule_evaluation_seconds_total counter rule_id
streamproc_rule_info gauge rule_id rule_name severity type
streamproc_rule_matches_total counter rule_id severity
streamproc_rule_state_evictions_total counter rule_id
streamproc_rules_loaded gauge type
streamproc_rules_rejected gauge
streamproc_ruleset_info gauge digest
streamproc_ruleset_last_reload_success_timestamp_seconds gauge
streamproc_ruleset_reloads_total counter result
streamproc_sequence_events_released_early_total counter
streamproc_sequence_join_keys_cut_total counter
streamproc_sequence_state_bytes gauge
streamproc_sequence_state_entries gauge
streamproc_sequence_state_errors_total counter reason
streamproc_sequence_state_evictions_total counter reason
streamproc_sequence_state_limit_entries gauge
streamproc_sequence_state_waiting_events gauge
streamproc_state_restore_duration_seconds histogram le
streamproc_tls_certificate_expiry_timestamp_seconds gauge role
streamproc_unready gauge reason
"""


def busy_counters():
    """Counters of a worker in which everything has happened."""
    counters = Counters()
    counters.records_consumed.update({("in", 0): 60, ("in", 1): 40, ("in", 9): 7})
    counters.record_bytes["in"] = 123_456
    counters.outcomes.update(matched=1, unmatched=4, filtered=90, invalid=3, failed=2)
    counters.invalid["json"] = 3
    counters.incomplete["host.id"] = 5
    counters.dead_letters.update({"json": 3, "failed": 2})
    counters.rule_matches["r-1"] = 1
    counters.rule_errors.update({("r-2", "evaluation"): 2, ("r-2", "output"): 1})
    counters.rule_seconds["r-1"] = 0.25
    counters.reloads["refused"] = 1
    counters.alerts["high"] = 1
    counters.context_requests["default", "partial"] = 6
    counters.records_produced["out"] = 12
    counters.produce_errors["out", "timeout"] = 1
    counters.produce_seconds["out"] = Histogram(PRODUCE_BUCKETS_S)
    counters.produce_seconds["out"].observe(0.002)
    counters.outputs_pending = 3
    counters.truncated["alert"] = 1
    counters.commit_failures["timeout"] = 1
    counters.kafka_errors["auth"] = 1
    counters.rebalances["assigned"] = 2
    counters.records_lost[("in", 9)] = 11
    counters.partitions[("in", 0)] = Lag(60, 60, int(NOW_S * 1000) - 9_000)
    counters.partitions[("in", 1)] = Lag(40, 45, int(NOW_S * 1000) - 2_500)
    counters.sequence_keys, counters.sequence_keys_max = 70, 100
    counters.sequence_waiting = 30
    counters.late_events = 4
    counters.cut_join_keys = 2
    counters.released_early = 8
    counters.state_evictions["r-2"] = 9
    counters.state_errors["unreadable"] = 1
    counters.sequence_state_bytes = 12_345
    counters.state_restore.observe(0.5)
    counters.state_restore.observe(1.0)
    counters.rebalance_seconds.observe(3.0)
    counters.phases["commit"].observe(0.02)
    counters.detection_latency["high"].observe(0.3, exemplar=Exemplar("a-1", 0.3, NOW_S))
    counters.heartbeat_s, counters.loop_lag_s = NOW_S - 0.25, 0.125
    counters.is_held_back = True
    counters.canary.sent, counters.canary.received = 5, 4
    counters.canary.failed["authorization"] = 1
    counters.canary.last_seen_s, counters.canary.latency_s = NOW_S - 7, 0.04
    counters.event_age.observe(0.2, 95)
    counters.event_age.observe(5_000, 5)
    return counters


def scrape(counters, facts=FACTS):
    """What Prometheus reads: (sample name, labels as sorted pairs) -> value, and the families."""
    collector = StreamprocCollector(
        counters,
        facts,
        unready=lambda: frozenset({"brokers"}),
        expiries=lambda: {"client": NOW_S + 60},
        clock=lambda: NOW_S,
    )
    registry = metrics_registry(collector)
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    return samples, [f for f in families if f.name.startswith("streamproc_")]


def test_catalogue_of_names_types_and_labels():
    """Every metric with its type and labels, each with a HELP text, and no others."""
    _, families = scrape(busy_counters())
    lines = []
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels}
        suffix = "_total" if family.type == "counter" else ""
        lines.append(" ".join([family.name + suffix, family.type, *sorted(labels)]))

        assert family.documentation.endswith(".")

    assert sorted(lines) == CATALOGUE.strip().splitlines()


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("streamproc_records_consumed_total", {"topic": "in", "partition": "1"}, 40),
        ("streamproc_record_bytes_consumed_total", {"topic": "in"}, 123_456),
        ("streamproc_events_processed_total", {"outcome": "filtered"}, 90),
        ("streamproc_prefilter_ended_ratio", {}, 0.9),
        ("streamproc_events_invalid_total", {"reason": "json"}, 3),
        ("streamproc_events_incomplete_total", {"field": "host.id"}, 5),
        ("streamproc_dead_letter_records_total", {"reason": "failed"}, 2),
        ("streamproc_consumer_lag_records", {"topic": "in", "partition": "0"}, 0),
        ("streamproc_consumer_lag_records", {"topic": "in", "partition": "1"}, 5),
        ("streamproc_consumer_lag_seconds", {"topic": "in", "partition": "0"}, 0),
        ("streamproc_consumer_lag_seconds", {"topic": "in", "partition": "1"}, 2.5),
        ("streamproc_last_processed_timestamp_seconds", {}, NOW_S - 2.5),
        ("streamproc_event_age_seconds_bucket", {"le": "0.1"}, 0),
        ("streamproc_event_age_seconds_bucket", {"le": "0.25"}, 95),
        ("streamproc_event_age_seconds_bucket", {"le": "1800.0"}, 95),
        ("streamproc_event_age_seconds_bucket", {"le": "+Inf"}, 100),
        ("streamproc_event_age_seconds_count", {}, 100),
        ("streamproc_event_age_seconds_sum", {}, 25_019),
        ("streamproc_rule_matches_total", {"rule_id": "r-1", "severity": "high"}, 1),
        ("streamproc_rule_matches_total", {"rule_id": "r-2", "severity": "low"}, 0),
        ("streamproc_rule_errors_total", {"rule_id": "r-2", "reason": "evaluation"}, 2),
        ("streamproc_rule_errors_total", {"rule_id": "r-2", "reason": "output"}, 1),
        ("streamproc_rule_errors_total", {"rule_id": "r-1", "reason": "evaluation"}, 0),
        ("streamproc_rule_evaluation_seconds_total", {"rule_id": "r-1"}, 0.25),
        ("streamproc_ruleset_reloads_total", {"result": "refused"}, 1),
        ("streamproc_ruleset_reloads_total", {"result": "accepted"}, 0),
        ("streamproc_ruleset_last_reload_success_timestamp_seconds", {}, NOW_S - 100),
        ("streamproc_config_info", {"digest": "def"}, 1),
        ("streamproc_sequence_state_bytes", {}, 12_345),
        ("streamproc_rebalance_duration_seconds_sum", {}, 3.0),
        ("streamproc_batch_phase_duration_seconds_count", {"phase": "commit"}, 1),
        ("streamproc_batch_phase_duration_seconds_count", {"phase": "prefilter"}, 0),
        ("streamproc_detection_latency_seconds_bucket", {"severity": "high", "le": "0.5"}, 1),
        ("streamproc_detection_latency_seconds_count", {"severity": "low"}, 0),
        ("streamproc_produce_duration_seconds_bucket", {"topic": "out", "le": "0.0025"}, 1),
        ("streamproc_produce_pending_records", {}, 3),
        ("streamproc_unready", {"reason": "brokers"}, 1),
        ("streamproc_unready", {"reason": "partitions"}, 0),
        ("streamproc_backpressure", {}, 1),
        ("streamproc_heartbeat_timestamp_seconds", {}, NOW_S - 0.25),
        ("streamproc_event_loop_lag_seconds", {}, 0.125),
        ("streamproc_tls_certificate_expiry_timestamp_seconds", {"role": "client"}, NOW_S + 60),
        ("streamproc_canary_sent_total", {}, 5),
        ("streamproc_canary_received_total", {}, 4),
        ("streamproc_canary_failures_total", {"reason": "authorization"}, 1),
        ("streamproc_canary_last_seen_timestamp_seconds", {}, NOW_S - 7),
        ("streamproc_canary_latency_seconds", {}, 0.04),
        ("streamproc_sequence_state_entries", {}, 70),
        ("streamproc_sequence_state_limit_entries", {}, 100),
        ("streamproc_sequence_state_waiting_events", {}, 30),
        ("streamproc_sequence_state_evictions_total", {"reason": "capacity"}, 9),
        ("streamproc_rule_state_evictions_total", {"rule_id": "r-2"}, 9),
        ("streamproc_late_events_total", {}, 4),
        ("streamproc_sequence_join_keys_cut_total", {}, 2),
        ("streamproc_sequence_events_released_early_total", {}, 8),
        ("streamproc_sequence_state_errors_total", {"reason": "unreadable"}, 1),
        ("streamproc_sequence_state_errors_total", {"reason": "stale"}, 0),
        ("streamproc_state_restore_duration_seconds_count", {}, 2),
        ("streamproc_state_restore_duration_seconds_sum", {}, 1.5),
        ("streamproc_alerts_published_total", {"severity": "high"}, 1),
        ("streamproc_alerts_published_total", {"severity": "critical"}, 0),
        ("streamproc_context_requests_total", {"kind": "default", "result": "partial"}, 6),
        ("streamproc_context_requests_total", {"kind": "rule", "result": "resolved"}, 0),
        ("streamproc_records_produced_total", {"topic": "out"}, 12),
        ("streamproc_produce_errors_total", {"topic": "out", "reason": "timeout"}, 1),
        ("streamproc_produce_errors_total", {"topic": "out", "reason": "other"}, 0),
        ("streamproc_commit_failures_total", {"reason": "timeout"}, 1),
        ("streamproc_kafka_errors_total", {"reason": "auth"}, 1),
        ("streamproc_rebalances_total", {"reason": "lost"}, 0),
        ("streamproc_records_lost_total", {"topic": "in", "partition": "9"}, 11),
        ("streamproc_assigned_partitions", {}, 2),
        ("streamproc_rules_loaded", {"type": "query"}, 1),
        ("streamproc_rules_loaded", {"type": "sequence"}, 1),
        ("streamproc_rules_rejected", {}, 3),
        ("streamproc_ruleset_info", {"digest": "abc"}, 1),
        (
            "streamproc_rule_info",
            {
                "rule_id": "r-2",
                "rule_name": 'Quote " rule',
                "severity": "low",
                "type": "sequence",
            },
            1,
        ),
    ],
)
def test_value_is_the_counters(name, labels, value):
    """Each metric shows what was counted; labels that exist from the start show 0."""
    samples, _ = scrape(busy_counters())

    assert samples[(name, *sorted(labels.items()))] == value


def test_outcomes_add_up_and_start_at_zero():
    """All outcomes exist before the first record, and their sum is what was processed."""
    fresh, _ = scrape(Counters())
    busy, _ = scrape(busy_counters())
    keys = [("streamproc_events_processed_total", ("outcome", outcome)) for outcome in OUTCOMES]

    assert [fresh[key] for key in keys] == [0] * len(OUTCOMES)
    assert sum(busy[key] for key in keys) == 100
    assert fresh[("streamproc_prefilter_ended_ratio",)] == 0


def test_revoked_partition_leaves_lag_and_consumption():
    """Partition 9 is another worker's now: its records lost stay known, its flow does not."""
    samples, _ = scrape(busy_counters())
    shown = {key[0] for key in samples if ("partition", "9") in key}

    assert shown == {"streamproc_records_lost_total"}


@pytest.mark.parametrize("lag", [Lag(), Lag(position=5), Lag(end=5)])
def test_unknown_lag_is_left_out(lag):
    """0 would say "caught up" of a partition of which nothing is known yet."""
    counters = Counters()
    counters.partitions[("in", 0)] = lag
    samples, _ = scrape(counters)

    assert not [key for key in samples if key[0].startswith("streamproc_consumer_lag")]
    assert samples[("streamproc_assigned_partitions",)] == 1


@pytest.mark.parametrize(
    ("lag", "seconds"),
    [
        pytest.param(Lag(3, 5), None, id="no time is known"),
        pytest.param(Lag(5, 5), 0, id="caught up, idle since the assignment"),
        pytest.param(Lag(3, 5, timestamp_ms=90_000), 10, id="as old as the last one processed"),
        pytest.param(Lag(3, 5, next_timestamp_ms=95_000), 5, id="the next one is known"),
        pytest.param(Lag(3, 5, 90_000, 92_000, 99_000), 8, id="the next one counts"),
        pytest.param(Lag(3, 5, 10_000, 0, 99_000), 1, id="a record after an idle night"),
        pytest.param(Lag(3, 5, 10_000, 0, 0, 99_000), 90, id="a backlog, newly assigned"),
        pytest.param(Lag(3, 5, assigned_ms=99_000), 1, id="nothing processed yet"),
        pytest.param(Lag(3, 5, 10_000, empty=(3, 5)), 0, id="nothing but markers is left"),
        pytest.param(Lag(2, 5, 90_000, empty=(3, 5)), 10, id="a record and markers are left"),
        pytest.param(Lag(-1, 5, empty=(-1, 5)), 0, id="nothing was ever there to read"),
        pytest.param(Lag(end=0), 0, id="there has never been a record"),
        pytest.param(Lag(3, 5, 101_000), 0, id="clocks that differ give no negative age"),
    ],
)
def test_lag_in_seconds(lag, seconds):
    """The age of the next record, or of what bounds it; never a false alarm after idle hours."""
    assert lag.seconds(100.0) == seconds


def test_created_series_are_not_exported():
    """They would double the number of counters."""
    samples, _ = scrape(busy_counters())

    assert not [key for key in samples if key[0].endswith("_created")]


@pytest.mark.parametrize(
    ("name", "labels", "bounds"),
    [
        ("streamproc_event_age_seconds", {}, AGE_BUCKETS_S),
        ("streamproc_detection_latency_seconds", {"severity": "high"}, AGE_BUCKETS_S),
        ("streamproc_batch_phase_duration_seconds", {"phase": "commit"}, PHASE_BUCKETS_S),
        ("streamproc_produce_duration_seconds", {"topic": "out"}, PRODUCE_BUCKETS_S),
        ("streamproc_rebalance_duration_seconds", {}, REBALANCE_BUCKETS_S),
        ("streamproc_state_restore_duration_seconds", {}, REBALANCE_BUCKETS_S),
    ],
)
def test_buckets_are_all_there_and_grow(name, labels, bounds):
    """A bucket per bound and +Inf; each holds all observations of the smaller ones."""
    samples, _ = scrape(busy_counters())
    cells = {
        float(dict(key[1:])["le"]): value
        for key, value in samples.items()
        if key[0] == f"{name}_bucket" and labels.items() <= dict(key[1:]).items()
    }

    assert list(cells) == [*bounds, float("inf")]
    assert list(cells.values()) == sorted(cells.values())
    assert cells[float("inf")] > 0


@given(seconds=st.floats(0, 10_000), times=st.integers(1, 500))
def test_observation_lies_in_the_cell_of_its_bound(seconds, times):
    """Bounds are inclusive, as Prometheus' ``le`` is."""
    seen = Histogram()
    seen.observe(seconds, times)
    [position] = [at for at, count in enumerate(seen.counts) if count]

    assert seen.counts[position] == times
    assert all(seconds > bound for bound in AGE_BUCKETS_S[:position])
    assert all(seconds <= bound for bound in AGE_BUCKETS_S[position:])


def test_latency_names_an_alert_as_exemplar():
    """In OpenMetrics' format, on the bucket that it fell into."""
    registry = metrics_registry(StreamprocCollector(busy_counters(), FACTS))
    text = openmetrics.generate_latest(registry).decode()
    bucket = 'streamproc_detection_latency_seconds_bucket{le="0.5",severity="high"} 1.0'
    [line] = [line for line in text.splitlines() if line.startswith(bucket)]

    assert line == f'{bucket} # {{alert_id="a-1"}} 0.3 {NOW_S}'


def test_exemplar_names_the_trace_too_and_fits():
    """OpenMetrics allows 128 characters of names and values; an alert's id has 64."""
    counters = Counters()
    exemplar = Exemplar("a" * 64, 0.3, NOW_S, "b" * 32)
    counters.detection_latency["low"].observe(0.3, exemplar=exemplar)
    text = openmetrics.generate_latest(metrics_registry(StreamprocCollector(counters, FACTS)))

    assert f'# {{alert_id="{"a" * 64}",trace_id="{"b" * 32}"}} 0.3 ' in text.decode()


def test_facts_can_be_replaced():
    """A scrape after a reload shows the new rules and the counts of those that stayed."""
    counters = busy_counters()
    collector = StreamprocCollector(counters, FACTS)
    registry = metrics_registry(collector)
    rules = (RuleFacts("r-1", "First rule", "high"), RuleFacts("r-3", "Third rule", "low"))
    collector.facts = WorkerFacts("1.2.3", "xyz", rules)
    text = generate_latest(registry).decode()

    assert 'streamproc_rule_matches_total{rule_id="r-1",severity="high"} 1.0' in text
    assert 'streamproc_rule_matches_total{rule_id="r-3",severity="low"} 0.0' in text
    assert 'streamproc_rule_matches_total{rule_id="r-2"' not in text
    assert 'streamproc_ruleset_info{digest="xyz"} 1.0' in text


def test_series_stay_within_budget():
    """A thousand rules on 32 partitions, each with all that it can have: below 5,000 series."""
    counters = busy_counters()
    rules = []
    for number in range(1_000):
        rules.append(RuleFacts(f"rule-{number}", f"Rule {number}", "high"))
        counters.rule_seconds[f"rule-{number}"] = 1.0
    for topic in ("alerts", "context-requests", "dead-letters", "sequence-state", "events"):
        counters.records_produced[topic] = 1
        counters.produce_seconds[topic] = Histogram(PRODUCE_BUCKETS_S)
    for partition in range(32):
        counters.records_consumed[("in", partition)] = 1
        counters.records_lost[("in", partition)] = 1
        counters.partitions[("in", partition)] = Lag(1, 2, 3)
    outputs = ("alerts", "context-requests", "dead-letters")
    facts = WorkerFacts("1", "d", tuple(rules), output_topics=outputs)
    samples, _ = scrape(counters, facts)

    assert 4_000 < len(samples) < 5_000


def test_scrape_survives_a_worker_that_goes_on_counting():
    """New labels that appear during a scrape neither fail nor disturb it."""
    counters, stop = Counters(), threading.Event()

    def count():
        number = 0
        while not stop.is_set():
            number += 1
            counters.kafka_errors[f"reason-{number % 500}"] += 1
            counters.partitions[("in", number % 500)] = Lag(1, 2, 3)
            if number % 3 == 0:
                counters.partitions.pop(("in", number % 499), None)

    worker = threading.Thread(target=count)
    worker.start()
    try:
        for _ in range(10):
            scrape(counters)
    finally:
        stop.set()
        worker.join()


def test_metrics_are_served_over_http():
    """GET /metrics answers in Prometheus' text format; after close nothing answers."""
    registry = metrics_registry(StreamprocCollector(busy_counters(), FACTS))
    server = serve_metrics("127.0.0.1", 0, registry)
    url = f"http://127.0.0.1:{server.port}/metrics"
    with urllib.request.urlopen(url) as answer:
        kind, text = answer.headers["Content-Type"], answer.read().decode()
    server.close()

    assert kind.startswith("text/plain")
    assert "streamproc_events_processed_total{outcome=" in text
    assert "process_resident_memory_bytes" in text
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_port_in_use_is_a_config_error():
    """The message names both settings, the reason and the way out."""
    registry = metrics_registry(StreamprocCollector(Counters(), FACTS))
    server = serve_metrics("127.0.0.1", 0, registry)
    try:
        with pytest.raises(ConfigError) as caught:
            serve_metrics("127.0.0.1", server.port, registry)
    finally:
        server.close()

    assert str(caught.value) == (
        f"metrics_host = 127.0.0.1, metrics_port = {server.port}: cannot listen there: Address"
        " already in use; choose another port, or 0 to serve no metrics"
    )
