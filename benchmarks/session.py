"""One benchmark: a broker, the streams in it, and rounds in which every contender runs once.

Law of the file: contenders of a round follow each other, alone; no time is reported of a
contender whose answer is wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.contenders.catalogue import (
    CONTENDERS,
    CORPUS,
    FAUST,
    WHOLE,
    WORKER,
    Contender,
)
from benchmarks.contenders.worker import run_worker
from benchmarks.meter import Measured
from benchmarks.traffic.stream import Traffic
from streamproc.ruleset.loader import load_rules
from tests.kafka.cluster import KafkaCluster

ROOT = Path(__file__).resolve().parent.parent
PARTITIONS = 4
TIMEOUT_S = 300
LARGE = (CORPUS, WHOLE)
STATE = "sequence_state"
STATE_CONFIG = {"cleanup.policy": "compact"}
OUTPUTS = ("alerts", "context_requests", "dead_letters")

Tell = Callable[[str, float], None]
"""Called with what is going on and how much of the whole is done since the last call."""


class WrongAnswerError(Exception):
    """A contender found other alerts than the stream holds; its time means nothing."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        lengths: Events of each stream, by name; the shorter are the beginnings of the longer.
        rounds: How often every contender runs.
        corpus: Folder of the large rule set; None leaves out the contenders that load it.
        has_sequences: Whether one of them loads its sequences, too.
    """

    lengths: Mapping[str, int]
    rounds: int
    corpus: Path | None
    has_sequences: bool = False

    @property
    def contenders(self) -> list[Contender]:
        """Those that take part."""
        left_out = LARGE if self.corpus is None else () if self.has_sequences else (WHOLE,)
        return [contender for contender in CONTENDERS if contender.rules not in left_out]


@dataclass
class Session:
    """A running benchmark.

    Attributes:
        topics: Topic of each stream.
        planted: Alerts that must be found in each stream.
        event_bytes: Mean size of an event, bytes.
        runs: What was measured, a mapping for each round.
        sequences: Ids of the sequence rules of the large rule set.
        loads: Load average of the machine before each run.
    """

    plan: Plan
    cluster: KafkaCluster
    folder: Path
    tell: Tell
    topics: dict[str, str] = field(default_factory=dict)
    planted: dict[str, frozenset[str]] = field(default_factory=dict)
    event_bytes: float = 0.0
    runs: list[dict[str, Measured]] = field(default_factory=list)
    loads: list[dict[str, float]] = field(default_factory=list)
    sequences: set[str] = field(default_factory=set)

    def fill(self) -> None:
        """Create the topics and produce the streams."""
        lengths = self.plan.lengths
        for stream in lengths:
            self.topics[stream] = self.cluster.create_topic(f"events-{stream}", PARTITIONS)
        producer = Producer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 50,
                "batch.size": 1_000_000,
                "queue.buffering.max.kbytes": 262_144,
            }
        )
        traffic, total, size = Traffic(), max(lengths.values()), 0
        for number, (key, value) in enumerate(traffic.events(total)):
            size += len(value)
            for stream, length in lengths.items():
                if number < length:
                    _produce(producer, self.topics[stream], key, value)
            if number % 1_000 == 0:
                producer.poll(0)
                self.tell("producing events", 1_000 / total)
        if producer.flush(TIMEOUT_S):
            raise RuntimeError("the broker did not take all events")
        self.event_bytes = size / total
        for stream, length in lengths.items():
            planted = traffic.expected(length)
            names = (f"{p.rule_id}|{p.host_id}|{p.event_id}" for p in planted)
            self.planted[stream] = frozenset(names)

    def run(self) -> None:
        """All rounds; each begins one contender later, so that none has a fixed neighbour."""
        contenders = self.plan.contenders
        for number in range(self.plan.rounds):
            taken: dict[str, Measured] = {}
            load: dict[str, float] = {}
            turn = number % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                title = f"round {number + 1}/{self.plan.rounds}: {contender.title}"
                self.tell(title, 0)
                load[contender.key] = os.getloadavg()[0]
                taken[contender.key] = self._run(contender, number)
                self.tell(f"{title}: {taken[contender.key].rate:,.0f} events/CPU s", 1)
            check_answers(taken, contenders, self.planted)
            self.runs.append(taken)
            self.loads.append(load)

    def expected_counts(self) -> dict[str, int]:
        """How many alerts each contender that detects had to find."""
        return {c.key: len(self.planted[c.stream]) for c in self.plan.contenders if c.rules}

    def _run(self, contender: Contender, number: int) -> Measured:
        records = self.plan.lengths[contender.stream]
        topic = self.topics[contender.stream]
        rules = self._rules(contender)
        if contender.kind == WORKER:
            return self._run_worker(contender, number)
        if contender.kind == FAUST:
            module = "benchmarks.contenders.faust_agent"
            arguments = [self.cluster.bootstrap, topic, str(records), str(self.folder)]
        else:
            module = "benchmarks.contenders.loop"
            arguments = [contender.kind, self.cluster.bootstrap, topic, str(records)]
        return _run_module(module, [*arguments, *map(str, rules)])

    def _run_worker(self, contender: Contender, number: int) -> Measured:
        names = {output: f"{contender.key}-{number}-{output}" for output in (*OUTPUTS, STATE)}
        topics = {
            f"{output}_topic": self.cluster.create_topic(
                name, PARTITIONS if output == STATE else 1, STATE_CONFIG if output == STATE else {}
            )
            for output, name in names.items()
        }
        topics["events_topic"] = self.topics[contender.stream]
        measured = run_worker(
            topics,
            self.cluster.bootstrap,
            self.plan.lengths[contender.stream],
            self._rules(contender),
            self.folder,
        )
        # What sequences find depends on the order of events between hosts: it is not planted.
        known = (name for name in measured.found if name.partition("|")[0] not in self.sequences)
        return replace(measured, found=tuple(known))

    def _rules(self, contender: Contender) -> list[Path]:
        if not contender.rules:
            return []
        large = {CORPUS: self.folder / "single-event", WHOLE: self.plan.corpus}
        folder = large.get(contender.rules)
        return [ROOT / "rules"] if folder is None else [ROOT / "rules", folder]

    def choose_rules(self) -> None:
        """Copy the single-event rules of the large rule set aside; note its sequences."""
        if self.plan.corpus is None:
            return
        folder = self.folder / "single-event"
        folder.mkdir()
        for rule in load_rules([self.plan.corpus]).rules:
            if rule.is_sequence:
                self.sequences.add(rule.rule_id)
            else:
                shutil.copy(rule.path, folder / f"{rule.rule_id}.toml")


def check_answers(
    taken: Mapping[str, Measured],
    contenders: Sequence[Contender],
    planted: Mapping[str, frozenset[str]],
) -> None:
    """Compare what was found with what was planted: no alert too few, none too many.

    Ordinary traffic raises no alert of the large rule set either; whoever changes the traffic so
    that it does, learns it here.

    Raises:
        WrongAnswerError: Some contender missed or invented an alert.
    """
    for contender in contenders:
        if not contender.rules:
            continue
        found, expected = set(taken[contender.key].found), planted[contender.stream]
        if found != expected:
            missed, invented = sorted(expected - found), sorted(found - expected)
            raise WrongAnswerError(
                f"{contender.title}: {len(missed)} alerts missed {missed[:3]},"
                f" {len(invented)} invented {invented[:3]}"
            )


def _produce(producer: Any, topic: str, key: bytes, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, key)
        except BufferError:
            producer.poll(0.05)
        else:
            return


def _run_module(module: str, arguments: Sequence[str]) -> Measured:
    """Run a contender that measures itself; its last line of output is the measured run.

    Raises:
        RuntimeError: It failed; holds the end of what it said.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-3_000:]}")
    return Measured.from_json(json.loads(done.stdout.splitlines()[-1]))


def run_session(plan: Plan, folder: Path, tell: Tell) -> tuple[Session, float]:
    """Start Kafka (or take the one that ``STREAMPROC_TEST_KAFKA`` names), fill, run, stop.

    Returns:
        The finished session and the seconds that it took.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        tell("starting Apache Kafka", 0)
        cluster = KafkaCluster.start(folder)
        stack.callback(cluster.close)
        session = Session(plan, cluster, folder, tell)
        session.choose_rules()
        session.fill()
        session.run()
    return session, time.monotonic() - began
