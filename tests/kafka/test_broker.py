"""The harness itself: records survive a crash of the broker, and no process survives the run."""

import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.kafka.broker import ROOT, KafkaBroker, _java_major_version

PATIENCE_S = 60


def test_broker_keeps_records_over_kill_and_restart(kafka_broker: KafkaBroker):
    """A record acknowledged before SIGKILL is read after the restart, from the same address."""
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap, "acks": "all"})
    _create_topic(kafka_broker, "survivor")
    producer.produce("survivor", b"written before the crash")

    assert producer.flush(PATIENCE_S) == 0

    first_pid = kafka_broker.pid
    kafka_broker.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(first_pid, 0)
    kafka_broker.start()

    assert kafka_broker.pid != first_pid
    assert _read_one(kafka_broker, "survivor") == b"written before the crash"


def test_kafka_topics_never_share_a_name(kafka):
    """Two tests that ask for the same name get two topics, with the partitions asked for."""
    first = kafka.create_topic("events", partitions=3)
    second = kafka.create_topic("events")
    topics = kafka.admin.list_topics(timeout=PATIENCE_S).topics

    assert first != second
    assert [len(topics[name].partitions) for name in (first, second)] == [3, 1]


def test_watcher_ends_the_group_when_its_owner_is_killed():
    """A test run that is killed outright takes its broker (here a sleeper) with it."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    sleeper_pid = int(owner.stdout.readline())
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    deadline = time.monotonic() + PATIENCE_S
    while _runs(sleeper_pid) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not _runs(sleeper_pid)


OWNER = """
import subprocess, time
from tests.kafka.broker import _watch
sleeper = subprocess.Popen(["sleep", "300"], start_new_session=True)
watcher = _watch(sleeper.pid)
print(sleeper.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', 17),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ("", 0),
    ],
)
def test_java_major_version_is_read(printed, version):
    """The number after ``version``; Java 8 and older wrote it behind a ``1.``."""
    assert _java_major_version(printed) == version


def _create_topic(broker, name):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for created in admin.create_topics([NewTopic(name, 1, replication_factor=1)]).values():
        created.result(PATIENCE_S)


def _read_one(broker, topic):
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                return message.value()
    finally:
        consumer.close()
    raise AssertionError("nothing was read")


def _runs(pid):
    """Is the process running? One that has ended but is not yet collected does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
