"""Sending synthetic events and measuring their return; the producer is the test's."""

from __future__ import annotations

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException

from streamproc.model import Output
from streamproc.ops.counters import Counters, Lag
from streamproc.ops.health import Health
from streamproc.transport.canary import CANARY_HEADER, Canary

NOW_S = 1_000_000.0


class Producer:
    """Keeps what is produced with its report."""

    def __init__(self, error: Exception | None = None) -> None:
        self.records: list[tuple] = []
        self._error = error

    def produce_aside(self, *record) -> None:
        if self._error is not None:
            raise self._error
        self.records.append(record)


class Setup:
    def __init__(self, partitions=(2, 5), error: Exception | None = None) -> None:
        self.counters = Counters()
        self.counters.partitions = {("events", number): Lag() for number in partitions}
        self.health = Health(clock=lambda: 100.0)
        self.health.beat()
        self.health.has_assignment = self.health.is_producer_up = True
        self.health.brokers_at_s = 100.0
        self.canary = Canary(self.counters, self.health, "events", "canary", lambda: NOW_S)
        self.producer = Producer(error)

    def send(self) -> None:
        self.canary.send(self.producer)


def test_partitions_take_turns():
    """Each event bears the token that the rule asks for, a header, and a number."""
    setup = Setup()
    for _ in range(3):
        setup.send()
    records = setup.producer.records

    assert [(topic, partition) for topic, _, _, partition, _ in records] == [
        ("events", 5),
        ("events", 2),
        ("events", 5),
    ]
    assert all(headers == [CANARY_HEADER] for _, _, headers, _, _ in records)
    sent = [orjson.loads(value)["streamproc"]["canary"] for _, value, *_ in records]
    assert [one["number"] for one in sent] == [1, 2, 3]
    assert sent[0]["token"] in setup.canary.rule.query_text
    assert setup.counters.canary.sent == 3


def test_workers_have_tokens_of_their_own():
    assert Setup().canary.rule.query_text != Setup().canary.rule.query_text


def test_received_when_its_alert_is_acknowledged():
    """Latency from the event's time; the alert goes to the canary's own topic."""
    setup = Setup()
    alert = Output(b"id", b"{}", [], int(NOW_S * 1000) - 250)
    setup.canary.publish(setup.producer, [alert])
    [(topic, value, _, _, report)] = setup.producer.records
    assert (topic, value) == ("canary", b"{}")
    assert setup.counters.canary.received == 0
    report(None, None)

    counts = setup.counters.canary
    assert (counts.received, counts.last_seen_s, counts.latency_s) == (1, NOW_S, 0.25)


@pytest.mark.parametrize("step", ["event", "alert"])
def test_a_refusal_is_counted_and_nothing_else(step):
    """The principal may not write there: the worker goes on."""
    setup = Setup()
    if step == "event":
        setup.send()
    else:
        setup.canary.publish(setup.producer, [Output(b"id", b"{}", [], 1)])
    setup.producer.records[0][4](KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), None)

    assert setup.counters.canary.failed == {"authorization": 1}
    assert setup.counters.canary.received == 0
    assert not setup.counters.produce_errors


@pytest.mark.parametrize(
    "error", [BufferError(), KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC))]
)
def test_what_cannot_be_queued_is_not_sent(error):
    setup = Setup(error=error)
    setup.send()

    assert setup.counters.canary.failed == {"other": 1}
    assert setup.counters.canary.sent == 0


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_a_topic_that_is_not_there_is_told_with_the_way_out(code, caplog):
    """It is made only where the canary was set when the topics were."""
    Setup(error=KafkaException(KafkaError(code))).send()

    assert "cannot write to events" in caplog.text
    assert "streamproc topics create makes it" in caplog.text


@pytest.mark.parametrize("reason", ["standby", "brokers away", "held back", "stopping"])
def test_nothing_is_sent_in_vain(reason):
    """A standby has no partition to send to; an outage would only pile canaries up."""
    setup = Setup(partitions=() if reason == "standby" else (0,))
    if reason == "brokers away":
        setup.health.brokers_at_s = 0.0
    setup.health.is_held_back = reason == "held back"
    if reason == "stopping":
        setup.health.rest()
    setup.send()

    assert setup.producer.records == []
