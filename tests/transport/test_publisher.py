"""The publisher: every output to its topic, in order, and nothing swallowed."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from streamproc.engine.detector import Detections
from streamproc.model import Output
from streamproc.ops.counters import Counters
from streamproc.transport.faults import DeliveryFailedError
from streamproc.transport.publisher import OutputTopics, Publisher


class Producer:
    def __init__(self, fails_at: int = -1) -> None:
        self.records: list[tuple] = []
        self._fails_at = fails_at

    async def produce(self, output, on_acked=None) -> None:
        self.acked = on_acked
        if len(self.records) == self._fails_at:
            raise DeliveryFailedError("refused")
        self.records.append(output[:4])


def output(name: str) -> Output:
    return Output(name.encode(), b"{}", [("h", name.encode())])


DETECTIONS = Detections([output("a1"), output("a2")], [output("r")], [output("d")])
TOPICS = OutputTopics("alerts", "requests", "letters")


def test_each_kind_goes_to_its_topic():
    """Alerts first, then requests, then dead letters; keys and headers unchanged."""
    producer = Producer()
    app = SimpleNamespace(producer=producer)
    asyncio.run(Publisher(app, TOPICS, Counters()).publish(DETECTIONS))
    assert producer.records == [
        ("alerts", b"a1", b"{}", [("h", b"a1")]),
        ("alerts", b"a2", b"{}", [("h", b"a2")]),
        ("requests", b"r", b"{}", [("h", b"r")]),
        ("letters", b"d", b"{}", [("h", b"d")]),
    ]


def test_refused_output_reaches_the_agent():
    """It raises, so that the batch is not acknowledged."""
    producer = Producer(fails_at=2)
    publisher = Publisher(SimpleNamespace(producer=producer), TOPICS, Counters())
    with pytest.raises(DeliveryFailedError):
        asyncio.run(publisher.publish(DETECTIONS))
    assert len(producer.records) == 2


def test_latency_counts_when_the_alert_is_acknowledged():
    """From the event's time, by severity, with the alert's id; building blocks count nothing."""
    producer, counters = Producer(), Counters()
    publisher = Publisher(SimpleNamespace(producer=producer), TOPICS, counters)
    event_ms = (time.time_ns() // 1_000_000) - 400_000
    alert = Output(b"id", b"{}", [("severity", b"high")], event_ms)
    asyncio.run(publisher.publish(Detections([alert], [], [])))
    seen = counters.detection_latency["high"]
    assert sum(seen.counts) == 0
    producer.acked()

    assert sum(seen.counts) == 1
    assert seen.sum_s >= 400
    assert [exemplar.alert_id for exemplar in seen.exemplars.values()] == ["id"]
    asyncio.run(publisher.publish(Detections([alert._replace(event_ms=0)], [], [])))
    assert producer.acked is None
