"""Rules are replaced under a running worker on a real Kafka, as a ConfigMap replaces its files."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections import Counter, defaultdict

import orjson
import pytest
from confluent_kafka import Producer

from tests.engine.programs import rule_id, rule_text
from tests.integration.sequence_stream import iso
from tests.integration.worker import Worker, committed, read_all, wait_until

PARTITIONS = 4
HOSTS = [f"host-{number}" for number in range(12)]
MARK, STEPS = 0, 1
MARKED = 'process where process.name == "mark.exe"'
PAIR = """sequence by host.id with maxspan=1h
  [process where process.name == "begin.exe"]
  [process where process.name == "end.exe"]"""


class ConfigMap:
    """A folder as Kubernetes mounts it: links through ``..data``, which is turned at one stroke."""

    def __init__(self, mount) -> None:
        self.mount = mount
        self._count = 0

    def swap(self, files: dict[str, str]) -> None:
        self._count += 1
        folder = self.mount / f"..2026_{self._count}"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        before = self.mount / "..data"
        (self.mount / "..data_tmp").symlink_to(folder.name)
        old = before.resolve() if before.exists() else None
        (self.mount / "..data_tmp").rename(before)
        for link in self.mount.glob("*.toml"):
            if link.name not in files:
                link.unlink()
        for name in files:
            if not (self.mount / name).is_symlink():
                (self.mount / name).symlink_to(f"..data/{name}")
        if old is not None:
            shutil.rmtree(old)


def rules(version: int, **more: str) -> dict[str, str]:
    """The files of a set: the rule that every event matches in the given version, and others."""
    mark = rule_text(MARK, MARKED).replace("version = 1", f"version = {version}")
    return {"mark.toml": mark, **{f"{name}.toml": text for name, text in more.items()}}


SET_A = rules(1, gone=rule_text(7, 'process where process.name == "x.exe"'))
SET_B = rules(2, pair=rule_text(STEPS, PAIR))
SET_BAD = rules(3, pair=rule_text(STEPS, PAIR)[:-40])
SET_C = rules(4, pair=rule_text(STEPS, PAIR), new=rule_text(8, MARKED + ' and user.id == "u"'))


@pytest.fixture
def settings(kafka, tmp_path):
    """Topics of this test's own; no sequence rule at first, but a topic for their state."""
    return {
        "bootstrap_servers": kafka.bootstrap,
        "group_id": kafka.topic_name("group"),
        "rules": str(tmp_path / "rules"),
        "rules_reload_interval_s": "0.2",
        "events_topic": kafka.create_topic("events", PARTITIONS),
        "sequence_state_topic": kafka.create_topic(
            "state", PARTITIONS, {"cleanup.policy": "compact"}
        ),
        "alerts_topic": kafka.create_topic("alerts", 1),
        "context_requests_topic": kafka.create_topic("context-requests", 1),
        "dead_letters_topic": kafka.create_topic("dead-letters", 1),
        "default_context_requests": "false",
        "batch_records": "50",
        "commit_interval_s": "0.5",
        "sequence_state_interval_s": "0.5",
        "lateness_s": "1",
    }


