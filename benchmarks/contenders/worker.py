"""The product as its users run it: a ``streamproc worker`` process, watched from outside.

Law of the file: within the window the worker is asked for its metrics as rarely as possible,
for the answer costs it CPU time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contenders.rules import alert_name
from benchmarks.meter import WINDOW, Mark, Measured, cpu_seconds, peak_bytes
from streamproc.eql.event import Event

PROCESSED = "streamproc_events_processed_total"
POLL_S = 0.03
SILENCE_S = 120.0  # without progress: give up


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
    port = _free_port()
    settings = {
        **topics,
        "bootstrap_servers": bootstrap,
        "group_id": f"benchmark-{topics['alerts_topic']}",
        "metrics_port": str(port),
        "rules": ",".join(map(str, rules)),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMPROC_")}
    environment = kept | {f"STREAMPROC_{name.upper()}": v for name, v in settings.items()}
    log = folder / f"{topics['alerts_topic']}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamproc", "worker"],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        begin, end, peak = _watch(process, port, records)
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            raise RuntimeError(f"the worker ended with {process.returncode}")
    except Exception as error:
        lines = log.read_text(errors="replace").splitlines()[-30:]
        raise RuntimeError("\n".join([f"worker: {error}", *lines])) from error
    finally:
        process.kill()
        process.wait()
    found = _read_alerts(bootstrap, topics["alerts_topic"])
    return Measured.between(begin, end, records, peak, found)


def _watch(process: subprocess.Popen[bytes], port: int, records: int) -> tuple[Mark, Mark, int]:
    """Marks at the ends of the window, and the peak of memory when all is processed."""
    first_at, last_at = (records * share for share in WINDOW)
    idle = _mark(process, port)
    first = _reach(process, port, 1, idle)
    begin = _reach(process, port, first_at, first)
    end = _reach(process, port, last_at, first)
    _reach(process, port, records, first)
    return begin, end, peak_bytes(process.pid)


def _reach(process: subprocess.Popen[bytes], port: int, records: float, first: Mark) -> Mark:
    """Wait until so many records are processed; ``first`` is where the first ones were."""
    known = mark = _mark(process, port)
    while mark.records < records:
        if mark.at_s > known.at_s + SILENCE_S:
            raise RuntimeError(f"stands still at {known.records:,} records")
        time.sleep(pause_s(first, mark, records))
        if mark.records > known.records:
            known = mark
        mark = _mark(process, port)
    return mark


def pause_s(first: Mark, now: Mark, records: float) -> float:
    """Seconds before the next look: half of what the worker needs at the speed that it had.

    But never more than a quarter of the time that it has run so far: it may become faster.
    """
    done, ran_s = now.records - first.records, now.at_s - first.at_s
    if done <= 0:
        return POLL_S
    left_s = (records - now.records) * ran_s / done
    return max(min(left_s / 2, ran_s / 4), POLL_S)


def _mark(process: subprocess.Popen[bytes], port: int) -> Mark:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        text = ""  # it does not listen yet
    if process.poll() is not None:
        raise RuntimeError(f"ended with {process.returncode}")
    return Mark(processed(text), cpu_seconds(process.pid), time.monotonic())


def processed(metrics: str) -> int:
    """Records processed, whatever became of them, by the text of ``/metrics``."""
    lines = (line for line in metrics.splitlines() if line.startswith(PROCESSED + "{"))
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def _read_alerts(bootstrap: str, topic: str) -> set[str]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark-reader"})
    place = TopicPartition(topic, 0, 0)
    _, end = consumer.get_watermark_offsets(place, timeout=30)
    consumer.assign([place])
    found: set[str] = set()
    position = 0
    while position < end:
        for message in consumer.consume(1_000, 5.0):
            if message.error() is not None:
                raise RuntimeError(f"{topic}: {message.error()}")
            alert = Event(orjson.loads(message.value()))
            rule_id = str(alert.values("kibana.alert.rule.rule_id")[0])
            found.add(alert_name(rule_id, alert, "kibana.alert.original_event.id"))
            position = message.offset() + 1
    consumer.close()
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
