"""Counters as Prometheus' metric families, zeros included.

Law of the file: what may be written meanwhile is copied in one step first (``dict``, ``list``), so
that a worker that goes on counting cannot disturb a scrape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar as PrometheusExemplar

from streamproc.ops.counters import Histogram, Partition


def counter(
    name: str,
    meaning: str,
    label: str,
    counts: Mapping[str, int],
    always: Iterable[str] = (),
) -> CounterMetricFamily:
    """A counter with one label; ``always`` names the label values that exist from the start."""
    family = CounterMetricFamily(name, meaning, labels=(label,))
    for value, count in sorted((dict.fromkeys(always, 0) | dict(counts)).items()):
        family.add_metric((value,), count)
    return family


def counter_of_pairs(
    name: str,
    meaning: str,
    labels: tuple[str, str],
    counts: Mapping[tuple[str, str], int],
    always: Iterable[tuple[str, str]] = (),
) -> CounterMetricFamily:
    """A counter with two labels; ``always`` names the pairs that exist from the start."""
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, count in sorted((dict.fromkeys(always, 0) | dict(counts)).items()):
        family.add_metric(values, count)
    return family


def counter_by_partition(
    name: str, meaning: str, counts: Mapping[Partition, int]
) -> CounterMetricFamily:
    """A counter with the labels topic and partition."""
    family = CounterMetricFamily(name, meaning, labels=("topic", "partition"))
    for (topic, partition), count in sorted(dict(counts).items()):
        family.add_metric((topic, str(partition)), count)
    return family


def histogram(name: str, meaning: str, observed: Histogram) -> HistogramMetricFamily:
    """A histogram without labels."""
    family = HistogramMetricFamily(name, meaning)
    _add(family, (), observed)
    return family


def histograms(
    name: str, meaning: str, label: str, observed: Mapping[str, Histogram]
) -> HistogramMetricFamily:
    """A histogram with one label."""
    family = HistogramMetricFamily(name, meaning, labels=(label,))
    for value, one in sorted(dict(observed).items()):
        _add(family, (value,), one)
    return family


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], observed: Histogram) -> None:
    cells, sum_s, exemplars = list(observed.counts), observed.sum_s, dict(observed.exemplars)
    bounds = [str(float(bound)) for bound in observed.bounds] + ["+Inf"]
    total = 0
    buckets: list[tuple[str, float] | tuple[str, float, PrometheusExemplar]] = []
    for position, (bound, cell) in enumerate(zip(bounds, cells, strict=True)):
        total += cell
        newest = exemplars.get(position)
        if newest is None:
            buckets.append((bound, total))
            continue
        named = {"alert_id": newest.alert_id}
        if newest.trace_id:
            named["trace_id"] = newest.trace_id
        shown = PrometheusExemplar(named, newest.value_s, newest.at_s)
        buckets.append((bound, total, shown))
    family.add_metric(labels, buckets, sum_s)
