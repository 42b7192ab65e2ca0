"""A real worker process on a real Kafka: started, killed, stopped, and its outputs read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

DEADLINE_S = 180.0
COORDINATOR_NOT_READY = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)


class Worker:
    """``python -m streamproc worker`` in a process group of its own; a context manager."""

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

    def __enter__(self) -> Worker:
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
        self._process.wait(30)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self._process.wait(60)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def wait_until_ended(worker: Worker) -> int:
    """Wait for the worker's end by itself; returns its exit code."""
    end = time.monotonic() + DEADLINE_S
    while worker.exit_code is None:
        assert time.monotonic() < end, f"it does not end\n{worker.tail()}"
        time.sleep(0.05)
    return worker.exit_code


def committed(bootstrap: str, group: str, topic: str, partitions: int) -> list[int]:
    """Committed offset of each partition; 0 where there is none."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    # By a consumer: librdkafka 2.16's AdminClient.list_consumer_group_offsets crashes the process
    # when the group's coordinator is not ready (it asks for a new one in a group it has not got).
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        answer = consumer.committed(places, timeout=30)
    except KafkaException as error:
        if error.args[0].code() not in COORDINATOR_NOT_READY:
            raise
        return [0] * partitions
    finally:
        consumer.close()
    found = {place.partition: place.offset for place in answer}
    return [max(found.get(number, 0), 0) for number in range(partitions)]


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