class Load(threading.Thread):
    """Sends marked events to all partitions, 50 times a second, until it is stopped."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__()
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self.sent = 0

    def event(self, host: str, name: str) -> None:
        with self._lock:
            document = {
                "@timestamp": iso(time.time_ns() // 1_000_000),
                "event": {"id": f"e{self.sent}", "category": ["process"], "type": ["start"]},
                "host": {"id": host},
                "process": {"name": name},
            }
            place = HOSTS.index(host) % PARTITIONS
            self._producer.produce(self._topic, orjson.dumps(document), partition=place)
            self.sent += 1
            self._producer.poll(0)

    def run(self) -> None:
        while not self._is_over.wait(0.02):
            for host in HOSTS[:PARTITIONS]:
                self.event(host, "mark.exe")

    def finish(self) -> None:
        self._is_over.set()
        self.join()
        assert self._producer.flush(60) == 0


@pytest.fixture
def load(kafka, settings):
    load = Load(kafka.bootstrap, settings["events_topic"])
    yield load
    if load.is_alive():
        load.finish()


def reloads(worker: Worker, result: str) -> float:
    return worker.total("streamproc_ruleset_reloads_total", result=result)


def rule_ids(worker: Worker) -> set[str]:
    found = worker.samples()
    return {dict(labels)["rule_id"] for name, *labels in found if name == "streamproc_rule_info"}


def test_sets_are_swapped_between_two_batches_and_no_event_is_missed_or_seen_twice(
    kafka, settings, tmp_path, load
):
    """A, B, a broken one, C under load: each event gives one alert, of the set then in force.

    In each partition the versions follow one another without a step back; each goes with one
    digest. A sequence that began under B, whose rule came by the reload, is completed under C.
    """
    mount = ConfigMap(tmp_path / "rules")
    mount.swap(SET_A)
    with Worker(tmp_path / "worker.log", settings) as worker:

        def reach(result: str, count: int) -> None:
            wait_until(lambda: reloads(worker, result) == count, f"{count} {result}", worker)

        load.start()
        _progress(worker, 60)
        assert rule_ids(worker) == {rule_id(MARK), rule_id(7)}
        mount.swap(SET_B)
        reach("accepted", 1)
        assert rule_ids(worker) == {rule_id(MARK), rule_id(STEPS)}
        for host in HOSTS:
            load.event(host, "begin.exe")
        _progress(worker, 60)
        mount.swap(SET_BAD)
        reach("refused", 1)
        _progress(worker, 60)
        mount.swap(SET_C)
        reach("accepted", 2)
        for host in HOSTS:
            load.event(host, "end.exe")
        _progress(worker, 60)
        worker.signal(signal.SIGHUP)
        reach("unchanged", 1)
        load.finish()
        wait_until(lambda: committed(settings, PARTITIONS) == load.sent, "all is committed", worker)
        wait_until(lambda: len(_sequences(kafka, settings)) >= len(HOSTS), "sequences", worker)
        assert worker.stop() == 0
    _check_alerts(kafka, settings, load.sent - 2 * len(HOSTS))
    assert Counter(_sequences(kafka, settings)) == dict.fromkeys(HOSTS, 1)
    log = worker.log.read_text()
    assert "rules not reloaded (files have changed): 1 file is newly broken" in log
    assert "1 added, 1 changed, 0 removed" in log


def _check_alerts(kafka, settings, expected: int) -> None:
    """One alert for each marked event, and one set after the other in each partition."""
    alerts = _alerts(kafka, settings, MARK)
    assert len(alerts) == len({alert["kibana.alert.uuid"] for alert in alerts}) == expected
    digests: dict[int, set[str]] = defaultdict(set)
    versions: dict[str, list[int]] = defaultdict(list)
    for alert in alerts:  # one partition of alerts: in the order in which they were written
        version = alert["kibana.alert.rule.version"]
        digests[version].add(alert["streamproc.ruleset.digest"])
        versions[alert["host"]["id"]].append(version)
    assert sorted(digests) == [1, 2, 4]
    assert all(len(found) == 1 for found in digests.values())
    assert len(set.union(*digests.values())) == 3
    for found in versions.values():
        assert found == sorted(found)
        assert set(found) == {1, 2, 4}


def _alerts(kafka, settings, number: int) -> list[dict]:
    records = read_all(kafka.bootstrap, settings["alerts_topic"])
    found = [orjson.loads(record.value()) for record in records]
    return [alert for alert in found if alert["kibana.alert.rule.rule_id"] == rule_id(number)]


def _sequences(kafka, settings) -> list[str]:
    """Hosts of the shell alerts of the pair; its building blocks left out."""
    found = _alerts(kafka, settings, STEPS)
    return [one["host"]["id"] for one in found if "kibana.alert.building_block_type" not in one]


def _consumed(worker: Worker) -> dict[str, float]:
    """Records read of each partition."""
    found = worker.samples().items()
    name = "streamproc_records_consumed_total"
    return {dict(labels)["partition"]: n for (first, *labels), n in found if first == name}


def _progress(worker: Worker, records: int) -> None:
    """Wait until the worker has read so many more records of each partition."""
    before = _consumed(worker)

    def is_done() -> bool:
        now = _consumed(worker)
        return len(now) == PARTITIONS and all(
            count >= before.get(partition, 0) + records for partition, count in now.items()
        )

    wait_until(is_done, f"{records} more records of each partition", worker)


def _alerted(worker: Worker, count: int) -> None:
    name = "streamproc_alerts_published_total"
    wait_until(lambda: worker.total(name, severity="high") == count, f"{count} alerts", worker)


def test_fausts_own_command_line_reloads_on_a_signal(kafka, settings, tmp_path, load):
    """``faust -A streamproc.app worker`` runs the same app; without an interval it waits for it."""
    settings["rules_reload_interval_s"] = "0"
    mount = ConfigMap(tmp_path / "rules")
    mount.swap(SET_A)
    with Worker(tmp_path / "worker.log", settings, by_faust=True) as worker:
        load.event(HOSTS[0], "mark.exe")
        _alerted(worker, 1)
        mount.swap(SET_B)
        worker.signal(signal.SIGHUP)
        wait_until(lambda: reloads(worker, "accepted") == 1, "a reload", worker)
        load.event(HOSTS[0], "mark.exe")
        _alerted(worker, 2)
        assert worker.stop() == 0
    assert [a["kibana.alert.rule.version"] for a in _alerts(kafka, settings, MARK)] == [1, 2]


def test_sequence_rules_without_a_place_for_their_state_are_refused(kafka, settings, tmp_path):
    """The worker goes on without them, and says how to make the topic."""
    settings["sequence_state_topic"] = kafka.topic_name("none")
    mount = ConfigMap(tmp_path / "rules")
    mount.swap(SET_A)
    with Worker(tmp_path / "worker.log", settings) as worker:
        wait_until(lambda: "assigned" in worker.log.read_text(), "an assignment", worker)
        mount.swap(SET_B)
        wait_until(lambda: reloads(worker, "refused") == 1, "a refusal", worker)
        assert rule_ids(worker) == {rule_id(MARK), rule_id(7)}
        assert worker.stop() == 0
    assert "create it with `streamproc topics create`" in worker.log.read_text()
