"""The capacity plan: enough, with a worker to spare, and never cheaper for a larger load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.capacity import GROWTH, UTILISATION, Load, plan
from streamproc.errors import ConfigError
from streamproc.measured import EVENT_BYTES, RULE_SETS, Measured

MEASURED = Measured(events_per_cpu_s=10_000, peak_bytes=200 * 1024**2)

loads = st.builds(
    Load,
    events_per_s=st.floats(1, 1_000_000),
    event_bytes=st.integers(100, 20_000),
)


@given(load=loads)
def test_enough_workers(load):
    """Nobody is busier than planned, the rest keeps up when one is lost, partitions suffice."""
    try:
        found = plan(load, MEASURED)
    except ConfigError:
        return  # more than one topic: told in words, tested below

    assert found.busy_share <= UTILISATION + 1e-9
    assert (found.workers - 1) * found.events_per_core_s >= load.events_per_s * (1 - 1e-9)
    assert found.partitions >= found.workers * GROWTH
    assert found.catch_up_s > 0


@given(load=loads, factor=st.floats(1, 3))
def test_more_is_never_cheaper(load, factor):
    """A higher rate or larger events never ask for less."""
    try:
        bigger = [
            plan(replace(load, events_per_s=load.events_per_s * factor), MEASURED),
            plan(replace(load, event_bytes=int(load.event_bytes * factor)), MEASURED),
        ]
    except ConfigError:
        return

    smaller = plan(load, MEASURED)
    for found in bigger:
        assert found.workers >= smaller.workers
        assert found.partitions >= smaller.partitions
        assert found.stored_bytes >= smaller.stored_bytes


def test_numbers_by_hand():
    """60,000 events/s at 10,000 a core, 60 % busy: ten workers; 10 minutes take 15 to work off."""
    found = plan(Load(60_000, EVENT_BYTES, outage_s=600), MEASURED)

    assert (found.workers, found.partitions, found.lag_threshold) == (10, 36, 360_000)
    assert found.catch_up_s == pytest.approx(900)
    assert found.memory_limit_bytes == 384 * 1024**2


def test_small_events_are_not_believed_to_be_cheaper():
    """Below the measured size there is no measurement to plan with."""
    assert plan(Load(1_000, 100), MEASURED).events_per_core_s == MEASURED.events_per_cpu_s


@pytest.mark.parametrize(
    "load",
    [
        Load(0),
        Load(-1),
        Load(float("nan")),
        Load(float("inf")),
        Load(10, 0),
        Load(10, retention_h=-1),
        Load(10, replication=0),
    ],
)
def test_nothing_to_plan(load):
    with pytest.raises(ConfigError, match="must be a number above zero"):
        plan(load, MEASURED)


def test_no_outage_leaves_no_backlog():
    assert plan(Load(10, outage_s=0), MEASURED).catch_up_s == 0


@pytest.mark.parametrize("outage_s", [-1, float("nan"), float("inf")])
def test_outages_that_are_none(outage_s):
    with pytest.raises(ConfigError, match="must be zero or more"):
        plan(Load(10, outage_s=outage_s), MEASURED)


def test_a_core_that_does_nothing():
    """No number of such cores is enough."""
    with pytest.raises(ConfigError, match="events per core = 0: must be a number"):
        plan(Load(10), Measured(0, MEASURED.peak_bytes))


def test_more_than_one_topic_can_hold():
    """The way out is named."""
    with pytest.raises(ConfigError, match="several topics"):
        plan(Load(100_000_000), MEASURED)


def test_measured_rule_sets():
    """More rules cost more: a mix-up of the two would plan far too few workers."""
    assert RULE_SETS["shipped"].events_per_cpu_s > RULE_SETS["corpus"].events_per_cpu_s > 0
