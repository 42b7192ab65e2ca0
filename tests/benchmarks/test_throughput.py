"""What the rounds come to, and that wrong answers give no times."""

from __future__ import annotations

import pytest

from benchmarks.contenders.catalogue import CONTENDERS, RATIOS
from benchmarks.session import WrongAnswerError
from benchmarks.stages.throughput import check_answers, median_ratio, summary, targets
from tests.benchmarks.documents import measured


def test_ratio_is_taken_within_rounds():
    """The median of ratios, not the ratio of medians: rounds on a slow machine do not mix."""
    rounds = [
        {"worker": measured(50), "bare": measured(100)},
        {"worker": measured(8), "bare": measured(10)},
        {"worker": measured(30), "bare": measured(100)},
    ]

    assert median_ratio(rounds, "worker", "bare") == pytest.approx(0.5)
    assert median_ratio(rounds, "worker", "faust-corpus") is None


def test_target_is_met_missed_or_not_measured():
    """A contender that could not run is not left out in silence."""
    rounds = [{"worker": measured(50), "bare": measured(100), "loads": measured(20)}]

    rows = {row.name: row for row in targets(rounds, {"quix-corpus": "no network"})}
    assert rows["two rules / bare loop"].is_met is True
    assert rows["two rules / loop with orjson.loads"].is_met is False
    assert rows["corpus / Quix Streams"].is_met is None
    assert rows["corpus / Quix Streams"].why == "no network"
    assert len(rows) == len(RATIOS) + 1


@pytest.mark.parametrize(("peak", "is_met"), [(250_000_000, True), (301_000_000, False)])
def test_memory_is_the_largest_of_the_loaded_workers(peak, is_met):
    """A limit: less is better."""
    rounds = [{"worker-corpus": measured(5), "worker-whole": measured(5, peak_bytes=peak)}]

    memory = targets(rounds, {})[-1]
    assert memory.is_met is is_met
    assert memory.measured == pytest.approx(peak / 1e6)


def test_summary_has_a_row_for_each_that_took_part():
    """Alerts only where something detects."""
    rows = summary([{"bare": measured(100), "worker": measured(50, ["a"])}], {"worker": 1})

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
        check_answers({"worker": measured(1, found)}, contenders, {"long": frozenset("ab")})


def test_right_answer_passes():
    """In any order."""
    contenders = [contender for contender in CONTENDERS if contender.key in {"worker", "bare"}]
    taken = {"worker": measured(1, ["b", "a"]), "bare": measured(1)}

    check_answers(taken, contenders, {"long": frozenset("ab")})
