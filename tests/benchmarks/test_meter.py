"""How a contender's time is taken: from within, and a worker's from outside."""

from __future__ import annotations

import pytest

from benchmarks.contenders.worker import POLL_S, metric, pause_s, processed
from benchmarks.meter import Mark, Measured, Meter


def test_window_excludes_what_is_outside():
    """Rates come from between the marks."""
    run = Measured.between(Mark(100, 5.0, 10.0), Mark(900, 7.0, 14.0), 1000, 1, set())

    assert run.rate == pytest.approx(400)
    assert run.wall_rate == pytest.approx(200)
    assert Measured.from_json(run.as_json()) == run


def test_window_too_small_to_tell_is_refused():
    """A worker that is done before it is first looked at gives no number."""
    with pytest.raises(ValueError, match="too few"):
        Measured.between(Mark(800, 5.0, 10.0), Mark(900, 7.0, 14.0), 1000, 1, set())


def test_meter_marks_twice():
    """At the ends of the window, and never again."""
    meter = Meter(1000)
    for count in range(50, 1050, 50):
        if count >= meter.next_at:
            meter.mark(count)
            sum(range(100_000))

    run = meter.measured({"x"})
    assert run.window_records == 700
    assert run.cpu_s > 0
    assert run.found == ("x",)


def test_processed_adds_up_outcomes():
    """All outcomes; nothing while nobody answers."""
    assert processed('{"version": "1", "events": {"filtered": 900, "matched": 2}}') == 902
    assert processed("") == 0


def test_metric_adds_up_series():
    """Of one metric and no other."""
    text = (
        "# TYPE streamproc_lag gauge\n"
        'streamproc_lag{partition="0"} 900.0\n'
        'streamproc_lag{partition="1"} 2.0\n'
        'streamproc_lag_seconds{partition="1"} 1.7\n'
        "streamproc_assigned_partitions 4.0\n"
    )
    assert metric(text, "streamproc_lag") == 902
    assert metric(text, "streamproc_assigned_partitions") == 4
    assert metric("", "streamproc_lag") == 0


@pytest.mark.parametrize(
    ("done", "left", "expected"),
    [
        pytest.param(0, 1_000, POLL_S, id="nothing done: look again soon"),
        pytest.param(1_000, 100, 0.4, id="half of the time that it needs"),
        pytest.param(1_000, 1, POLL_S, id="nearly there: not sooner than that"),
        pytest.param(1, 10_000, 2.0, id="slow so far: a quarter of the time that it ran"),
    ],
)
def test_worker_is_asked_as_rarely_as_its_speed_allows(done, left, expected):
    """Every answer costs the worker CPU time within its own window."""
    first, now = Mark(500, 0.0, 10.0), Mark(500 + done, 0.0, 18.0)

    assert pause_s(first, now, 500 + done + left) == pytest.approx(expected)
