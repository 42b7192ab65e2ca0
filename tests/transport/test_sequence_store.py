"""The store of sequence state: what is written and when, and what a restore makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import confluent_kafka
import orjson
import pytest

from streamproc.engine.sequence_budget import SequenceLimits
from streamproc.engine.sequence_rules import Candidate, SequenceRules
from streamproc.engine.sequence_snapshots import unpack_scope
from streamproc.engine.sequence_states import SequenceStates
from streamproc.eql.event import Event
from streamproc.errors import ConfigError
from streamproc.ops.counters import Counters
from streamproc.transport import sequence_store
from streamproc.transport.sequence_store import SequenceStore, StateTopic
from tests.engine.programs import NOW_MS, PAIR, document, reader, record, ruleset
from tests.transport.harness import until
from tests.transport.mock_cluster import MockCluster

PLACE, OTHER = ("events", 0), ("events", 1)
TOPIC = StateTopic("state", "events", "group")
RULES = SequenceRules(ruleset(PAIR).rules)
EVERY_STEP = Candidate(0, tuple(range(len(RULES.rules[0].queries))))


class Producer:
    """Takes records, and does what it is told to in the middle."""

    def __init__(self) -> None:
        self.records: list[tuple] = []

    async def produce(self, output) -> None:
        self.records.append(output[:5])

    def scopes(self) -> list[str]:
        return sorted(orjson.loads(record[1])[1] for record in self.records)


class Worker:
    """A store with states, a clock and outputs that are delivered or not."""

    def __init__(self, bootstrap: str = "", **options) -> None:
        self.now_s = 0.0
        self.delivers = True
        self.asked = 0
        self.meanwhile = lambda: None
        self.producer = Producer()
        self.counters = Counters()
        self.states = SequenceStates(
            RULES.machines, SequenceLimits(lateness_ms=30_000), reader(RULES)
        )
        client = {"bootstrap.servers": bootstrap, "log_level": 0}
        self.store = SequenceStore(
            self.states,
            options.pop("topic", TOPIC),
            client,
            self.counters,
            10.0,
            lambda: self.now_s,
        )

    def feed(self, *hosts: str, partition=PLACE, start: int = 0) -> None:
        for offset, host in enumerate(hosts, start):
            event = document(host={"id": host})
            sent = record(event, offset)._replace(partition=partition[1])
            for offer in RULES.offers(Event(event), sent, (EVERY_STEP,), NOW_MS, pytest.fail):
                self.states.of(partition).offer(offer.scope, offer.arrival)

    def write(self, *partitions) -> bool:
        return asyncio.run(self.store.write(partitions or (PLACE,), self.producer, self._delivered))

    async def _delivered(self) -> bool:
        self.asked += 1
        self.meanwhile()
        return self.delivers


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster({"state": 2})
    yield cluster
    cluster.close()


def put(cluster: MockCluster, records: list[tuple]) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
    for topic, key, value, headers, partition in records:
        producer.produce(topic, value, key, partition, headers=list(headers) or None)
    assert producer.flush(30) == 0


def test_changed_scopes_are_written_once():
    """Key, partition and offset of each; a second write has nothing to write or to ask."""
    worker = Worker()
    worker.feed("a", "b", "a", partition=OTHER)
    assert worker.write(OTHER)
    [(topic, key, value, headers, partition)] = [
        item for item in worker.producer.records if b"host a" in item[1]
    ]
    assert (topic, partition) == ("state", 1)
    assert orjson.loads(key)[0] == "group"
    assert headers == (("offset", b"2"),)
    assert unpack_scope(value).waiting() == 2
    assert len(worker.producer.records) == 2
    assert worker.asked == 1
    assert worker.write(OTHER)
    assert (len(worker.producer.records), worker.asked) == (2, 1)


def test_only_what_changed_is_written_again():
    """One host of three."""
    worker = Worker()
    worker.feed("a", "b", "c")
    worker.write()
    worker.producer.records.clear()
    worker.feed("b", start=3)
    worker.write()
    assert [name.rpartition(" ")[2] for name in worker.producer.scopes()] == ["b"]


def test_nothing_is_written_before_the_outputs_are_delivered():
    """Then it is not lost: the next write has it."""
    worker = Worker()
    worker.feed("a")
    worker.delivers = False
    assert not worker.write()
    assert not worker.producer.records
    worker.delivers = True
    assert worker.write()
    assert len(worker.producer.records) == 1


def test_a_later_batch_is_not_in_a_snapshot():
    """What comes while the outputs are confirmed waits for its own outputs."""
    worker = Worker()
    worker.feed("a")
    worker.meanwhile = lambda: worker.feed("a", start=1)
    assert worker.write()
    assert worker.producer.records[0][3] == (("offset", b"0"),)
    assert worker.states.has_changes()


def test_state_that_is_ahead_of_its_outputs_is_not_written(monkeypatch):
    """A batch whose outputs were never queued, as after an error: no write, so no commit."""
    monkeypatch.setattr(sequence_store, "SETTLE_TIMEOUT_S", 0.02)
    worker = Worker()
    worker.feed("a")
    with pytest.raises(LookupError), worker.states.moving(PLACE):
        raise LookupError
    assert not worker.write()
    assert not worker.producer.records
    assert worker.states.has_changes()


def test_partitions_given_up_meanwhile_are_not_written():
    """Their next owner may be further on already; the others are written."""
    worker = Worker()
    worker.feed("a")
    worker.feed("b", partition=OTHER)
    worker.meanwhile = lambda: worker.store.give_up([PLACE])
    assert worker.write(PLACE, OTHER)
    assert [record[4] for record in worker.producer.records] == [1]


def test_partitions_taken_back_meanwhile_are_not_written():
    """Given up and restored while the outputs were confirmed: the snapshot is of the old state."""
    worker = Worker()
    worker.feed("a")

    def lose_and_regain() -> None:
        worker.store.give_up([PLACE])
        worker.states.restore(PLACE, {})

    worker.meanwhile = lose_and_regain
    assert worker.write()
    assert not worker.producer.records


def test_other_partitions_are_left_alone():
    """What is not asked for stays changed."""
    worker = Worker()
    worker.feed("a")
    assert worker.write(OTHER)
    assert not worker.producer.records
    assert worker.states.has_changes()


def test_writing_is_due_after_the_interval_or_when_there_is_nothing_to_write():
    """Offsets wait for that, so that what they stand for is kept."""
    worker = Worker()
    assert worker.store.is_due()
    worker.feed("a")
    assert not worker.store.is_due()
    worker.now_s = 10.0
    assert worker.store.is_due()
    worker.write()
    worker.feed("a", start=1)
    assert not worker.store.is_due()


def test_what_is_too_large_is_forgotten_and_counted(monkeypatch):
    """Not left behind as it was before: outdated state would invent sequences."""
    monkeypatch.setattr(sequence_store, "SNAPSHOT_BYTES_MAX", 10)
    worker = Worker()
    worker.feed("a")
    worker.write()
    assert [record[2] for record in worker.producer.records] == [None]
    assert worker.counters.state_errors == {"too_large": 1}
    assert worker.counters.sequence_state_bytes == 0


def test_restore_gives_what_was_written(cluster):
    """By another worker: the same scopes, and events that they include change nothing."""
    first, second = Worker(), Worker(cluster.bootstrap)
    first.feed("a", "b", "a")
    first.feed("c", partition=OTHER)
    first.write(PLACE, OTHER)
    put(cluster, first.producer.records)
    asyncio.run(second.store.restore([PLACE, OTHER, ("other", 7)]))
    for place in (PLACE, OTHER):
        old, new = first.states.of(place), second.states.of(place)
        assert {name: new.scope(name) for name in new.scopes()} == {
            name: old.scope(name) for name in old.scopes()
        }
    packed = [record[2] for record in first.producer.records]
    assert first.counters.sequence_state_bytes == sum(map(len, packed)) > 0
    assert second.counters.sequence_state_bytes == first.counters.sequence_state_bytes
    assert second.states.budget.waiting == 4
    assert sum(second.counters.state_restore.counts) == 1
    second.feed("a", "b", "a")
    assert second.states.budget.waiting == 4
    assert not second.states.has_changes()


def test_restore_takes_the_last_of_each_and_minds_tombstones(cluster):
    """A later snapshot replaces an earlier one; null forgets; a stale one counts for nothing."""
    first, second = Worker(), Worker(cluster.bootstrap)
    first.feed("a", "b")
    first.write()
    first.feed("a", start=2)
    first.write()
    stale = next(item for item in first.producer.records if b"host a" in item[1])
    gone = next(item for item in first.producer.records if b"host b" in item[1])
    put(cluster, [*first.producer.records, stale, ("state", gone[1], None, (), 0)])
    asyncio.run(second.store.restore([PLACE]))
    state = second.states.of(PLACE)
    [name] = state.scopes()
    assert name.endswith("host a")
    assert state.scope(name).offset == 2
    assert second.counters.state_errors == {"stale": 1}


def test_damaged_snapshots_cost_one_scope_each(cluster):
    """Counted; the others are restored, and records of other groups are not ours."""
    first, second = Worker(), Worker(cluster.bootstrap)
    first.feed("a", "b")
    first.write()
    good, bad = first.producer.records
    other = orjson.dumps(["another group", "x"])
    put(cluster, [
        good, (*bad[:2], b"\x01damaged", (), 0), ("state", other, b"theirs", (), 0),
        ("state", b"no key of ours", b"?", (), 0),
    ])  # fmt: skip
    asyncio.run(second.store.restore([PLACE]))
    assert len(list(second.states.of(PLACE).scopes())) == 1
    assert second.counters.state_errors == {"unreadable": 2}


def test_restore_waits_for_brokers_that_are_away(cluster, monkeypatch):
    """Down when it begins, asked again until they are back: the state is there all the same."""
    monkeypatch.setattr(sequence_store, "ASK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(sequence_store, "RETRY_PAUSE_S", 0.1)
    first, second = Worker(), Worker(cluster.bootstrap)
    first.feed("a", "b")
    first.write()
    put(cluster, first.producer.records)

    async def run() -> None:
        cluster.down()
        asked = _count_calls(monkeypatch, second.store, "_read")
        restore = asyncio.ensure_future(second.store.restore([PLACE]))
        await until(lambda: len(asked) == 3)
        assert not restore.done()
        cluster.up()
        await restore

    asyncio.run(run())
    assert len(list(second.states.of(PLACE).scopes())) == 2


def test_a_cancelled_restore_asks_no_more(cluster, monkeypatch):
    """The partitions went to somebody else while brokers were away: the thread ends, too."""
    monkeypatch.setattr(sequence_store, "ASK_TIMEOUT_S", 0.3)
    worker = Worker(cluster.bootstrap)
    cluster.down()

    async def run() -> None:
        asked = _count_calls(monkeypatch, worker.store, "_read")
        restore = asyncio.ensure_future(worker.store.restore([PLACE]))
        await until(lambda: asked)
        restore.cancel()
        with pytest.raises(asyncio.CancelledError):
            await restore

    asyncio.run(run())  # ends when the thread does
    assert not list(worker.states.of(PLACE).scopes())


def _count_calls(monkeypatch, store: SequenceStore, name: str) -> list[object]:
    calls: list[object] = []
    method = getattr(store, name)

    def count(*args):
        calls.append(args)
        return method(*args)

    monkeypatch.setattr(store, name, count)
    return calls


@pytest.mark.parametrize(
    ("topic", "place", "words"),
    [("none", 0, "topic none .* does not exist"), ("state", 5, "topic state .* no partition 5")],
)
def test_missing_topic_says_how_to_make_it(cluster, topic, place, words):
    """The setting, the partitions and the command."""
    worker = Worker(cluster.bootstrap, topic=StateTopic(topic, "events", "group"))
    with pytest.raises(ConfigError, match=words + ".*`streamproc topics create`"):
        asyncio.run(worker.store.restore([("events", place)]))


def test_partition_that_begins_anew_loses_its_state_and_says_so():
    """Its snapshots are deleted with the next write: their offsets mean nothing any more."""
    worker = Worker()
    worker.feed("a", "b", start=500)
    worker.write()
    worker.producer.records.clear()
    worker.store.begin_anew(PLACE)
    worker.feed("a")
    assert worker.counters.state_errors == {"began_anew": 2}
    worker.write()
    assert sorted(item[2] is None for item in worker.producer.records) == [False, True]
    assert worker.states.budget.waiting == 1
