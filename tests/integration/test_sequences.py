"""Sequences on a real Kafka: the batch answer, whatever happens to the workers."""

from __future__ import annotations

import threading
import time

import pytest
from confluent_kafka import Producer

from tests.integration.sequence_stream import MINUTE_MS, make_stream, write_rules
from tests.integration.worker import Worker, committed, read_all, wait_until

PARTITIONS = 12
EVENTS, HOSTS = 200_000, 100
SENDING_S = 25.0
LATENESS_S = 5


@pytest.fixture
def settings(kafka, tmp_path):
    """Topics of this test's own, and the settings that name them."""
    write_rules(tmp_path / "rules")
    return {
        "bootstrap_servers": kafka.bootstrap,
        "group_id": kafka.topic_name("group"),
        "rules": str(tmp_path / "rules"),
        "events_topic": kafka.create_topic("events", PARTITIONS),
        "sequence_state_topic": kafka.create_topic(
            "state", PARTITIONS, {"cleanup.policy": "compact"}
        ),
        "alerts_topic": kafka.create_topic("alerts", 3),
        "context_requests_topic": kafka.create_topic("context-requests", 1),
        "dead_letters_topic": kafka.create_topic("dead-letters", 1),
        "session_timeout_s": "6",
        "commit_interval_s": "0.2",
        "sequence_state_interval_s": "1",
        "lateness_s": str(LATENESS_S),
        "metrics_port": "0",
    }


@pytest.fixture
def start(settings, tmp_path):
    """A function that starts a further worker; whatever runs at the end of the test is killed."""
    workers: list[Worker] = []

    def start() -> Worker:
        worker = Worker(tmp_path / f"worker-{len(workers)}.log", settings)
        workers.append(worker)
        return worker.__enter__()

    yield start
    for worker in workers:
        worker.__exit__()
        print(f"--- {worker.log.name}\n{worker.tail()}")  # pytest shows it when the test fails


def send(kafka, topic, records, seconds=0.0) -> None:
    """Produce the records in order, spread over some seconds."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random", "linger.ms": 20,
         "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    began_s = time.monotonic()
    for number, (key, value) in enumerate(records):
        producer.produce(topic, value, key)
        if number % 500 == 0:
            producer.poll(0)
            due_s = began_s + seconds * number / len(records)
            time.sleep(max(due_s - time.monotonic(), 0))
    assert producer.flush(60) == 0


def alert_ids(kafka, settings) -> list[str]:
    return [m.key().decode() for m in read_all(kafka.bootstrap, settings["alerts_topic"])]


def done(kafka, settings) -> int:
    places = committed(kafka.bootstrap, settings["group_id"], settings["events_topic"], PARTITIONS)
    return sum(places)


def test_kills_and_rebalances_change_no_sequence(kafka, settings, start):
    """Two hundred thousand events out of order, three workers that die, join and leave: the ids
    of all alerts, shells and building blocks, are those of the batch answer."""
    now_ms = time.time_ns() // 1_000_000
    stream = make_stream(EVENTS, HOSTS, now_ms - 40 * MINUTE_MS, now_ms - MINUTE_MS)
    expected = stream.shells | stream.blocks
    sender = threading.Thread(
        target=send, args=(kafka, settings["events_topic"], stream.records, SENDING_S)
    )

    def reach(count, worker):
        wait_until(lambda: done(kafka, settings) >= count, f"{count} are committed", worker)

    first = start()
    sender.start()
    reach(10_000, first)
    second, third = start(), start()
    reach(40_000, second)
    first.kill()
    fourth = start()
    reach(80_000, fourth)
    assert second.stop() == 0
    reach(110_000, fourth)
    third.kill()
    fifth, sixth = start(), start()
    reach(150_000, fifth)
    fourth.kill()
    assert done(kafka, settings) < EVENTS, "the kills came too late to tell anything"
    sender.join()
    reach(EVENTS, sixth)
    wait_until(lambda: expected <= set(alert_ids(kafka, settings)), "all alerts are there", sixth)
    assert fifth.stop() == 0
    assert sixth.stop() == 0
    assert set(alert_ids(kafka, settings)) == expected
