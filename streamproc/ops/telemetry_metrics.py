"""The metrics as OTLP carries them: those of ``/metrics`` by the same names, and OpenTelemetry's.

The names of the latter are OpenTelemetry's conventions for messaging, which are still in
development there: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/.

Law of the file: it only reads, like a scrape; nothing is counted twice on the hot path.
Imports OpenTelemetry, an optional dependency: to be imported by ``telemetry`` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramPoints
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Sample

from streamproc.ops.counters import Counters, Histogram

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_UNITS = (("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1"))
# Not every histogram knows its least and greatest value; the protocol lets them be left out.
_UNKNOWN: Any = None


class Period(NamedTuple):
    """From the start of counting until now, nanoseconds since the epoch."""

    start_ns: int
    now_ns: int


def shown_metrics(families: Iterable[Family], period: Period) -> Iterator[Metric]:
    """Yield the metrics of ``/metrics``, with the names that its samples have."""
    for family in families:
        if family.type == "histogram":
            observed = _histogram_points(family.samples, period)
            yield _histogram(family.name, family.documentation, observed)
            continue
        for name, samples in _by_name(family.samples).items():
            points = [_number(sample.value, sample.labels, period) for sample in samples]
            if family.type != "counter":
                yield Metric(name, family.documentation, _unit(name), Gauge(points))
            elif name.endswith("_total"):
                total = Sum(points, _CUMULATIVE, is_monotonic=True)
                yield Metric(name, family.documentation, _unit(name[: -len("_total")]), total)


def messaging_metrics(
    counters: Counters, events_topic: str, group_id: str, period: Period
) -> Iterator[Metric]:
    """Yield the metrics by which OpenTelemetry knows any messaging client."""
    system = {"messaging.system": "kafka"}
    consumer = system | {"messaging.consumer.group.name": group_id}
    consumed = [
        _number(
            count,
            consumer
            | {
                "messaging.operation.name": "poll",
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
            },
            period,
        )
        for (topic, partition), count in sorted(dict(counters.records_consumed).items())
    ]
    yield Metric(
        "messaging.client.consumed.messages",
        "Records read from Kafka.",
        "{message}",
        Sum(consumed, _CUMULATIVE, is_monotonic=True),
    )
    processed = consumer | {
        "messaging.operation.name": "process",
        "messaging.destination.name": events_topic,
    }
    yield _histogram(
        "messaging.process.duration",
        "Time that the evaluation of a batch took.",
        [_observed(counters.phases["evaluate"], processed, period)],
    )
    sent = [
        _observed(
            histogram,
            system
            | {
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": topic,
            },
            period,
        )
        for topic, histogram in sorted(dict(counters.produce_seconds).items())
    ]
    settled = consumer | {
        "messaging.operation.name": "commit",
        "messaging.operation.type": "settle",
        "messaging.destination.name": events_topic,
    }
    yield _histogram(
        "messaging.client.operation.duration",
        "Time until the brokers acknowledged a record, or a commit.",
        [*sent, _observed(counters.phases["commit"], settled, period)],
    )


def _by_name(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.name, []).append(sample)
    return found


def _number(value: float, attributes: Mapping[str, str], period: Period) -> NumberDataPoint:
    return NumberDataPoint(dict(attributes), period.start_ns, period.now_ns, float(value))


def _histogram(name: str, meaning: str, points: list[HistogramDataPoint]) -> Metric:
    return Metric(name, meaning, "s", HistogramPoints(points, _CUMULATIVE))


def _observed(
    histogram: Histogram, attributes: Mapping[str, str], period: Period
) -> HistogramDataPoint:
    cells, sum_s = list(histogram.counts), histogram.sum_s
    return HistogramDataPoint(
        dict(attributes), *period, sum(cells), sum_s, cells, histogram.bounds, _UNKNOWN, _UNKNOWN
    )


def _histogram_points(samples: Iterable[Sample], period: Period) -> list[HistogramDataPoint]:
    """Read the points back from a family: a bucket there holds all that are below it, too."""
    series: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels = tuple(item for item in sorted(sample.labels.items()) if item[0] != "le")
        series.setdefault(labels, []).append(sample)
    return [_point(dict(labels), found, period) for labels, found in series.items()]


def _point(labels: dict[str, str], samples: list[Sample], period: Period) -> HistogramDataPoint:
    buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
    sums = [sample.value for sample in samples if sample.name.endswith("_sum")]
    totals = [int(bucket.value) for bucket in buckets]
    cells = [total - below for below, total in zip([0, *totals], totals, strict=False)]
    bounds = [float(bucket.labels["le"]) for bucket in buckets[:-1]]
    exemplars = [
        Exemplar(dict(shown.labels), shown.value, int(float(shown.timestamp or 0) * 1e9))
        for bucket in buckets
        if (shown := bucket.exemplar) is not None
    ]
    return HistogramDataPoint(
        labels, *period, totals[-1], sums[0], cells, bounds, _UNKNOWN, _UNKNOWN, exemplars
    )


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")
