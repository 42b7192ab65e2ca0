"""Detections to their topics.

Law of the file: outputs are queued in order and only queued; that the broker has them is known
when the producer confirms, and no offset is committed before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamproc.engine.detector import Detections


class OutputTopics(NamedTuple):
    """Names of the topics that are written."""

    alerts: str
    context_requests: str
    dead_letters: str


class Publisher:
    """Queues detections with the producer of a Faust app."""

    def __init__(self, app: Any, topics: OutputTopics) -> None:
        self._app = app
        self._topics = topics

    async def publish(self, detections: Detections) -> None:
        """Queue all outputs; waits only while the producer's queue is full.

        Raises:
            DeliveryFailedError: The broker has refused an output for good.
            KafkaException: An output is larger than the producer accepts.
        """
        producer = self._app.producer
        topics = self._topics
        for topic, outputs in (
            (topics.alerts, detections.alerts),
            (topics.context_requests, detections.context_requests),
            (topics.dead_letters, detections.dead_letters),
        ):
            for output in outputs:
                await producer.produce(topic, output.key, output.value, output.headers)
