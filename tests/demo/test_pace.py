"""Pacing: the rate is kept on average, and the worker is never outrun."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.demo.pace import AHEAD_EVENTS_MAX, Pace


def test_rate_is_kept_over_uneven_calls():
    """Fractions of an event are carried over, not lost."""
    pace = Pace(1_000, 0.0)
    times = [step * 0.0007 for step in range(1, 10_001)]
    assert sum(pace.allowance(now_s, 0) for now_s in times) == 7_000


def test_pause_does_not_end_in_a_burst():
    """After a stall of ten seconds only a fifth of a second is caught up."""
    assert Pace(1_000, 0.0).allowance(10.0, 0) == 200


def test_nothing_is_sent_while_the_worker_is_far_behind():
    """And sending goes on as soon as it has caught up."""
    pace = Pace(10_000, 0.0)
    assert pace.allowance(0.1, AHEAD_EVENTS_MAX) == 0
    assert pace.allowance(0.2, AHEAD_EVENTS_MAX + 5) == 0
    assert pace.allowance(0.3, AHEAD_EVENTS_MAX - 7) == 7


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 4_000)), max_size=50),
    st.integers(1, 100_000),
)
def test_never_further_ahead_than_the_limit(calls: list[tuple[float, int]], rate: int):
    """Whatever the timing and however slow the worker."""
    pace = Pace(rate, 0.0)
    now_s, ahead = 0.0, 0
    for wait_s, consumed in calls:
        now_s += wait_s
        ahead = max(0, ahead - consumed)
        ahead += pace.allowance(now_s, ahead)
        assert 0 <= ahead <= AHEAD_EVENTS_MAX
