"""Metrics, health and the canary of a real worker on a real Kafka; an outage of the brokers."""

from __future__ import annotations

import json

import orjson
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streamproc.engine.canary import RULE_ID
from tests.integration.stream import make_stream, produce
from tests.integration.worker import Samples, Worker, committed, read_all, total, wait_until

PARTITIONS = 3


def settings_for(bootstrap: str, create_topic, group: str) -> dict[str, str]:
    return {
        "bootstrap_servers": bootstrap,
        "group_id": group,
        "events_topic": create_topic("events", PARTITIONS),
        "alerts_topic": create_topic("alerts", 1),
        "context_requests_topic": create_topic("context-requests", 1),
        "dead_letters_topic": create_topic("dead-letters", 1),
        "canary_topic": create_topic("canary", 1),
        "session_timeout_s": "6",
        "commit_interval_s": "0.2",
    }


def lags_of(samples: Samples) -> list[tuple]:
    """The series that say how many records wait."""
    return [key for key in samples if key[0] == "streamproc_consumer_lag_records"]


def test_numbers_add_up_and_the_canary_comes_back(kafka, tmp_path):
    """Outcomes are the records consumed, lag is the witness's, and no canary is an alert."""
    settings = settings_for(kafka.bootstrap, kafka.create_topic, kafka.topic_name("group"))
    settings |= {"canary_interval_s": "0.5"}
    stream = make_stream(5_000)
    produce(kafka.bootstrap, settings["events_topic"], stream)
    with Worker(tmp_path / "worker.log", settings) as worker:
        wait_until(
            lambda: worker.total("streamproc_canary_received_total") >= PARTITIONS,
            "canaries have come back",
            worker,
        )
        wait_until(
            lambda: worker.total("streamproc_events_processed_total") > len(stream.records),
            "all is processed",
            worker,
        )
        # A partition without a committed offset has a lag from the next heartbeat on.
        wait_until(lambda: len(lags_of(worker.samples())) == PARTITIONS, "lags are known", worker)
        samples = worker.samples()
        status = json.loads(worker.get("/status")[1])
        assert worker.get("/livez")[0] == 200
        assert worker.get("/readyz")[0] == 200
        assert worker.stop() == 0
    consumed = total(samples, "streamproc_records_consumed_total")
    outcomes = {
        dict(key[1:])["outcome"]: value
        for key, value in samples.items()
        if key[0] == "streamproc_events_processed_total"
    }
    assert sum(outcomes.values()) == consumed
    assert outcomes["canary"] >= samples[("streamproc_canary_received_total",)]
    assert consumed == len(stream.records) + outcomes["canary"]
    assert len(lags_of(samples)) == PARTITIONS
    assert [key[0] for key in samples].count("streamproc_consumer_lag_seconds") == PARTITIONS
    assert samples[("streamproc_canary_last_seen_timestamp_seconds",)] > 0
    assert status["ready"]
    assert status["ruleset"]["rules"]
    assert [place["partition"] for place in status["partitions"]] == list(range(PARTITIONS))
    alerts = {
        message.key().decode() for message in read_all(kafka.bootstrap, settings["alerts_topic"])
    }
    assert alerts == stream.alerts
    canaries = read_all(kafka.bootstrap, settings["canary_topic"])
    assert len(canaries) >= PARTITIONS
    assert {orjson.loads(one.value())["kibana.alert.rule.rule_id"] for one in canaries} == {RULE_ID}
    events = settings["events_topic"]
    assert committed(settings, PARTITIONS) == len(read_all(kafka.bootstrap, events))


def test_a_topic_that_is_not_there_is_told_with_the_way_out(kafka, tmp_path):
    """The worker waits for it, which is not to look like an outage of the brokers."""
    settings = settings_for(kafka.bootstrap, kafka.create_topic, kafka.topic_name("group"))
    settings |= {"events_topic": kafka.topic_name("not-made")}
    with Worker(tmp_path / "worker.log", settings) as worker:
        told = f"{settings['events_topic']}: no such topic; `streamproc topics create` makes it"
        wait_until(lambda: told in worker.log.read_text(), "it is told", worker)
        wait_until(
            lambda: json.loads(worker.get("/readyz")[1] or b"{}").get("reasons") == ["partitions"],
            "brokers are known to be there",
            worker,
        )
        assert worker.get("/livez")[0] == 200
        assert worker.stop() == 0


@pytest.mark.parametrize("signal", ["pause", "kill"])
def test_an_outage_of_the_brokers_restarts_no_worker(kafka_broker, tmp_path, signal):
    """Alive and not ready, though the outage is many times longer than a standstill may be."""
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap})

    def create_topic(name: str, partitions: int) -> str:
        for created in admin.create_topics([NewTopic(name, partitions, 1)]).values():
            created.result(30)
        return name

    settings = settings_for(kafka_broker.bootstrap, create_topic, "group")
    settings |= {"batch_age_max_s": "2", "canary_interval_s": "0.2", "producer_linger_ms": "100"}
    stream = make_stream(3_000)
    produce(kafka_broker.bootstrap, settings["events_topic"], stream)
    with Worker(tmp_path / "worker.log", settings) as worker:
        wait_until(lambda: worker.total("streamproc_canary_received_total") > 0, "it works", worker)
        getattr(kafka_broker, signal)()
        wait_until(lambda: b'"brokers"' in worker.get("/readyz")[1], "it notices", worker)
        assert worker.get("/livez")[0] == 200
        # Whatever was still on its way when the outage began may come in once more.
        wait_until(
            lambda: worker.total("streamproc_unready", reason="brokers") == 1,
            "the metric says so, too",
            worker,
        )
        wait_until(lambda: worker.get("/readyz")[0] == 503, "it is not ready", worker)
        if signal == "pause":
            kafka_broker.resume()
        else:
            kafka_broker.start()
        wait_until(lambda: worker.get("/readyz")[0] == 200, "it is ready again", worker)
        produce(kafka_broker.bootstrap, settings["events_topic"], stream)
        before = worker.total("streamproc_canary_received_total")
        wait_until(
            lambda: worker.total("streamproc_canary_received_total") > before, "it works", worker
        )
        wait_until(
            lambda: committed(settings, PARTITIONS) >= 2 * len(stream.records),
            "all is committed",
            worker,
        )
        assert worker.exit_code is None
