"""Detections to their topics.

Law of the file: outputs are queued in order and only queued; that the broker has them is known
when the producer confirms, and no offset is committed before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from streamproc.engine.detector import Detections
from streamproc.engine.trace_context import trace_id
from streamproc.model import Output
from streamproc.ops.counters import Counters, Exemplar
from streamproc.transport.canary import Canary
from streamproc.transport.letter_log import LetterLog
from streamproc.transport.producer import Outgoing

BeginSpan = Callable[[Output, int], Callable[[], None]]
"""Begins the span of an alert, at a time in milliseconds since the epoch; returns its end."""


class OutputTopics(NamedTuple):
    """Names of the topics that are written."""

    alerts: str
    context_requests: str
    dead_letters: str


class Publisher:
    """Queues detections with the producer of a Faust app.

    Args:
        app: The app.
        topics: Where to.
        counters: Get the latency of each alert, when a broker has acknowledged it.
        canary: Takes the alerts of its own events; None: there are none.
        begin_span: Begins the span of an alert; None: there are none.
    """

    def __init__(
        self,
        app: Any,
        topics: OutputTopics,
        counters: Counters,
        canary: Canary | None = None,
        begin_span: BeginSpan | None = None,
    ) -> None:
        self._app = app
        self._topics = topics
        self._counters = counters
        self._canary = canary
        self._begin_span = begin_span
        self._letter_log = LetterLog()

    async def publish(self, detections: Detections, began_ms: int) -> None:
        """Queue all outputs; waits only while the producer's queue is full.

        Args:
            detections: The outputs.
            began_ms: When they began to be worked out, milliseconds since the epoch.

        Raises:
            DeliveryFailedError: The broker has refused an output for good.
            KafkaException: An output is larger than the producer accepts.
        """
        producer = self._app.producer
        topics = self._topics
        if self._canary is not None and detections.canaries:
            self._canary.publish(producer, detections.canaries)
        for output in detections.alerts:
            acked = self._timing(output, began_ms) if output.event_ms else None
            await producer.produce(Outgoing(topics.alerts, *output[:3]), acked)
        for topic, outputs in (
            (topics.context_requests, detections.context_requests),
            (topics.dead_letters, detections.dead_letters),
        ):
            for output in outputs:
                await producer.produce(Outgoing(topic, *output[:3]))
        self._letter_log.tell(detections.dead_letters)

    def _timing(self, output: Output, began_ms: int) -> Callable[[], None]:
        """Return what is to be called when the alert is acknowledged (the producer's thread)."""
        severity = next(
            (value.decode() for name, value in output.headers if name == "severity"), ""
        )
        histogram = self._counters.detection_latency.get(severity)
        trace = trace_id(output.headers)
        end_span = None
        if self._begin_span is not None and output.place is not None:
            end_span = self._begin_span(output, began_ms)

        def acked() -> None:
            now_s = time.time()
            late_s = max(now_s - output.event_ms / 1000, 0.0)
            if histogram is not None:
                exemplar = Exemplar((output.key or b"").decode(), late_s, now_s, trace)
                histogram.observe(late_s, exemplar=exemplar)
            if end_span is not None:
                end_span()

        return acked
