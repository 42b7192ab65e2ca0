"""The page of all metrics, ``docs/metrics.md``, drawn from the collector itself."""

from __future__ import annotations

from prometheus_client.core import Metric

from streamproc.ops.collector import StreamprocCollector
from streamproc.ops.counters import Counters, Histogram, Lag
from streamproc.ops.facts import RuleFacts, WorkerFacts

_SUFFIXES = {"counter": "_total", "info": "_info"}

# Labels whose values are known beforehand are listed with them.
_FREE_LABELS = frozenset(
    {
        "topic", "partition", "rule_id", "rule_name", "digest", "version", "revision",
        "python_version",
    }
)  # fmt: skip


def metrics_reference() -> str:
    """A Markdown table of all metrics: name, type, labels with their values, meaning."""
    lines = ["| Metric | Type | Labels | Meaning |", "| --- | --- | --- | --- |"]
    collector = StreamprocCollector(busy_counters(), some_facts(), expiries=lambda: EXPIRIES)
    for metric in collector.collect():
        name = metric.name + _SUFFIXES.get(metric.type, "")
        labels = "; ".join(_labels(metric))
        lines.append(f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |")
    return "\n".join(lines) + "\n"


def _labels(metric: Metric) -> list[str]:
    found: dict[str, dict[str, None]] = {}
    for sample in metric.samples:
        for label, value in sample.labels.items():
            found.setdefault(label, {})[value] = None
    return [
        f"`{label}`" if label in _FREE_LABELS else f"`{label}` = {', '.join(values)}"
        for label, values in found.items()
        if label != "le"
    ]


EXPIRIES = {"ca": 1.0, "client": 2.0}


def some_facts() -> WorkerFacts:
    """Two rules, one of each type; the first has failed in both ways."""
    rules = (
        RuleFacts("r-1", "name", "low"),
        RuleFacts("r-2", "name", "medium", "sequence"),
        RuleFacts("r-3", "name", "high"),
        RuleFacts("r-4", "name", "critical"),
    )
    return WorkerFacts("", "", rules)


def busy_counters() -> Counters:
    """Counters in which everything has happened once, so that every label is seen."""
    counters = Counters()
    place = ("topic", 0)
    for counter in (counters.records_consumed, counters.records_lost):
        counter[place] = 1
    for name in ("record_bytes", "records_produced", "state_evictions"):
        getattr(counters, name)["word"] = 1
    counters.rule_errors.update({("r-1", "evaluation"): 1, ("r-1", "output"): 1})
    counters.rule_seconds["r-1"] = 1.0
    counters.produce_errors["topic", "other"] = 1
    counters.produce_seconds["topic"] = Histogram()
    counters.partitions[place] = Lag(1, 1, 1)
    return counters
