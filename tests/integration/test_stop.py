"""SIGTERM on a real Kafka: everything is committed, and the group is left or kept as it was set."""

from __future__ import annotations

import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.engine.programs import document, rule_text
from tests.integration.worker import Worker, committed, read_all, wait_until

PARTITIONS = 4
MATCHED = 'process where process.name == "cmd.exe"'


@pytest.fixture
def settings(kafka, tmp_path):
    """Topics of this test's own; a session is long, so that no member is taken for dead."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text(rule_text(0, MATCHED), "utf-8")
    return {
        "bootstrap_servers": kafka.bootstrap,
        "group_id": kafka.topic_name("group"),
        "rules": str(tmp_path / "rules"),
        "events_topic": kafka.create_topic("events", PARTITIONS),
        "alerts_topic": kafka.create_topic("alerts", 1),
        "context_requests_topic": kafka.create_topic("context-requests", 1),
        "dead_letters_topic": kafka.create_topic("dead-letters", 1),
        "default_context_requests": "false",
        "session_timeout_s": "300",
        "commit_interval_s": "300",  # whatever is committed is so by the stop
        "batch_age_max_s": "600",
    }


def await_partitions(count: int, *workers: Worker) -> None:
    for worker in workers:
        wait_until(
            lambda worker=worker: worker.total("streamproc_assigned_partitions") == count,
            f"{count} partitions are assigned",
            worker,
        )


def members(kafka, settings) -> list[tuple[str | None, int]]:
    """Instance id and number of partitions of each member of the group."""
    group = settings["group_id"]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    found = admin.describe_consumer_groups([group])[group].result(30)
    return sorted(
        (member.group_instance_id or "", len(member.assignment.topic_partitions))
        for member in found.members
    )


def await_members(kafka, settings, expected: list[tuple[str, int]]) -> None:
    """Wait until the broker has heard of it: a session lasts longer than this waits."""
    wait_until(lambda: members(kafka, settings) == expected, f"the members are {expected}")


def await_ready(*workers: Worker) -> None:
    for worker in workers:
        wait_until(lambda worker=worker: worker.get("/readyz")[0] == 200, "it is ready", worker)


def send(kafka, settings, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number in range(count):
        event = document(number % 60) | {"event": {"id": f"e{number}", "category": ["process"]}}
        producer.produce(settings["events_topic"], orjson.dumps(event), partition=number % 4)
    assert producer.flush(60) == 0


def test_stop_commits_what_was_evaluated_and_leaves_the_group(kafka, settings, start):
    """Exit code 0, every alert written, every offset committed, nobody left in the group."""
    worker = start()
    await_partitions(PARTITIONS, worker)
    send(kafka, settings, 2_000)
    processed = "streamproc_events_processed_total"
    wait_until(lambda: worker.total(processed) > 0, "the first batch is done", worker)
    assert worker.stop() == 0
    evaluated = committed(settings, PARTITIONS)
    assert evaluated > 0
    assert len(read_all(kafka.bootstrap, settings["alerts_topic"])) == evaluated
    await_members(kafka, settings, [])
    second = start()
    wait_until(lambda: second.total(processed) == 2_000 - evaluated, "the rest is done", second)
    assert second.stop() == 0
    assert committed(settings, PARTITIONS) == 2_000
    assert len(read_all(kafka.bootstrap, settings["alerts_topic"])) == 2_000


def test_static_member_restarts_without_a_rebalance(kafka, settings, start):
    """Its partitions wait for it, and the other worker does not notice."""
    first, second = start(group_instance_id="w0"), start(group_instance_id="w1")
    await_partitions(2, first, second)
    await_ready(first, second)  # all that belongs to the rebalance is done, and counted
    seen = second.total("streamproc_rebalances_total")
    assert first.stop() == 0
    assert members(kafka, settings) == [("w0", 2), ("w1", 2)]
    send(kafka, settings, 400)
    again = start(group_instance_id="w0")
    processed = "streamproc_events_processed_total"
    wait_until(lambda: again.total(processed) == 200, "its own are done", again)
    wait_until(lambda: second.total(processed) == 200, "the others are done", second)
    assert second.total("streamproc_rebalances_total") == seen
    assert again.stop() == 0
    assert second.stop() == 0
    assert committed(settings, PARTITIONS) == 400


def test_static_member_that_is_told_to_leaves_the_group(kafka, settings, start):
    """For a scale-down: the other worker gets its partitions at once, not after the session."""
    settings["leave_group_on_stop"] = "true"
    first, second = start(group_instance_id="w0"), start(group_instance_id="w1")
    await_partitions(2, first, second)
    assert first.stop() == 0
    await_partitions(PARTITIONS, second)
    await_members(kafka, settings, [("w1", PARTITIONS)])
    assert second.stop() == 0
    await_members(kafka, settings, [])
