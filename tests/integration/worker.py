"""A real worker process on a real Kafka: started, watched, killed, stopped, its outputs read.

Law of the file: a worker that is not there yet, or ends while it answers, is no error of a test.
Whoever waits for it learns why in vain, from its log and from what it says of itself.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.kafka.broker import free_ports

DEADLINE_S = 180.0
NO_ANSWER_YET = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
)
# Settings of a worker that takes minutes for a stream that others are through with in seconds: a
# fetch for each partition and second, of what a producer wrote at a time. Whoever stops or kills
# such a worker when it has begun does so in the middle, however slow the machine is.
SLOW = {
    "batch_records": "20",
    "batches_in_flight": "1",
    "commit_interval_s": "0.1",
    "kafka_options": '{"queued.max.messages.kbytes": 1, "fetch.queue.backoff.ms": 1000}',
}

Samples = dict[tuple, float]
"""(name, labels as sorted pairs) -> value."""


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection is given meanwhile."""
    [port] = free_ports(1)
    return port


def ask(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a worker's page; (0, b"") while nobody answers."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):  # it ends while it answers
            return 0, b""


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels; 0 where there are none."""
    return sum(
        value
        for (first, *others), value in samples.items()
        if first == name and labels.items() <= set(others)
    )


class Worker:
    """``python -m streamproc worker`` in a process group of its own; a context manager.

    It answers at ``port``, a free one unless the settings name another.
    """

    def __init__(
        self,
        log: Path,
        settings: dict[str, str],
        *,
        by_faust: bool = False,
        prelude: str | None = None,
    ) -> None:
        """Prepare it; ``prelude`` is Python code that runs in the process before the worker."""
        self.log = log
        settings = {"metrics_port": str(free_port())} | settings
        self.port = int(settings["metrics_port"])
        self._command = [sys.executable, "-m", "streamproc", "worker"]
        if by_faust:
            faust = str(Path(sys.executable).with_name("faust"))
            self._command = [faust, "-A", "streamproc.app", "worker", "--without-web"]
        if prelude is not None:
            run = "from streamproc.cli import main\nmain(['worker'])"
            self._command = [sys.executable, "-c", f"{prelude}\n{run}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMPROC_")}
        self._environment = environment | {
            f"STREAMPROC_{k.upper()}": v for k, v in settings.items()
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self.log.parent,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def pid(self) -> int | None:
        """Process id, while it runs."""
        is_running = self._process is not None and self._process.poll() is None
        return self._process.pid if is_running else None

    def forget(self, setting: str) -> None:
        """Leave a setting out."""
        self._environment.pop(f"STREAMPROC_{setting.upper()}", None)

    def kill(self) -> None:
        """Kill -9: no time for anything."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE_S)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self._process.wait(DEADLINE_S)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one of its pages; (0, b"") while it does not answer."""
        return ask(self.port, path)

    def samples(self) -> Samples:
        """What its metrics say; nothing while it does not answer."""
        status, text = self.get("/metrics")
        families = text_string_to_metric_families(text.decode() if status == 200 else "")
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """``total`` of its metrics; NaN, equal to nothing, while it does not answer."""
        samples = self.samples()
        return total(samples, name, **labels) if samples else math.nan

    def tail(self) -> str:
        """The end of its log and, while it runs, what it says of itself."""
        lines = self.log.read_text(errors="replace").splitlines()[-40:]
        pages = ("/readyz", "/status") if self.pid else ()
        return "\n".join((*lines, *(self.get(page)[1].decode() for page in pages)))


def wait_until_ended(worker: Worker) -> int:
    """Wait for the worker's end by itself; returns its exit code."""
    end = time.monotonic() + DEADLINE_S
    while worker.exit_code is None:
        assert time.monotonic() < end, f"it does not end\n{worker.tail()}"
        time.sleep(0.05)
    return worker.exit_code


def committed(settings: dict[str, str], partitions: int) -> int:
    """How many records of its events topic a worker with these settings has committed."""
    places = [TopicPartition(settings["events_topic"], number) for number in range(partitions)]
    # By a consumer: librdkafka 2.16's AdminClient.list_consumer_group_offsets crashes the process
    # when the group's coordinator is not ready (it asks for a new one in a group it has not got).
    client = {"bootstrap.servers": settings["bootstrap_servers"], "group.id": settings["group_id"]}
    consumer = Consumer(client)
    end = time.monotonic() + DEADLINE_S
    try:
        while True:
            try:
                answer = consumer.committed(places, timeout=30)
            except KafkaException as error:
                if error.args[0].code() not in NO_ANSWER_YET or time.monotonic() >= end:
                    raise
                time.sleep(0.05)
            else:
                return sum(max(place.offset, 0) for place in answer)  # below 0: none yet
    finally:
        consumer.close()


def wait_until(condition, what: str, worker: Worker | None = None):
    """Wait for a true value and return it; fails with the worker's log when it never comes."""
    end = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        is_over = worker is not None and worker.exit_code is not None
        assert not is_over, f"the worker ended\n{worker.tail() if worker else ''}"
        is_late = time.monotonic() >= end
        assert not is_late, f"waited in vain until {what}\n{worker.tail() if worker else ''}"
        time.sleep(0.05)
    return value


def read_all(bootstrap: str, topic: str) -> list:
    """Every record of a topic up to its present end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    left = {}
    for number in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
        if high > low:
            left[number] = high
    consumer.assign([TopicPartition(topic, number, 0) for number in left])
    found = []
    while left:
        for message in consumer.consume(10_000, 1.0):
            assert message.error() is None, message.error()
            found.append(message)
            if message.offset() + 1 >= left.get(message.partition(), 1 << 62):
                del left[message.partition()]
    consumer.close()
    return found
