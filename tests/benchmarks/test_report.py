"""What the benchmark computes from its measurements, and that wrong answers give no times."""

from __future__ import annotations

import pytest

from benchmarks.contenders.catalogue import CONTENDERS, RATIOS
from benchmarks.contenders.worker import POLL_S, pause_s, processed
from benchmarks.meter import Mark, Measured, Meter
from benchmarks.report import machine_name, median_ratio, summary, targets
from benchmarks.session import WrongAnswerError, check_answers


def _run(rate, found=()):
    return Measured(1000, 700, 700 / rate, 1.0, 50_000_000, tuple(found))


def test_ratio_is_taken_within_rounds():
    """The median of ratios, not the ratio of medians: rounds on a slow machine do not mix."""
    rounds = [
        {"worker": _run(50), "bare": _run(100)},
        {"worker": _run(8), "bare": _run(10)},
        {"worker": _run(30), "bare": _run(100)},
    ]

    assert median_ratio(rounds, "worker", "bare") == pytest.approx(0.5)
    assert median_ratio(rounds, "worker", "faust") is None


def test_target_is_met_or_not():
    """Only ratios whose contenders took part are listed."""
    rounds = [{"worker": _run(50), "bare": _run(100), "loads": _run(20)}]

    rows = {row["name"]: row for row in targets(rounds)}
    assert rows["two rules / bare loop"]["met"]
    assert not rows["two rules / loop with orjson.loads"]["met"]
    assert len(rows) == 2


def test_summary_has_a_row_for_each_that_took_part():
    """Alerts only where something detects."""
    rows = summary([{"bare": _run(100), "worker": _run(50, ["a"])}], {"worker": 1})

    assert [row["key"] for row in rows] == ["bare", "worker"]
    assert rows[0]["found"] is None
    assert (rows[1]["found"], rows[1]["expected"]) == (1, 1)
    assert rows[1]["to_bare"] == pytest.approx(0.5)


def test_ratios_name_contenders_that_exist():
    """A typing error would silently leave a ratio out."""
    keys = {contender.key for contender in CONTENDERS}

    assert {key for _, of, against, _ in RATIOS for key in (of, against)} <= keys


@pytest.mark.parametrize("found", [["a"], ["a", "b", "c"], []])
def test_wrong_answer_ends_the_run(found):
    """An alert too few, one too many, none at all."""
    contenders = [contender for contender in CONTENDERS if contender.key == "worker"]

    with pytest.raises(WrongAnswerError):
        check_answers({"worker": _run(1, found)}, contenders, {"long": frozenset("ab")})


def test_right_answer_passes():
    """In any order."""
    contenders = [contender for contender in CONTENDERS if contender.key in {"worker", "bare"}]
    taken = {"worker": _run(1, ["b", "a"]), "bare": _run(1)}

    check_answers(taken, contenders, {"long": frozenset("ab")})


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
    """All outcomes, and no other series."""
    text = (
        "# TYPE streamproc_events_processed_total counter\n"
        'streamproc_events_processed_total{outcome="filtered"} 900.0\n'
        'streamproc_events_processed_total{outcome="matched"} 2.0\n'
        'streamproc_events_processed_created{outcome="matched"} 1.7e9\n'
    )

    assert processed(text) == 902
    assert processed("") == 0


def test_machine_name_is_fit_for_a_file_name():
    """No brackets, no clock rate."""
    facts = {"processor": "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "cores": 8}

    assert machine_name(facts) == "intel-xeon-e5-2680-v4-8-cores"


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
