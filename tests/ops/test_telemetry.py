"""Traces and metrics by OTLP, as a collector receives them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.model import Output, Place
from streamproc.ops.collector import StreamprocCollector, metrics_registry
from streamproc.ops.counters import Exemplar
from streamproc.ops.telemetry import Telemetry, TelemetryOptions
from tests.ops.otlp_receiver import Receiver, attributes
from tests.ops.test_metrics import FACTS, busy_counters

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NOW_MS = 1_800_000_000_000
OPTIONS = TelemetryOptions(
    endpoint="",
    metrics_interval_s=0,
    version="1.2.3",
    instance="worker-0",
    client_id="client",
    group_id="group",
    events_topic="events",
)


@pytest.fixture
def receiver(monkeypatch):
    for name in ("OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    with Receiver() as listening:
        yield listening


def alert(*headers):
    named = [("host.id", b"h1"), ("rule.id", b"r-1"), ("severity", b"high"), *headers]
    return Output(b"a1", b'{"secret": 1}', named, NOW_MS - 500, Place("events", 7, 4_711))


def sent_spans(receiver, *alerts):
    """The spans of some alerts that were acknowledged, as they arrive."""
    telemetry = Telemetry(OPTIONS._replace(endpoint=receiver.address))
    for output in alerts:
        telemetry.begin_span(output, NOW_MS)()
    telemetry.close()
    return receiver.spans()


def test_span_of_an_alert_stands_in_the_trace_of_its_event(receiver):
    """With the rule, the alert's id and the record's place, and nothing of what the event says."""
    context = ("traceparent", f"00-{TRACE}-{PARENT}-01".encode()), ("tracestate", b"a=1")
    [(span, resource)] = sent_spans(receiver, alert(*context))

    assert span.name == "process events"
    assert span.kind == span.SPAN_KIND_CONSUMER
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.trace_state == "a=1"
    assert span.start_time_unix_nano == NOW_MS * 1_000_000
    assert span.end_time_unix_nano > 0
    assert attributes(span) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": "group",
        "messaging.client.id": "client",
        "messaging.destination.name": "events",
        "messaging.destination.partition.id": "7",
        "messaging.kafka.offset": 4_711,
        "rule.id": "r-1",
        "kibana.alert.uuid": "a1",
        "kibana.alert.severity": "high",
    }
    assert (
        attributes(resource).items()
        >= {
            "service.name": "streamproc",
            "service.version": "1.2.3",
            "service.instance.id": "worker-0",
        }.items()
    )


def test_event_without_a_trace_begins_one(receiver):
    """Two alerts, two traces."""
    (one, _), (other, _) = sent_spans(receiver, alert(), alert())

    assert one.parent_span_id == other.parent_span_id == b""
    assert one.trace_id != other.trace_id


def test_unsampled_trace_gets_no_span(receiver):
    """Whoever began the trace decided that it is not recorded."""
    unsampled = ("traceparent", f"00-{TRACE}-{PARENT}-00".encode())
    spans = sent_spans(receiver, alert(unsampled), alert())

    assert len(spans) == 1
    assert spans[0][0].trace_id.hex() != TRACE


def test_alert_that_is_not_acknowledged_has_no_span(receiver):
    """Its batch is read again, and the alert is written then."""
    telemetry = Telemetry(OPTIONS._replace(endpoint=receiver.address))
    telemetry.begin_span(alert(), NOW_MS)
    telemetry.close()

    assert receiver.spans() == []


def test_resource_and_headers_are_the_users_to_set(receiver, monkeypatch):
    """By OpenTelemetry's own environment variables; they go before what we say."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "detections")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    [(_, resource)] = sent_spans(receiver, alert())

    assert attributes(resource)["service.name"] == "detections"
    assert attributes(resource)["deployment.environment.name"] == "lab"
    assert receiver.headers["authorization"] == "Bearer abc"


def sent_metrics(receiver, counters, interval_s=3_600):
    """The metrics as they arrive: one export at the end."""
    collector = StreamprocCollector(counters, FACTS)
    options = OPTIONS._replace(endpoint=receiver.address + "/", metrics_interval_s=interval_s)
    telemetry = Telemetry(options)
    telemetry.start(counters, collector.collect)
    telemetry.close()
    return receiver.metrics(), metrics_registry(collector)


def test_metrics_are_those_of_the_page(receiver):
    """Every series of /metrics that is ours, with its labels and its value."""
    counters = busy_counters()
    found, registry = sent_metrics(receiver, counters)
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    ours = [family for family in families if family.name.startswith("streamproc_")]
    moving = {"streamproc_event_loop_lag_seconds", "streamproc_consumer_lag_seconds"}
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in ours
        if family.name not in moving
        for sample in family.samples
        if not sample.name.endswith("_created")
    }

    assert len(expected) > 200
    sent = dict(series(found))
    assert {key: sent.get(key) for key in expected} == expected


