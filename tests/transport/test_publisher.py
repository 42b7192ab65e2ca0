"""The publisher: every output to its topic, in order, and nothing swallowed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from streamproc.engine.detector import Detections
from streamproc.model import Output
from streamproc.transport.faults import DeliveryFailedError
from streamproc.transport.publisher import OutputTopics, Publisher


class Producer:
    def __init__(self, fails_at: int = -1) -> None:
        self.records: list[tuple] = []
        self._fails_at = fails_at

    async def produce(self, *record) -> None:
        if len(self.records) == self._fails_at:
            raise DeliveryFailedError("refused")
        self.records.append(record)


def output(name: str) -> Output:
    return Output(name.encode(), b"{}", [("h", name.encode())])


DETECTIONS = Detections([output("a1"), output("a2")], [output("r")], [output("d")])
TOPICS = OutputTopics("alerts", "requests", "letters")


def test_each_kind_goes_to_its_topic():
    """Alerts first, then requests, then dead letters; keys and headers unchanged."""
    producer = Producer()
    asyncio.run(Publisher(SimpleNamespace(producer=producer), TOPICS).publish(DETECTIONS))
    assert producer.records == [
        ("alerts", b"a1", b"{}", [("h", b"a1")]),
        ("alerts", b"a2", b"{}", [("h", b"a2")]),
        ("requests", b"r", b"{}", [("h", b"r")]),
        ("letters", b"d", b"{}", [("h", b"d")]),
    ]


def test_refused_output_reaches_the_agent():
    """It raises, so that the batch is not acknowledged."""
    producer = Producer(fails_at=2)
    publisher = Publisher(SimpleNamespace(producer=producer), TOPICS)
    with pytest.raises(DeliveryFailedError):
        asyncio.run(publisher.publish(DETECTIONS))
    assert len(producer.records) == 2
