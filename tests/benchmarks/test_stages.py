"""Stages on a real Kafka, cut down to seconds: right answers, and reasons where there are none."""

from __future__ import annotations

import os

import pytest

from benchmarks import install
from benchmarks.session import Plan, Session, WrongAnswerError, check_found
from benchmarks.stages import latency, rsigma
from benchmarks.stages.all import STAGES


def _session(kafka, tmp_path, told=None):
    plan = Plan({"long": 0}, 1, None)
    return Session(plan, kafka, tmp_path, lambda what, done: (told or []).append(what))


@pytest.mark.kafka
def test_latency_waits_for_every_alert_and_says_what_it_could_not_measure(
    kafka, tmp_path, monkeypatch
):
    """Two loads of the shipped rules; without a large rule set there is no second half."""
    monkeypatch.setattr(latency, "SECONDS", (1.0, 1.0))
    monkeypatch.setattr(latency, "SHARES", ((0.25, 0.5), ()))

    result = latency.measure(_session(kafka, tmp_path), 60)

    assert [row["share"] for row in result.rows] == [0.25, 0.5]
    for row in result.rows:
        assert row["alerts"] >= 1
        assert 0 <= row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert result.facts["sustained_shipped"] > 0
    assert "STREAMPROC_BENCH_RULES" in result.left_out["corpus"]
    measured = {target.name: target.measured for target in result.targets}
    assert measured["append to alert at half load, two rules, p50"] == result.rows[1]["p50_ms"]
    assert measured["append to alert at half load, corpus, p99"] is None


def test_an_engine_that_cannot_be_installed_is_named_with_the_reason(tmp_path, monkeypatch):
    """No Rust, no network: the other stages go on."""
    monkeypatch.setattr(install, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", os.devnull)

    result = rsigma.measure(_session(None, tmp_path), 60)

    assert result.rows == []
    assert [target.is_met for target in result.targets] == [None]
    assert "cargo" in result.targets[0].why
    assert "cargo" in result.left_out["rsigma"]


@pytest.mark.parametrize("found", [["a"], ["a", "b", "c"]])
def test_a_wrong_answer_names_who_gave_it(found):
    """And what it missed or invented."""
    with pytest.raises(WrongAnswerError, match=r"the worker: .*'[bc]'"):
        check_found("the worker", found, ["a", "b"])


def test_stages_leave_time_for_each_other():
    """All together within ten minutes, the quick ones within two; every key only once."""
    assert len({stage.key for stage in STAGES}) == len(STAGES)
    assert sum(stage.seconds[0] for stage in STAGES) <= 600
    assert sum(stage.seconds[1] for stage in STAGES) <= 125
    assert STAGES[-1].key == "throughput"
