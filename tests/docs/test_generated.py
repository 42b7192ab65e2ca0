"""The writer of the generated parts."""

from __future__ import annotations

import pytest

from streamproc.ops.metrics import StreamprocCollector
from tests.docs.generated import _counters, _facts, metrics_reference, with_parts


def test_part_is_put_between_its_markers():
    """What stood there goes; all around it stays."""
    text = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n"

    assert with_parts(text, {"x": "new\n"}) == "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n"


def test_missing_markers_are_an_error():
    """A part that has no place must not be dropped in silence."""
    with pytest.raises(ValueError, match="0 places"):
        with_parts("text", {"x": "new"})


def test_metrics_reference_names_what_is_served():
    """Every metric that has samples is named as Prometheus sees it, with its labels."""
    table = metrics_reference()

    assert "| `streamproc_events_processed_total` | counter | `outcome` |" in table
    assert "| `streamproc_consumer_lag_records` | gauge | `topic`, `partition` |" in table
    assert "| `streamproc_build_info` | info |" in table


def test_no_metric_of_the_reference_is_without_samples():
    """A metric without samples would stand there without its labels."""
    metrics = StreamprocCollector(_counters(), _facts()).collect()

    assert [metric.name for metric in metrics if not metric.samples] == []
