"""How long a worker takes from SIGTERM to its end, with everything that it has evaluated committed.

Run: ``python -m benchmarks.stop HOST:PORT`` from the root of the checkout; the broker is to be one
for tests, on which topics are made and deleted. The expected answer: exit code 0 within 5 s while
events keep waiting, and as many alerts as offsets committed, so that nothing is done twice.

Every event matches the one rule, so each committed offset is one alert. Each round stops a worker
in the middle of a backlog; the next one goes on where it ended.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.contenders.worker import WorkerProcess

EXPECTED_S = 5.0
ROUNDS = 5
EVENTS, PARTITIONS = 400_000, 4
EVALUATED_MIN = 2_000  # alerts of a round before it is stopped
DEADLINE_S = 180.0
RULE = """\
[metadata]
maturity = "production"
[rule]
rule_id = "5709bcbd-7e43-4a25-8bd5-8b8b6c6c7f10"
name = "Every event"
description = "Matches each event of this benchmark."
author = ["streamproc"]
license = "Apache-2.0"
severity = "low"
risk_score = 1
type = "eql"
language = "eql"
query = 'process where process.name == "cmd.exe"'
"""
TOPICS = ("events", "alerts", "context_requests", "dead_letters")


def main(bootstrap: str) -> None:
    """Measure, print, and fail where the expected answer is not met."""
    run = uuid.uuid4().hex[:8]
    topics = {name: f"stop-{run}-{name}" for name in TOPICS}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    made = admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics.values()])
    for future in made.values():
        future.result()
    print(f"expected: exit code 0 within {EXPECTED_S:.0f} s, alerts = offsets committed")
    try:
        _fill(bootstrap, topics["events"])
        with tempfile.TemporaryDirectory() as scratch:
            took = [_round(bootstrap, topics, Path(scratch), run) for _ in range(ROUNDS)]
    finally:
        for future in admin.delete_topics(list(topics.values())).values():
            future.result()
    print(f"median {statistics.median(took):.2f} s, longest {max(took):.2f} s")
    if max(took) > EXPECTED_S:
        raise SystemExit(f"a stop took {max(took):.2f} s")


def _round(bootstrap: str, topics: dict[str, str], scratch: Path, run: str) -> float:
    """Seconds from SIGTERM to the end of the process."""
    (scratch / "rule.toml").write_text(RULE, "utf-8")
    settings = {f"{name}_topic": topic for name, topic in topics.items()}
    settings["default_context_requests"] = "false"
    group, rules = f"stop-{run}", [scratch / "rule.toml"]
    before = _records(bootstrap, topics["alerts"])
    with WorkerProcess(settings, bootstrap, group, rules, scratch) as worker:
        worker.reach(1)
        end_s = time.monotonic() + DEADLINE_S
        while _records(bootstrap, topics["alerts"]) < before + EVALUATED_MIN:
            if time.monotonic() > end_s:
                raise RuntimeError("it writes too few alerts")
            time.sleep(0.02)
        began_s = time.monotonic()
        worker.stop()
        took_s = time.monotonic() - began_s
    alerts, done = _records(bootstrap, topics["alerts"]), _committed(bootstrap, topics, run)
    print(f"exit code 0 after {took_s:.2f} s; {alerts:,} alerts, {done:,} committed")
    if alerts != done:
        raise SystemExit("the stop lost or repeated events")
    return took_s


def _fill(bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50})
    for number in range(EVENTS):
        event = {
            "@timestamp": "2026-01-01T00:00:00.000Z",
            "event": {"id": f"e{number}", "category": ["process"]},
            "host": {"id": f"h{number % 100}"},
            "process": {"name": "cmd.exe"},
        }
        while True:
            try:
                producer.produce(topic, orjson.dumps(event), partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def _records(bootstrap: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        return sum(consumer.get_watermark_offsets(place, timeout=30)[1] for place in places)
    finally:
        consumer.close()


def _committed(bootstrap: str, topics: dict[str, str], run: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"stop-{run}"})
    try:
        places = [TopicPartition(topics["events"], number) for number in range(PARTITIONS)]
        return sum(max(place.offset, 0) for place in consumer.committed(places, timeout=30))
    finally:
        consumer.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