def series(found):
    """Each series of the metrics, named and labelled as Prometheus does."""
    for name, metric in found.items():
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            labels = frozenset(attributes(point).items())
            if kind != "histogram":
                yield (name, labels), point.as_double
                continue
            yield (f"{name}_count", labels), point.count
            yield (f"{name}_sum", labels), point.sum
            total = 0
            bounds = [*map(str, point.explicit_bounds), "+Inf"]
            for bound, count in zip(bounds, point.bucket_counts, strict=True):
                total += count
                yield (f"{name}_bucket", labels | {("le", bound)}), total


def test_metrics_of_the_messaging_conventions(receiver):
    """By OpenTelemetry's names and units, from the same counts."""
    counters = busy_counters()
    counters.records_consumed.clear()
    counters.records_consumed["events", 3] = 41
    counters.phases["evaluate"].observe(0.002)
    counters.phases["commit"].observe(0.2)
    found, _ = sent_metrics(receiver, counters)
    consumed = found["messaging.client.consumed.messages"]
    process = found["messaging.process.duration"]
    operations = found["messaging.client.operation.duration"]

    assert (consumed.unit, process.unit, operations.unit) == ("{message}", "s", "s")
    assert consumed.sum.is_monotonic
    [point] = consumed.sum.data_points
    assert point.as_double == 41
    assert attributes(point) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "poll",
        "messaging.destination.name": "events",
        "messaging.destination.partition.id": "3",
        "messaging.consumer.group.name": "group",
    }
    [evaluated] = process.histogram.data_points
    assert evaluated.count == sum(counters.phases["evaluate"].counts)
    assert attributes(evaluated)["messaging.operation.name"] == "process"
    durations = {
        (
            attributes(point)["messaging.operation.name"],
            attributes(point)["messaging.destination.name"],
        ): point.count
        for point in operations.histogram.data_points
    }
    assert durations == {
        ("commit", "events"): sum(counters.phases["commit"].counts),
        **{("send", topic): sum(h.counts) for topic, h in counters.produce_seconds.items()},
    }
    assert counters.produce_seconds


def test_exemplars_travel_with_the_latency(receiver):
    """The alert's id and that of its trace."""
    counters = busy_counters()
    counters.detection_latency["low"].observe(0.3, exemplar=Exemplar("a-2", 0.3, 1_700.5, TRACE))
    found, _ = sent_metrics(receiver, counters)
    points = found["streamproc_detection_latency_seconds"].histogram.data_points
    [low] = [point for point in points if attributes(point)["severity"] == "low"]
    [exemplar] = low.exemplars

    assert (exemplar.as_double, exemplar.time_unix_nano) == (0.3, 1_700_500_000_000)
    named = {item.key: item.value.string_value for item in exemplar.filtered_attributes}
    assert named == {"alert_id": "a-2", "trace_id": TRACE}


def test_metrics_come_at_an_interval(receiver):
    """Without an end of the worker, too."""
    counters = busy_counters()
    telemetry = Telemetry(OPTIONS._replace(endpoint=receiver.address, metrics_interval_s=0.05))
    telemetry.start(counters, StreamprocCollector(counters, FACTS).collect)
    receiver.wait("/v1/metrics")
    telemetry.close()

    assert "streamproc_events_processed_total" in receiver.metrics()


def test_no_interval_sends_no_metrics(receiver):
    """Traces alone: Prometheus may have the metrics already."""
    counters = busy_counters()
    telemetry = Telemetry(OPTIONS._replace(endpoint=receiver.address))
    telemetry.start(counters, StreamprocCollector(counters, FACTS).collect)
    telemetry.begin_span(alert(), NOW_MS)()
    telemetry.close()

    assert len(receiver.spans()) == 1
    with pytest.raises(IndexError):
        receiver.metrics()


def test_collector_that_is_away_holds_up_no_stop(caplog):
    """The stop ends, spans are given up, and the log says so."""
    with Receiver() as gone:
        address = gone.address
    counters = busy_counters()
    telemetry = Telemetry(OPTIONS._replace(endpoint=address, metrics_interval_s=3_600))
    telemetry.start(counters, StreamprocCollector(counters, FACTS).collect)
    telemetry.begin_span(alert(), NOW_MS)()
    telemetry.close()

    wait_until = time.monotonic() + 60
    while not any("export" in line.getMessage() for line in caplog.records):
        assert time.monotonic() < wait_until, "the log says nothing"
        time.sleep(0.05)


def test_nothing_of_opentelemetry_is_imported_unless_asked_for():
    """It is an optional dependency, and takes its time to be imported."""
    program = (
        "import sys, streamproc.app, streamproc.cli.worker, streamproc.transport.app;"
        "sys.exit(any(name.split('.')[0] == 'opentelemetry' for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
