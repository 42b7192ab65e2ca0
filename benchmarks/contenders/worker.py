"""The product as its users run it: a ``streamproc worker`` process, watched from outside.

Law of the file: while it is measured the worker is asked for its short status, as rarely as
possible, and not for its metrics: with a thousand rules one page of them costs as much as
thousands of events.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

import orjson
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contenders.rules import ALERT_EVENT_IDS, alert_name
from benchmarks.meter import WINDOW, Mark, Measured, cpu_seconds, peak_bytes
from streamproc.eql.event import Event
from tests.kafka.broker import free_ports

ASSIGNED = "streamproc_assigned_partitions"
POLL_S = 0.03
SILENCE_S = 300.0  # without progress: give up


class WorkerProcess:
    """A running ``streamproc worker``; a context: whatever happens within, none is left behind.

    Args:
        topics: Names by setting: ``events_topic``, ``alerts_topic`` and so on; further settings.
        bootstrap: Kafka.
        group: Consumer group.
        rules: Rule files and folders.
        folder: For its log.

    Attributes:
        port: Where its metrics are.
    """

    def __init__(
        self,
        topics: Mapping[str, str],
        bootstrap: str,
        group: str,
        rules: Sequence[Path],
        folder: Path,
    ) -> None:
        [self.port] = free_ports(1)
        settings = {
            **topics,
            "bootstrap_servers": bootstrap,
            "group_id": group,
            "metrics_port": str(self.port),
            "rules": ",".join(map(str, rules)),
        }
        kept = {n: value for n, value in os.environ.items() if not n.startswith("STREAMPROC_")}
        environment = kept | {f"STREAMPROC_{name.upper()}": v for name, v in settings.items()}
        self._log = folder / f"worker-{self.port}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamproc", "worker"],
                env=environment,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._process.kill()
        self._process.wait()
        if isinstance(error, Exception):
            lines = self._log.read_text(errors="replace").splitlines()[-30:]
            raise RuntimeError("\n".join([f"worker: {error}", *lines])) from error

    @property
    def peak_bytes(self) -> int:
        """Largest resident memory so far."""
        return peak_bytes(self._process.pid)

    def metrics(self) -> str:
        """The text of ``/metrics``; "" while nobody listens.

        Raises:
            RuntimeError: The worker has ended.
        """
        return self._read("/metrics")

    def _read(self, path: str) -> str:
        try:
            return read_page(self.port, path)
        except (OSError, HTTPException):  # it ends while it answers
            if self._process.poll() is not None:
                raise RuntimeError(f"ended with {self._process.returncode}") from None
            return ""

    def mark(self) -> Mark:
        """Where it is now."""
        done = processed(self._read("/status"))
        return Mark(done, cpu_seconds(self._process.pid), time.monotonic())

    def reach(self, records: float, first: Mark | None = None) -> Mark:
        """Wait until so many records are processed.

        Args:
            records: How many.
            first: Where the first ones were: tells its speed, and so when to look again.

        Raises:
            RuntimeError: It ended, or stood still for ``SILENCE_S``.
        """
        known = mark = self.mark()
        while mark.records < records:
            if mark.at_s > known.at_s + SILENCE_S:
                raise RuntimeError(f"stands still at {known.records:,} records")
            time.sleep(pause_s(first or known, mark, records))
            if mark.records > known.records:
                known = mark
            mark = self.mark()
        return mark

    def wait_assigned(self, partitions: int) -> None:
        """Wait until it reads so many partitions.

        Raises:
            RuntimeError: It ended, or does not for ``SILENCE_S``.
        """
        deadline = time.monotonic() + SILENCE_S
        while metric(self.metrics(), ASSIGNED) != partitions:
            if time.monotonic() > deadline:
                raise RuntimeError(f"does not get {partitions} partitions")
            time.sleep(0.1)

    def pause(self) -> None:
        """Take it off the processor until ``resume``."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order.

        Raises:
            RuntimeError: It ended with an error.
        """
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(60):
            raise RuntimeError(f"the worker ended with {self._process.returncode}")


def run_worker(
    topics: Mapping[str, str], bootstrap: str, records: int, rules: Sequence[Path], folder: Path
) -> Measured:
    """Start a worker on a topic that is full already, measure, stop, and read its alerts.

    Args:
        topics: Names by setting: ``events_topic``, ``alerts_topic`` and so on.
        bootstrap: Kafka.
        records: What the events topic holds.
        rules: Rule files and folders.
        folder: For its log.

    Raises:
        RuntimeError: It ended early, stood still or stopped with an error; holds its log.
    """
    group = f"benchmark-{topics['alerts_topic']}"
    with WorkerProcess(topics, bootstrap, group, rules, folder) as worker:
        first = worker.reach(1)
        begin, end = (worker.reach(records * share, first) for share in WINDOW)
        worker.reach(records, first)
        peak = worker.peak_bytes
        worker.stop()
    found = set(read_alerts(bootstrap, topics["alerts_topic"]))
    return Measured.between(begin, end, records, peak, found)


def pause_s(first: Mark, now: Mark, records: float) -> float:
    """Seconds before the next look: half of what the worker needs at the speed that it had.

    But never more than a quarter of the time that it has run so far: it may become faster.
    """
    done, ran_s = now.records - first.records, now.at_s - first.at_s
    if done <= 0:
        return POLL_S
    left_s = (records - now.records) * ran_s / done
    return max(min(left_s / 2, ran_s / 4), POLL_S)


def read_page(port: int, path: str) -> str:
    """What a worker answers at its port; raises OSError while nobody listens."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def processed(status: str) -> int:
    """Events processed, whatever became of them, by the text of ``/status``."""
    return sum(orjson.loads(status)["events"].values()) if status else 0


def metric(metrics: str, name: str) -> float:
    """Sum of all series of a metric; 0 if there are none."""
    lines = (line for line in metrics.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def read_alerts(bootstrap: str, topic: str) -> dict[str, int]:
    """All alerts of a topic of one partition: name to the record's time, ms, by the broker."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark-reader"})
    place = TopicPartition(topic, 0, 0)
    _, end = consumer.get_watermark_offsets(place, timeout=30)
    consumer.assign([place])
    found: dict[str, int] = {}
    position = 0
    while position < end:
        # Not one more than there are: it would be waited for.
        for message in consumer.consume(min(end - position, 1_000), 5.0):
            if message.error() is not None:
                raise RuntimeError(f"{topic}: {message.error()}")
            alert = Event(orjson.loads(message.value() or b""))
            rule_id = str(alert.values("kibana.alert.rule.rule_id")[0])
            name = alert_name(rule_id, alert, ALERT_EVENT_IDS)
            found.setdefault(name, message.timestamp()[1])
            position = (message.offset() or 0) + 1
    consumer.close()
    return found
