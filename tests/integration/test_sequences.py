"""Sequences on a real Kafka: the batch answer, whatever happens to the workers."""

from __future__ import annotations

import threading
import time

import orjson
import pytest
from confluent_kafka import Producer

from tests.integration.sequence_stream import (
    MINUTE_MS,
    expected_ids,
    iso,
    make_stream,
    write_rules,
)
from tests.integration.worker import committed, read_all, wait_until, wait_until_ended

PARTITIONS = 12
EVENTS, HOSTS = 200_000, 100
TRICKLE = 20_000  # the last ones, which come one by one until the last worker is killed
TRICKLE_S = 0.01  # slowly, and without a pause in which events out of order would become late
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
    }


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


def trickle(kafka, topic, records, is_over: threading.Event) -> None:
    """Produce the records in order, slowly until ``is_over``: minutes for all of them."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5}
    )
    for key, value in records:
        producer.produce(topic, value, key)
        producer.poll(0)
        if not is_over.is_set():
            is_over.wait(TRICKLE_S)
    assert producer.flush(60) == 0


def alert_ids(kafka, settings) -> list[str]:
    return [m.key().decode() for m in read_all(kafka.bootstrap, settings["alerts_topic"])]


def test_kills_and_rebalances_change_no_sequence(kafka, settings, start):
    """Two hundred thousand events out of order, three workers that die, join and leave.

    The ids of all alerts, shells and building blocks, are those of the batch answer.
    """
    now_ms = time.time_ns() // 1_000_000
    stream = make_stream(EVENTS, HOSTS, now_ms - 40 * MINUTE_MS, now_ms - MINUTE_MS)
    expected = stream.shells | stream.blocks
    kills_are_over = threading.Event()

    def send_all() -> None:
        topic, records = settings["events_topic"], stream.records
        send(kafka, topic, records[:-TRICKLE], SENDING_S)
        trickle(kafka, topic, records[-TRICKLE:], kills_are_over)

    sender = threading.Thread(target=send_all)

    def reach(count, worker):
        wait_until(
            lambda: committed(settings, PARTITIONS) >= count, f"{count} are committed", worker
        )

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
    assert committed(settings, PARTITIONS) < EVENTS, "the kills came too late to tell anything"
    kills_are_over.set()
    sender.join()
    reach(EVENTS, sixth)
    wait_until(lambda: expected <= set(alert_ids(kafka, settings)), "all alerts are there", sixth)
    assert fifth.stop() == 0
    assert sixth.stop() == 0
    assert set(alert_ids(kafka, settings)) == expected


def _event(host: str, number: int, at_ms: int, name: str, category: str = "process") -> tuple:
    document = {
        "@timestamp": iso(at_ms),
        "event": {"id": f"{host}-{number}", "category": [category], "type": ["start"]},
        "host": {"id": host},
        "process": {"entity_id": "p1", "name": name},
        "destination": {"port": 4444},
        "file": {"name": "service.log"},
    }
    return host.encode(), orjson.dumps(document)


def test_missing_event_fires_in_an_idle_partition(kafka, settings, start):
    """A service that never writes its log, and then nothing more comes at all.

    The alert comes when its span and the lateness are over; the one that did write gives none.
    """
    now_ms = time.time_ns() // 1_000_000
    records = [
        _event("silent", 1, now_ms, "service.exe"),
        _event("spoken", 1, now_ms, "service.exe"),
        _event("spoken", 2, now_ms + 100, "any.exe", "file"),
    ]
    worker = start()
    send(kafka, settings["events_topic"], records)
    wait_until(lambda: alert_ids(kafka, settings), "the missing event is noticed", worker)
    assert worker.stop() == 0
    expected = expected_ids(map(orjson.loads, (value for _, value in records)))
    assert set(alert_ids(kafka, settings)) == expected[0] | expected[1]
    assert len(expected[0]) == 1


def test_scaling_to_three_workers_and_back_loses_no_partial_sequence(kafka, settings, start):
    """First steps with one worker, second steps with three, third ones with one again."""
    settings["session_timeout_s"] = "60"  # nobody is taken for dead, so nothing is read twice
    now_ms = time.time_ns() // 1_000_000
    hosts = [f"host-{number}" for number in range(60)]
    steps = [("failure", 2), ("failure", 2), ("success", 1)]

    def send_step(step: int) -> int:
        outcome, repeats = steps[step]
        records = []
        for host in hosts:
            for repeat in range(repeats):
                number = 10 * step + repeat
                at_ms = now_ms - MINUTE_MS + 1_000 * number
                records.append(_login(host, number, at_ms, outcome))
        send(kafka, settings["events_topic"], records)
        sent.extend(value for _, value in records)
        return len(sent)

    sent: list[bytes] = []
    first = start()
    total = send_step(0)
    wait_until(lambda: committed(settings, PARTITIONS) == total, "the first steps are done", first)
    others = [start(), start()]
    wait_until(
        lambda: all("restored" in other.log.read_text() for other in others), "all join", first
    )
    total = send_step(1)
    wait_until(lambda: committed(settings, PARTITIONS) == total, "the second steps are done", first)
    assert alert_ids(kafka, settings) == []
    for other in others:
        assert other.stop() == 0
    total = send_step(2)
    wait_until(lambda: committed(settings, PARTITIONS) == total, "the third steps are done", first)
    shells, blocks = expected_ids(map(orjson.loads, sent))
    wait_until(
        lambda: shells | blocks <= set(alert_ids(kafka, settings)), "all alerts are there", first
    )
    assert first.stop() == 0
    assert len(shells) == len(hosts)
    assert sorted(alert_ids(kafka, settings)) == sorted(shells | blocks)


def _login(host: str, number: int, at_ms: int, outcome: str) -> tuple[bytes, bytes]:
    document = {
        "@timestamp": iso(at_ms),
        "event": {"id": f"{number}", "category": ["authentication"], "outcome": outcome},
        "host": {"id": host},
        "user": {"id": "u"},
        "process": {"name": "lsass.exe"},
    }
    return host.encode(), orjson.dumps(document)


@pytest.mark.parametrize(
    ("partitions", "words"),
    [(0, "does not exist"), (5, "has no partition 5, 6, 7, 8, 9, 10, 11")],
)
def test_without_its_topic_the_worker_ends_and_says_how_to_make_it(
    kafka, settings, start, partitions, words
):
    """One message that names the topic, the setting and the command; a non-zero exit code."""
    name = kafka.create_topic("few", partitions) if partitions else kafka.topic_name("none")
    settings["sequence_state_topic"] = name
    worker = start()
    assert wait_until_ended(worker) != 0
    log = worker.log.read_text()
    message = (
        f"topic {name} (sequence_state_topic) {words}: sequence rules need in it each partition of"
        f" {settings['events_topic']}; create it with `streamproc topics create`"
    )
    assert message in log
    assert "Traceback" not in log
