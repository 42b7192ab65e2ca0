"""The metrics: their names, types and labels are an interface; their values are the counters'."""

import threading
import urllib.request

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.errors import ConfigError
from streamproc.ops.counters import AGE_BUCKETS_S, Counters, Lag
from streamproc.ops.metrics import (
    OUTCOMES,
    RuleFacts,
    StreamprocCollector,
    WorkerFacts,
    metrics_registry,
    serve_metrics,
)

NOW_S = 1_700_000_000.0
FACTS = WorkerFacts(
    version="1.2.3",
    ruleset_digest="abc",
    rules=(RuleFacts("r-1", "First rule", "high"), RuleFacts("r-2", 'Quote " rule', "low")),
    rules_rejected=3,
)

# Dashboards and alerts are built on these: a change here is a change for every operator.
CATALOGUE = """
streamproc_alerts_published_total counter severity
streamproc_alerts_suppressed_total counter reason
streamproc_assigned_partitions gauge
streamproc_build_info gauge python_version version
streamproc_commit_failures_total counter reason
streamproc_consumer_lag_records gauge partition topic
streamproc_consumer_lag_seconds gauge partition topic
streamproc_context_requests_total counter status
streamproc_dead_letter_records_total counter reason
streamproc_event_age_seconds histogram le
streamproc_events_incomplete_total counter field
streamproc_events_invalid_total counter reason
streamproc_events_processed_total counter outcome
streamproc_kafka_errors_total counter reason
streamproc_last_processed_timestamp_seconds gauge
streamproc_late_events_total counter
streamproc_outputs_truncated_total counter output
streamproc_prefilter_ended_ratio gauge
streamproc_produce_errors_total counter topic
streamproc_rebalances_total counter reason
streamproc_record_bytes_consumed_total counter topic
streamproc_records_consumed_total counter partition topic
streamproc_records_lost_total counter partition topic
streamproc_records_produced_total counter topic
streamproc_rule_errors_total counter rule_id
streamproc_rule_info gauge rule_id rule_name severity
streamproc_rule_matches_total counter rule_id severity
streamproc_rules_loaded gauge
streamproc_rules_rejected gauge
streamproc_ruleset_info gauge digest
streamproc_sequence_events_released_early_total counter
streamproc_sequence_join_keys_cut_total counter
streamproc_sequence_state_entries gauge
streamproc_sequence_state_errors_total counter reason
streamproc_sequence_state_evictions_total counter rule_id
streamproc_sequence_state_limit_entries gauge
streamproc_sequence_state_waiting_events gauge
streamproc_state_restore_duration_seconds summary
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
    counters.rule_errors["r-2"] = 2
    counters.alerts["high"] = 1
    counters.context_requests["partial"] = 6
    counters.records_produced["out"] = 12
    counters.produce_errors["out"] = 1
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
    counters.state_restores, counters.state_restore_seconds = 2, 1.5
    counters.event_age.observe(0.2, 95)
    counters.event_age.observe(5_000, 5)
    return counters


def scrape(counters, facts=FACTS):
    """What Prometheus reads: (sample name, labels as sorted pairs) -> value, and the families."""
    registry = metrics_registry(StreamprocCollector(counters, facts, lambda: NOW_S))
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
        ("streamproc_rule_errors_total", {"rule_id": "r-2"}, 2),
        ("streamproc_sequence_state_entries", {}, 70),
        ("streamproc_sequence_state_limit_entries", {}, 100),
        ("streamproc_sequence_state_waiting_events", {}, 30),
        ("streamproc_sequence_state_evictions_total", {"rule_id": "r-2"}, 9),
        ("streamproc_late_events_total", {}, 4),
        ("streamproc_sequence_join_keys_cut_total", {}, 2),
        ("streamproc_sequence_events_released_early_total", {}, 8),
        ("streamproc_sequence_state_errors_total", {"reason": "unreadable"}, 1),
        ("streamproc_sequence_state_errors_total", {"reason": "stale"}, 0),
        ("streamproc_state_restore_duration_seconds_count", {}, 2),
        ("streamproc_state_restore_duration_seconds_sum", {}, 1.5),
        ("streamproc_alerts_published_total", {"severity": "high"}, 1),
        ("streamproc_alerts_published_total", {"severity": "critical"}, 0),
        ("streamproc_context_requests_total", {"status": "partial"}, 6),
        ("streamproc_records_produced_total", {"topic": "out"}, 12),
        ("streamproc_produce_errors_total", {"topic": "out"}, 1),
        ("streamproc_commit_failures_total", {"reason": "timeout"}, 1),
        ("streamproc_kafka_errors_total", {"reason": "auth"}, 1),
        ("streamproc_rebalances_total", {"reason": "lost"}, 0),
        ("streamproc_records_lost_total", {"topic": "in", "partition": "9"}, 11),
        ("streamproc_assigned_partitions", {}, 2),
        ("streamproc_rules_loaded", {}, 2),
        ("streamproc_rules_rejected", {}, 3),
        ("streamproc_ruleset_info", {"digest": "abc"}, 1),
        (
            "streamproc_rule_info",
            {"rule_id": "r-2", "rule_name": 'Quote " rule', "severity": "low"},
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


def test_age_without_a_timestamp_is_left_out():
    """Behind by a known number of records, by an unknown time."""
    counters = Counters()
    counters.partitions[("in", 0)] = Lag(position=3, end=5)
    samples, _ = scrape(counters)
    partition = (("partition", "0"), ("topic", "in"))

    assert samples[("streamproc_consumer_lag_records", *partition)] == 2
    assert ("streamproc_consumer_lag_seconds", *partition) not in samples


def test_created_series_are_not_exported():
    """They would double the number of counters."""
    samples, _ = scrape(busy_counters())

    assert not [key for key in samples if key[0].endswith("_created")]


def test_buckets_are_all_there_and_grow():
    """A bucket per bound and +Inf; each holds all events of the smaller ones."""
    samples, _ = scrape(busy_counters())
    cells = [value for key, value in samples.items() if key[0].endswith("_seconds_bucket")]

    assert len(cells) == len(AGE_BUCKETS_S) + 1
    assert cells == sorted(cells)


def test_series_stay_within_budget():
    """A thousand rules on 32 partitions: fewer than 5,000 series for one worker."""
    rules = tuple(RuleFacts(f"r-{n}", f"Rule {n}", "high") for n in range(1_000))
    counters = Counters()
    for partition in range(32):
        counters.records_consumed[("in", partition)] = 1
        counters.partitions[("in", partition)] = Lag(1, 2, 3)
    samples, _ = scrape(counters, WorkerFacts("1", "d", rules, 0))

    assert 3_000 < len(samples) < 5_000


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
