"""One benchmark run: a broker, the streams in it, and how a contender is run on them.

Law of the file: contenders follow each other, alone; no time is reported of a contender whose
answer is wrong.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.contenders.catalogue import (
    CORPUS,
    FAUST,
    QUIX,
    UNCONCERNED,
    UNCONCERNED_RULES,
    WHOLE,
    WORKER,
    Contender,
)
from benchmarks.contenders.rule_sets import write_unconcerned
from benchmarks.contenders.worker import run_worker
from benchmarks.install import quix_python
from benchmarks.meter import Measured
from benchmarks.traffic.stream import Planted, Traffic
from streamproc.ruleset.loader import load_rules
from tests.kafka.cluster import KafkaCluster

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_RULES = ROOT / "rules"
PARTITIONS = 4
TIMEOUT_S = 300
STATE = "sequence_state"
STATE_CONFIG = {"cleanup.policy": "compact"}
OUTPUTS = ("alerts", "context_requests", "dead_letters")
BROKER_TIME = {"message.timestamp.type": "LogAppendTime"}
PRODUCER = {
    "partitioner": "murmur2_random",
    "linger.ms": 50,
    "batch.size": 1_000_000,
    "message.max.bytes": 2_000_000,
    "queue.buffering.max.kbytes": 262_144,
}

Tell = Callable[[str, float], None]
"""Called with what is going on and how much of the step is done since the last call, 0 to 1."""


class WrongAnswerError(Exception):
    """A contender found other alerts than the stream holds; its time means nothing."""


class LeftOutError(Exception):
    """Something cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        lengths: Events of each stream, by name; the shorter are the beginnings of the longer.
        rounds: How often every contender runs, at most.
        corpus: Folder of the large rule set; None leaves out what needs it.
        is_quick: Whether everything is cut down to two minutes.
    """

    lengths: Mapping[str, int]
    rounds: int
    corpus: Path | None
    is_quick: bool = False


@dataclass
class Session:
    """What all stages share.

    Attributes:
        topics: Topic of each stream.
        planted: Alerts that must be found in each stream.
        event_bytes: Mean size of an event, bytes.
        sequences: Ids of the sequence rules of the large rule set.
    """

    plan: Plan
    cluster: KafkaCluster
    folder: Path
    tell: Tell
    topics: dict[str, str] = field(default_factory=dict)
    planted: dict[str, frozenset[str]] = field(default_factory=dict)
    event_bytes: float = 0.0
    sequences: set[str] = field(default_factory=set)

    def fill(self) -> None:
        """Create the topics and produce the streams; the first call does it."""
        if self.topics:
            return
        lengths = self.plan.lengths
        for stream in lengths:
            self.topics[stream] = self.cluster.create_topic(f"events-{stream}", PARTITIONS)
        producer = self.producer()
        traffic, total, size = Traffic(), max(lengths.values()), 0
        for number, (key, value) in enumerate(traffic.events(total)):
            size += len(value)
            for stream, length in lengths.items():
                if number < length:
                    produce(producer, self.topics[stream], key, value)
            if number % 1_000 == 0:
                self.tell(f"producing events, {number / total:.0%}", 0)
        flush(producer)
        self.event_bytes = size / total
        for stream, length in lengths.items():
            self.planted[stream] = alert_names(traffic.expected(length))

    def producer(self) -> Any:
        """A client that writes streams."""
        return Producer({"bootstrap.servers": self.cluster.bootstrap, **PRODUCER})

    def produce_all(self, topic: str, events: Iterable[tuple[bytes, bytes]], **more: Any) -> None:
        """Write keys and values to a topic; ``more`` goes to ``Producer.produce``."""
        producer = self.producer()
        for number, (key, value) in enumerate(events):
            produce(producer, topic, key, value, **more)
            if number % 1_000 == 0:
                producer.poll(0)
        flush(producer)

    def worker_topics(
        self, name: str, events_topic: str, config: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """New output topics for a worker, with the one that it reads, by setting.

        Args:
            name: Beginning of their names.
            events_topic: What it reads.
            config: Of the output topics.
        """
        made = {}
        for output in OUTPUTS:
            topic = self.cluster.create_topic(f"{name}-{output}", 1, config)
            made[f"{output}_topic"] = topic
        state = self.cluster.create_topic(f"{name}-{STATE}", PARTITIONS, STATE_CONFIG)
        return {**made, f"{STATE}_topic": state, "events_topic": events_topic}

    def rules(self, chosen: str) -> list[Path]:
        """Files and folders of a contender's rules.

        Raises:
            LeftOutError: It needs the large rule set, and there is none.
        """
        if not chosen:
            return []
        if chosen == CORPUS:
            return [SHIPPED_RULES, self.single_event_rules()]
        if chosen == WHOLE:
            self.single_event_rules()
            return [SHIPPED_RULES, *filter(None, [self.plan.corpus])]
        if chosen == UNCONCERNED:
            return self.unconcerned_rules(UNCONCERNED_RULES)
        return [SHIPPED_RULES]

    def unconcerned_rules(self, count: int) -> list[Path]:
        """The shipped rules among so many that the traffic does not concern."""
        shipped = len(load_rules([SHIPPED_RULES]).rules)
        folder = self.folder / f"unconcerned-{count}"
        if count > shipped and not folder.exists():
            write_unconcerned(folder, count - shipped)
        return [SHIPPED_RULES, *([folder] if folder.exists() else [])]

    def single_event_rules(self) -> Path:
        """A folder with the single-event rules of the large rule set; notes its sequences.

        Raises:
            LeftOutError: There is no large rule set.
        """
        folder = self.folder / "single-event"
        if self.plan.corpus is None:
            raise LeftOutError("no large rule set: name its folder in STREAMPROC_BENCH_RULES")
        if not folder.exists():
            folder.mkdir()
            for rule in load_rules([self.plan.corpus]).rules:
                if rule.is_sequence:
                    self.sequences.add(rule.rule_id)
                else:
                    shutil.copy(rule.path, folder / f"{rule.rule_id}.toml")
        return folder

    def run(self, contender: Contender, name: str) -> Measured:
        """Run one contender on its stream.

        Args:
            contender: Who.
            name: Of this run; no other has it.

        Raises:
            RuntimeError: It failed; holds the end of what it said.
            LeftOutError: It cannot run here.
            NotInstalledError: Its engine cannot be had.
        """
        records = self.plan.lengths[contender.stream]
        topic = self.topics[contender.stream]
        rules = self.rules(contender.rules)
        common = [self.cluster.bootstrap, topic, str(records)]
        if contender.kind == WORKER:
            return self.run_worker(name, topic, records, rules)
        python = Path(sys.executable)
        if contender.kind == FAUST:
            module, arguments = "faust_agent", [*common, str(self.folder)]
        elif contender.kind == QUIX:
            python, module = quix_python(), "quix"
            # Where the product's libraries are, for its matchers.
            arguments = [sysconfig.get_path("purelib"), *common, str(self.folder)]
        else:
            module, arguments = "loop", [contender.kind, *common]
        return _run_module(python, f"benchmarks.contenders.{module}", [*arguments, *rules])

    def run_worker(self, name: str, topic: str, records: int, rules: Sequence[Path]) -> Measured:
        """Run one worker on a topic that is full already."""
        topics = self.worker_topics(name, topic)
        measured = run_worker(topics, self.cluster.bootstrap, records, rules, self.folder)
        return replace(measured, found=tuple(self.planted_kind(measured.found)))

    def planted_kind(self, found: Iterable[str]) -> list[str]:
        """Without what sequences found: that depends on the order of events between hosts."""
        return [name for name in found if name.partition("|")[0] not in self.sequences]


def alert_names(planted: Iterable[Planted]) -> frozenset[str]:
    """Alerts as contenders name them."""
    return frozenset(f"{p.rule_id}|{p.host_id}|{p.event_id}" for p in planted)


def check_found(who: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Compare what was found with what was planted: no alert too few, none too many.

    Ordinary traffic raises no alert of the large rule set either; whoever changes the traffic so
    that it does, learns it here.

    Raises:
        WrongAnswerError: An alert was missed or invented.
    """
    missed, invented = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missed or invented:
        raise WrongAnswerError(
            f"{who}: {len(missed)} alerts missed {missed[:3]},"
            f" {len(invented)} invented {invented[:3]}"
        )


def produce(producer: Any, topic: str, key: bytes, value: bytes, **more: Any) -> None:
    """Hand one record to the client, as soon as it has room."""
    while True:
        try:
            producer.produce(topic, value, key, **more)
        except BufferError:
            producer.poll(0.05)
        else:
            return


def flush(producer: Any) -> None:
    """Wait until the broker has everything.

    Raises:
        RuntimeError: It does not take it.
    """
    if producer.flush(TIMEOUT_S):
        raise RuntimeError("the broker did not take all events")


def _run_module(python: Path, module: str, arguments: Sequence[object]) -> Measured:
    """Run a contender that measures itself; its last line of output is the measured run.

    Raises:
        RuntimeError: It failed; holds the end of what it said.
    """
    command = [str(python), "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-3_000:]}")
    return Measured.from_json(json.loads(done.stdout.splitlines()[-1]))
