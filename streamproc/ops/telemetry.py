"""Traces and metrics to an OpenTelemetry collector, by OTLP over HTTP.

A span for each alert, in the trace of the event behind it; nothing for other events. What else
the SDK and its exporter can be told (headers for a login, certificates, compression, sampling,
attributes of the resource) is told by their own environment variables, ``OTEL_...``.

Law of the file: a collector that is slow or away costs the worker nothing but spans: they wait in
a bounded queue of the SDK, and threads of their own send them. No content of an event leaves.
Imports OpenTelemetry, an optional dependency: to be imported only where it is asked for.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client.core import Metric as Family

from streamproc.model import Output
from streamproc.ops.counters import Counters
from streamproc.ops.telemetry_metrics import Period, messaging_metrics, shown_metrics

logger = logging.getLogger(__name__)

STOP_S = 5.0
"""How long a stop waits for what is still to be sent."""

Families = Callable[[], Iterable[Family]]
"""Draws all metrics, as for a scrape."""


class TelemetryOptions(NamedTuple):
    """What to send where, and as whom.

    Attributes:
        endpoint: Base address of the collector's OTLP/HTTP receiver.
        metrics_interval_s: Time between two exports of the metrics; 0: none.
        version: Version of this program.
        instance: Name of this worker, different from all others; None: a random one.
        client_id: Name of the Kafka client.
        group_id: Consumer group.
        events_topic: The topic that is read.
    """

    endpoint: str
    metrics_interval_s: float
    version: str
    instance: str | None
    client_id: str
    group_id: str
    events_topic: str


class Telemetry:
    """Sends spans from its making on, and metrics between ``start`` and ``close``."""

    def __init__(self, options: TelemetryOptions) -> None:
        self._options = options
        self._resource = Resource.create(
            {
                "service.name": "streamproc",
                "service.version": options.version,
                "service.instance.id": options.instance or str(uuid.uuid4()),
            }
        ).merge(OTELResourceDetector().detect())  # what a user sets goes first
        base = options.endpoint.rstrip("/")
        self._metrics_endpoint = f"{base}/v1/metrics"
        self._traces = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces")
        self._traces.add_span_processor(BatchSpanProcessor(spans))
        self._tracer = self._traces.get_tracer("streamproc", options.version)
        self._propagator = TraceContextTextMapPropagator()
        self._stopping = threading.Event()
        self._metrics_thread: threading.Thread | None = None
        self._attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": options.group_id,
            "messaging.client.id": options.client_id,
        }

    def begin_span(self, alert: Output, began_ms: int) -> Callable[[], None]:
        """Begin the span of an alert that has a ``place``.

        Args:
            alert: The alert.
            began_ms: When its batch began to be evaluated, milliseconds since the epoch.

        Returns:
            What ends the span, to be called from any thread; a span that is not ended (the
            alert was not acknowledged) is not sent.
        """
        if alert.place is None:
            raise ValueError("only an alert with a place has a span")
        headers = {name: value.decode("utf-8", "replace") for name, value in alert.headers}
        span = self._tracer.start_span(
            f"process {alert.place.topic}",
            context=self._propagator.extract(headers, Context()),
            kind=SpanKind.CONSUMER,
            start_time=began_ms * 1_000_000,
            attributes={
                **self._attributes,
                "messaging.destination.name": alert.place.topic,
                "messaging.destination.partition.id": str(alert.place.partition),
                "messaging.kafka.offset": alert.place.offset,
                "rule.id": headers.get("rule.id", ""),
                "kibana.alert.uuid": (alert.key or b"").decode(),
                "kibana.alert.severity": headers.get("severity", ""),
            },
        )
        return span.end

    def start(self, counters: Counters, families: Families) -> None:
        """Begin to send metrics, if there is an interval for them."""
        if not self._options.metrics_interval_s:
            return
        self._metrics_thread = threading.Thread(
            target=self._send_metrics,
            args=(counters, families),
            name="streamproc-telemetry",
            daemon=True,
        )
        self._metrics_thread.start()

    def close(self) -> None:
        """Send what is left, within a bounded time; nothing may be begun after it."""
        self._stopping.set()
        # The SDK repeats what is refused for longer than a stop may take.
        traces_thread = threading.Thread(target=self._traces.shutdown, daemon=True)
        traces_thread.start()
        end_s = time.monotonic() + STOP_S
        for thread in (traces_thread, self._metrics_thread):
            if thread is not None:
                thread.join(max(end_s - time.monotonic(), 0.0))

    def _send_metrics(self, counters: Counters, families: Families) -> None:
        exporter = OTLPMetricExporter(endpoint=self._metrics_endpoint)
        start_ns = time.time_ns()
        while not self._stopping.wait(self._options.metrics_interval_s):
            self._send(exporter, counters, families, start_ns)
        self._send(exporter, counters, families, start_ns)  # how it ended
        exporter.shutdown()

    def _send(
        self, exporter: OTLPMetricExporter, counters: Counters, families: Families, start_ns: int
    ) -> None:
        try:
            period = Period(start_ns, time.time_ns())
            group, topic = self._options.group_id, self._options.events_topic
            metrics = [
                *shown_metrics(families(), period),
                *messaging_metrics(counters, topic, group, period),
            ]
            scope = ScopeMetrics(
                InstrumentationScope("streamproc", self._options.version), metrics, ""
            )
            # The exporter logs what it cannot send; the next time brings the same, and more.
            exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))
        except Exception:
            logger.exception("the metrics could not be sent")
