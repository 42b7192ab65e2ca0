"""Metrics of what comes in that hang on the assignment; names and labels are in test_metrics."""

from __future__ import annotations

from streamproc.ops.collector_input import input_metrics
from streamproc.ops.counters import Counters, Lag


def lost(counters: Counters) -> dict[str, float]:
    """Records lost by partition, as they are shown."""
    return {
        sample.labels["partition"]: sample.value
        for family in input_metrics(counters, now_s=0.0)
        for sample in family.samples
        if sample.name == "streamproc_records_lost_total"
    }


def test_lost_records_start_at_zero_with_the_assignment():
    """Else the first loss of a partition would be no increase of its series."""
    counters = Counters(partitions={("in", 3): Lag()})

    assert lost(counters) == {"3": 0}

    counters.records_lost["in", 3] += 5
    assert lost(counters) == {"3": 5}


def test_lost_records_of_a_partition_that_is_gone_stay_known():
    counters = Counters(partitions={("in", 3): Lag()})
    counters.records_lost["in", 9] += 2

    assert lost(counters) == {"3": 0, "9": 2}
