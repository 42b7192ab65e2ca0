"""The worker on a real Kafka: exactly the expected outputs, whatever happens to the process."""

from __future__ import annotations

import pytest

from tests.integration.stream import make_stream, produce
from tests.integration.worker import SLOW, Worker, committed, read_all, total, wait_until

PARTITIONS = 6


@pytest.fixture
def settings(kafka):
    """Topics of this test's own, and the settings that name them."""
    group = kafka.topic_name("group")
    return {
        "bootstrap_servers": kafka.bootstrap,
        "group_id": group,
        "events_topic": kafka.create_topic("events", PARTITIONS),
        "alerts_topic": kafka.create_topic("alerts", 3),
        "context_requests_topic": kafka.create_topic("context-requests", 3),
        "dead_letters_topic": kafka.create_topic("dead-letters", 2),
        "session_timeout_s": "6",
        "commit_interval_s": "0.2",
    }


def _keys(kafka, topic):
    return [message.key().decode() for message in read_all(kafka.bootstrap, topic)]


def test_killed_worker_loses_nothing_and_invents_nothing(kafka, settings, tmp_path):
    """A hundred thousand events, kill -9 in the middle: the alert ids are the expected ones."""
    stream = make_stream(100_000)
    produce(kafka.bootstrap, settings["events_topic"], stream)
    log = tmp_path / "worker.log"
    with Worker(log, settings | SLOW) as worker:
        wait_until(lambda: committed(settings, PARTITIONS) > 0, "something is committed", worker)
        worker.kill()
    done = committed(settings, PARTITIONS)
    assert 0 < done < len(stream.records), "the kill came too late to tell anything"
    with Worker(log, settings) as worker:
        sent = len(stream.records)
        wait_until(lambda: committed(settings, PARTITIONS) == sent, "all is committed", worker)
        assert worker.stop() == 0
    alerts = _keys(kafka, settings["alerts_topic"])
    requests = _keys(kafka, settings["context_requests_topic"])
    letters = _keys(kafka, settings["dead_letters_topic"])
    assert set(alerts) == stream.alerts
    assert set(requests) == stream.requests
    assert len(set(letters)) == stream.letters


def test_counts_of_the_metrics_add_up(kafka, settings, tmp_path):
    """Records consumed equal the sum of outcomes; lag ends at zero; /metrics says so."""
    settings["session_timeout_s"] = "60"  # nothing is read twice
    stream = make_stream(10_000)
    produce(kafka.bootstrap, settings["events_topic"], stream)
    with Worker(tmp_path / "worker.log", settings) as worker:
        sent = len(stream.records)
        wait_until(lambda: committed(settings, PARTITIONS) == sent, "all is committed", worker)
        samples = wait_until(lambda: _caught_up(worker), "lag is zero", worker)
        assert worker.stop() == 0
    assert total(samples, "streamproc_records_consumed_total") == sent
    assert total(samples, "streamproc_events_processed_total") == sent
    assert total(samples, "streamproc_alerts_published_total") == len(stream.alerts)
    assert total(samples, "streamproc_dead_letter_records_total") == stream.letters


def _caught_up(worker):
    samples = worker.samples()
    lags = [samples[key] for key in samples if key[0] == "streamproc_consumer_lag_records"]
    return samples if len(lags) == PARTITIONS and not any(lags) else None
