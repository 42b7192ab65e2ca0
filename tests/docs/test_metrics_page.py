"""The page of all metrics says what is served."""

from __future__ import annotations

from streamproc.ops.collector import StreamprocCollector
from tests.docs.generated import METRICS, with_parts
from tests.docs.metrics_page import EXPIRIES, busy_counters, metrics_reference, some_facts


def test_page_is_fresh():
    """Names, types, labels and meanings are those of the code."""
    text = METRICS.read_text()

    assert with_parts(text, {"metrics": metrics_reference()}) == text, (
        "stale: run .venv/bin/python -m tests.docs.generated"
    )


def test_reference_names_what_is_served():
    """Metrics are named as Prometheus sees them, with labels, and the values that are known."""
    table = metrics_reference()

    assert "| `streamproc_consumer_lag_records` | gauge | `topic`; `partition` |" in table
    assert "| `streamproc_build_info` | info |" in table
    assert "`result` = accepted, refused, unchanged" in table


def test_no_metric_of_the_reference_is_without_samples():
    """A metric without samples would stand there without its labels."""
    collector = StreamprocCollector(busy_counters(), some_facts(), expiries=lambda: EXPIRIES)

    assert [metric.name for metric in collector.collect() if not metric.samples] == []
