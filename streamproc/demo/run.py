"""The demonstration from its start to its verdict: broker, worker, generator, screen.

Law of the file: it is shown what happened. The alerts come from a real worker over a real
protocol, and a run that lacks an expected alert, or has one too many, fails.
"""

from __future__ import annotations

import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from streamproc.config import Settings
from streamproc.demo.board import Board, Snapshot, Verdict, judge
from streamproc.demo.feed import Feed, Outputs
from streamproc.demo.gauge import Gauge
from streamproc.demo.pace import Pace
from streamproc.demo.screen import Screen
from streamproc.demo.summary import summary_rows
from streamproc.demo.traffic import Traffic
from streamproc.demo.worker import WORKER_COMMAND, WorkerProcess
from streamproc.transport.embedded import EmbeddedBroker

EVENTS_PER_SECOND = 8_000
SEED = 20210302  # the day on which the attacks on Exchange became public

_TICK_S = 0.02
_START_TIMEOUT_S = 90.0
_DRAIN_TIMEOUT_S = 60.0
# Context requests follow their alert at once; this long without a new one, none will come.
_SETTLE_S = 0.5
# An alert that has not come this long after the worker took everything in will not come.
_PATIENCE_S = 15.0
# Sent before the worker is up, for it to have something to take in: small beside what the
# embedded broker keeps.
_FIRST_EVENTS = 200


