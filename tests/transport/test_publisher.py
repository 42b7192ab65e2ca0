"""The publisher: every output to its topic, in order, and nothing swallowed."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from streamproc.engine.dead_letters import dead_letter
from streamproc.engine.detector import Detections
from streamproc.model import Output, Place, Record
from streamproc.ops.counters import Counters
from streamproc.transport.faults import DeliveryFailedError
from streamproc.transport.publisher import OutputTopics, Publisher


class Producer:
    def __init__(self, fails_at: int = -1) -> None:
        self.records: list[tuple] = []
        self._fails_at = fails_at
        self.alert_acked = None

    async def produce(self, output, on_acked=None) -> None:
        self.acked = on_acked
        self.alert_acked = on_acked or self.alert_acked
        if len(self.records) == self._fails_at:
            raise DeliveryFailedError("refused")
        self.records.append(output[:4])


def output(name: str) -> Output:
    return Output(name.encode(), b"{}", [("h", name.encode())])


RECORD = Record(b"{", "events", 0, 41, 0, [("h", b"d")])
LETTER = dead_letter(RECORD, "json", "not JSON", "digest", 10_000)
DETECTIONS = Detections([output("a1"), output("a2")], [output("r")], [LETTER])
NOW_MS = 1_800_000_000_000
TOPICS = OutputTopics("alerts", "requests", "letters")


def test_each_kind_goes_to_its_topic():
    """Alerts first, then requests, then dead letters; keys and headers unchanged."""
    producer = Producer()
    app = SimpleNamespace(producer=producer)
    asyncio.run(Publisher(app, TOPICS, Counters()).publish(DETECTIONS, NOW_MS))
    assert producer.records == [
        ("alerts", b"a1", b"{}", [("h", b"a1")]),
        ("alerts", b"a2", b"{}", [("h", b"a2")]),
        ("requests", b"r", b"{}", [("h", b"r")]),
        ("letters", b"events:0:41", b"{", LETTER.headers),
    ]


def test_refused_output_reaches_the_agent():
    """It raises, so that the batch is not acknowledged."""
    producer = Producer(fails_at=2)
    publisher = Publisher(SimpleNamespace(producer=producer), TOPICS, Counters())
    with pytest.raises(DeliveryFailedError):
        asyncio.run(publisher.publish(DETECTIONS, NOW_MS))
    assert len(producer.records) == 2


def test_latency_counts_when_the_alert_is_acknowledged():
    """From the event's time, by severity, with the alert's id; building blocks count nothing."""
    producer, counters = Producer(), Counters()
    publisher = Publisher(SimpleNamespace(producer=producer), TOPICS, counters)
    event_ms = (time.time_ns() // 1_000_000) - 400_000
    trace = ("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")
    alert = Output(b"id", b"{}", [("severity", b"high"), trace], event_ms)
    asyncio.run(publisher.publish(Detections([alert], [], []), NOW_MS))
    seen = counters.detection_latency["high"]
    assert sum(seen.counts) == 0
    producer.acked()

    assert sum(seen.counts) == 1
    assert seen.sum_s >= 400
    (exemplar,) = seen.exemplars.values()
    assert (exemplar.alert_id, exemplar.trace_id) == ("id", "1" * 32)
    asyncio.run(publisher.publish(Detections([alert._replace(event_ms=0)], [], []), NOW_MS))
    assert producer.acked is None


def test_span_ends_when_the_alert_is_acknowledged():
    """It begins with the evaluation; what is not measured, such as a building block, has none."""
    producer, spans = Producer(), []

    def begin_span(output, began_ms):
        spans.append(("begun", output.key, began_ms))
        return lambda: spans.append(("ended", output.key))

    app = SimpleNamespace(producer=producer)
    publisher = Publisher(app, TOPICS, Counters(), begin_span=begin_span)
    alert = output("a")._replace(event_ms=1, place=Place("events", 0, 1))
    asyncio.run(publisher.publish(DETECTIONS._replace(alerts=[output("block"), alert]), NOW_MS))
    assert spans == [("begun", b"a", NOW_MS)]
    producer.alert_acked()

    assert spans == [("begun", b"a", NOW_MS), ("ended", b"a")]
