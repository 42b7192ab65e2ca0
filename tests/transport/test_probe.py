"""What tells that brokers are there, and how far partitions reach; on the mock cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamproc.ops.counters import Counters, Lag
from streamproc.ops.health import Health
from streamproc.transport import probe as module
from streamproc.transport.broker_errors import BrokerErrors
from streamproc.transport.probe import Probe, is_answer
from tests.transport.harness import DEADLINE_S, fill
from tests.transport.mock_cluster import LIST_OFFSETS

PLACE = ("events", 0)


@pytest.mark.parametrize(
    ("code", "answered"),
    [
        pytest.param(KafkaError.TOPIC_AUTHORIZATION_FAILED, True, id="refused"),
        pytest.param(KafkaError.UNKNOWN_TOPIC_OR_PART, True, id="no such topic"),
        pytest.param(KafkaError._UNKNOWN_TOPIC, True, id="no such topic, from metadata"),
        pytest.param(KafkaError._TIMED_OUT, False, id="no answer in time"),
        pytest.param(KafkaError._TRANSPORT, False, id="no connection"),
        pytest.param(KafkaError._NOENT, False, id="no leader known, for nobody is there"),
        pytest.param(KafkaError._SSL, False, id="no handshake"),
    ],
)
def test_only_what_a_broker_said_is_an_answer(code, answered) -> None:
    assert is_answer(KafkaException(KafkaError(code))) is answered
    assert not is_answer(RuntimeError("ours"))


class Asking:
    """A probe of one partition, and whom it tells."""

    def __init__(self, bootstrap: str) -> None:
        self.lag = Lag()
        self.health = Health()
        self.clients = 0
        self.questions = 0
        counters = Counters(partitions={PLACE: self.lag})
        client = {"bootstrap.servers": bootstrap}
        errors = BrokerErrors(counters, client, exit_s=0)
        self.probe = Probe(client, counters, self.health, list, errors, ask_s=0.05)
        connect, ask = self.probe._connect, self.probe._ask

        def counted_connect() -> object:
            self.clients += 1
            return connect()

        def counted_ask(admin: object) -> bool:
            has_answered = ask(admin)
            self.questions += 1
            return has_answered

        self.probe._connect = counted_connect
        self.probe._ask = counted_ask

    def until(self, condition: Callable[[], object]) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end_s, "waited in vain"
            time.sleep(0.01)

    def more_questions(self, count: int) -> None:
        """Wait until so many were answered, or given up."""
        until = self.questions + count
        self.until(lambda: self.questions >= until)


@pytest.fixture
def asking(cluster, monkeypatch) -> Iterator[Asking]:
    """A probe that runs, and knows the end."""
    monkeypatch.setattr(module, "TIMEOUT_S", 1.0)
    asking = Asking(cluster.bootstrap)
    asking.probe.start()
    asking.until(lambda: asking.lag.end == 10)
    yield asking
    asking.probe.stop()
    asking.probe._thread.join(DEADLINE_S)


def test_a_broker_that_hangs_is_no_answer(cluster, asking) -> None:
    """Connected, and silent: to librdkafka the offsets are then -1001, and no error at all."""
    cluster.hang()
    asking.more_questions(1)  # one may have been on its way
    answered_s = asking.health.brokers_at_s
    asking.more_questions(2)

    assert asking.health.brokers_at_s == answered_s
    assert asking.lag.end == 10


def test_ends_that_were_not_told_are_asked_for_by_a_new_client(cluster, asking) -> None:
    """A client keeps what it knows of leaders, for minutes, though brokers say it is old."""
    fill(cluster.bootstrap, "events", 5, 1)
    asking.until(lambda: asking.lag.end == 15)
    assert asking.clients == 1
    cluster.refuse(LIST_OFFSETS, *[KafkaError.FENCED_LEADER_EPOCH] * 3)
    asking.until(lambda: asking.clients > 3)
    fill(cluster.bootstrap, "events", 5, 1)
    asking.until(lambda: asking.lag.end == 20)