class DemoFailedError(Exception):
    """The demonstration could not show what it promises; ``log_tail`` is the worker's."""

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user may choose.

    Attributes:
        seconds: How long events flow once the worker takes them in.
        rate: Events a second that the generator aims at.
        seed: Hosts and events follow from it.
        worker_command: What is run as the worker.
    """

    seconds: float
    rate: float = EVENTS_PER_SECOND
    seed: int = SEED
    worker_command: tuple[str, ...] = WORKER_COMMAND


def run_demo(options: DemoOptions, screen: Screen) -> None:
    """Run it to its end and show the summary.

    Raises:
        DemoFailedError: The worker ended, fell behind for good, or the alerts are not those that
            the story must raise.
    """
    with ExitStack() as stack:
        topics = Settings()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamproc-demo-")))
        broker = stack.enter_context(EmbeddedBroker())
        broker.make_topics(
            topics.events_topic,
            topics.alerts_topic,
            topics.context_requests_topic,
            topics.dead_letters_topic,
        )
        port = _find_free_port()
        worker = stack.enter_context(
            WorkerProcess(
                worker_environment(broker.bootstrap, port),
                folder / "worker.log",
                options.worker_command,
            )
        )
        gauge = Gauge(f"http://127.0.0.1:{port}/metrics")
        gauge.start()
        stack.callback(gauge.stop)
        outputs = Outputs(broker.bootstrap, (topics.alerts_topic, topics.context_requests_topic))
        stack.callback(outputs.close)
        feed = Feed(broker.bootstrap, topics.events_topic)
        stage = _Stage(options, screen, worker, gauge, outputs, feed, topics.alerts_topic)
        with screen:
            stage.play()
        stage.conclude()


def worker_environment(bootstrap_servers: str, metrics_port: int) -> dict[str, str]:
    """The worker's settings, as ``STREAMPROC_*`` variables."""
    return {
        "STREAMPROC_BOOTSTRAP_SERVERS": bootstrap_servers,
        "STREAMPROC_METRICS_PORT": str(metrics_port),
        "STREAMPROC_GROUP_ID": "streamproc-demo",
        # The embedded broker does not wake a waiting fetch when a record arrives: with the
        # default of 500 ms every alert would wait for it.
        "STREAMPROC_KAFKA_OPTIONS": '{"fetch.wait.max.ms": 20}',
    }


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Stage:
    """The parts of one run, and the loop over them."""

    def __init__(  # the parts, made by run_demo in the order in which they must end
        self,
        options: DemoOptions,
        screen: Screen,
        worker: WorkerProcess,
        gauge: Gauge,
        outputs: Outputs,
        feed: Feed,
        alerts_topic: str,
    ) -> None:
        self._options = options
        self._screen = screen
        self._worker = worker
        self._gauge = gauge
        self._outputs = outputs
        self._feed = feed
        self._alerts_topic = alerts_topic
        self._traffic = Traffic(options.seed)
        self._board = Board()
        self._started_s = 0.0
        self._flowed_s = 0.0
        self._last_output_s = 0.0
        self._last_input_s = 0.0

    def play(self) -> None:
        """Wait for the worker, let events flow, and wait until it is through with them."""
        self._await_worker()
        self._flow()
        self._drain()
        self._screen.show(self._snapshot(), time.monotonic(), is_last=True)

    def conclude(self) -> None:
        """Show the summary and pass judgement."""
        snapshot = self._snapshot()
        expected = self._traffic.expected
        verdict = judge(expected, snapshot.alerts)
        self._screen.show_summary(summary_rows(snapshot, self._feed.sent, expected, verdict))
        self._check(verdict)

    def _await_worker(self) -> None:
        began_s = time.monotonic()
        self._feed.send(self._traffic.everyday(_FIRST_EVENTS, time.time()))
        while not self._gauge.numbers.consumed:
            now_s = time.monotonic()
            self._screen.show_status(
                "Starting the worker; Faust assigns partitions, which takes some seconds ...", now_s
            )
            if now_s - began_s > _START_TIMEOUT_S:
                raise self._failure(f"the worker read nothing for {_START_TIMEOUT_S:.0f} s")
            self._look(now_s)
            time.sleep(_TICK_S)

    def _flow(self) -> None:
        self._started_s = time.monotonic()
        pace = Pace(self._options.rate, self._started_s)
        while self._flowed_s < self._options.seconds:
            now_s = time.monotonic()
            self._flowed_s = min(now_s - self._started_s, self._options.seconds)
            self._feed.send(
                self._traffic.story(self._flowed_s / self._options.seconds, time.time())
            )
            ahead = self._feed.sent - self._gauge.numbers.consumed
            self._feed.send(self._traffic.everyday(pace.allowance(now_s, ahead), time.time()))
            self._look(now_s)
            self._screen.show(self._snapshot(), now_s)
            time.sleep(max(0.0, _TICK_S - (time.monotonic() - now_s)))
        self._feed.send(self._traffic.story(1.0, time.time()))
        self._feed.flush()

    def _drain(self) -> None:
        began_s = self._last_input_s = time.monotonic()
        while not self._is_done(time.monotonic()):
            now_s = time.monotonic()
            if now_s - began_s > _DRAIN_TIMEOUT_S:
                return  # the verdict names what is missing
            self._look(now_s)
            self._screen.show(self._snapshot(), now_s)
            time.sleep(_TICK_S)

    def _is_done(self, now_s: float) -> bool:
        if self._board.numbers.consumed < self._feed.sent:
            self._last_input_s = now_s
            return False
        if judge(self._traffic.expected, self._board.alerts()).missing:
            return now_s - max(self._last_input_s, self._last_output_s) > _PATIENCE_S
        return now_s - self._last_output_s > _SETTLE_S

    def _look(self, now_s: float) -> None:
        """Take in what has happened; raises when the run cannot succeed any more."""
        is_flowing = self._flowed_s < self._options.seconds
        self._board.add_numbers(self._gauge.numbers, now_s, is_flowing=is_flowing)
        for topic, value in self._outputs.read():
            self._last_output_s = now_s
            if topic == self._alerts_topic:
                self._board.add_alert(orjson.loads(value), time.time())
            else:
                self._board.add_context_request(orjson.loads(value))
        exit_code = self._worker.exit_code
        if exit_code is not None:
            raise self._failure(f"the worker ended with exit code {exit_code}")
        if self._feed.failure:
            raise self._failure(self._feed.failure)

    def _snapshot(self) -> Snapshot:
        return self._board.snapshot(
            taken_s=time.time(),
            hosts_count=self._traffic.hosts_count,
            elapsed_s=self._flowed_s,
            duration_s=self._options.seconds,
            near_misses=self._traffic.near_misses,
        )

    def _check(self, verdict: Verdict) -> None:
        numbers = self._board.numbers
        if verdict.missing:
            lines = [
                f"no alert for event {item.event_id} on {item.host}" for item in verdict.missing
            ]
            raise self._failure("; ".join(lines))
        if verdict.unexpected:
            lines = [f"{alert.rule_name} on {alert.host}" for alert in verdict.unexpected]
            raise self._failure("alerts without cause: " + "; ".join(lines))
        if numbers.records_lost:
            raise self._failure(f"{numbers.records_lost} events were lost before they were read")
        if numbers.consumed < self._feed.sent:
            left = self._feed.sent - numbers.consumed
            raise self._failure(f"the worker did not read the last {left} events")

    def _failure(self, message: str) -> DemoFailedError:
        return DemoFailedError(message, self._worker.log_tail())
