"""Events per CPU second of every contender, in rounds: the table that the ratios come from.

Law of the file: a ratio is taken within one round, between runs that followed each other; only
then is the median taken over the rounds. Rates of different rounds are never divided.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.contenders.catalogue import CONTENDERS, RATIOS, Contender
from benchmarks.install import NotInstalledError
from benchmarks.meter import Measured
from benchmarks.session import LeftOutError, Session, check_found
from benchmarks.stages.stage import Result, Target

Rounds = Sequence[Mapping[str, Measured]]
"""For each round the measured runs by contender."""

ROUNDS_MIN = (2, 1)
MEMORY_MB = 300.0
_LOADED = ("worker-corpus", "worker-whole")


def measure(session: Session, seconds: float) -> Result:
    """Run all rounds, or as many as the time allows; each begins one contender later.

    Raises:
        WrongAnswerError: A contender missed or invented an alert.
    """
    session.fill()
    began = time.monotonic()
    rounds: list[dict[str, Measured]] = []
    loads: list[dict[str, float]] = []
    left_out: dict[str, str] = {}
    wanted, least = session.plan.rounds, ROUNDS_MIN[session.plan.is_quick]
    for number in range(wanted):
        taken, load = _round(session, number, left_out)
        rounds.append(taken)
        loads.append(load)
        took = (time.monotonic() - began) / (number + 1)
        if number + 1 >= least and time.monotonic() - began + took > seconds:
            break
    expected = {c.key: len(session.planted[c.stream]) for c in CONTENDERS if c.rules}
    facts = {"rounds": [_recorded(*pair) for pair in zip(rounds, loads, strict=True)]}
    return Result(summary(rounds, expected), targets(rounds, left_out), facts, left_out)


def _round(
    session: Session, number: int, left_out: dict[str, str]
) -> tuple[dict[str, Measured], dict[str, float]]:
    taken: dict[str, Measured] = {}
    load: dict[str, float] = {}
    turn = number % len(CONTENDERS)
    # None has a fixed neighbour.
    for contender in CONTENDERS[turn:] + CONTENDERS[:turn]:
        if contender.key in left_out:
            continue
        title = f"round {number + 1}: {contender.title}"
        session.tell(title, 0)
        before = os.getloadavg()[0]
        try:
            measured = session.run(contender, f"{contender.key}-{number}")
        except (NotInstalledError, LeftOutError) as error:
            left_out[contender.key] = str(error)
            continue
        check_answers({contender.key: measured}, [contender], session.planted)
        taken[contender.key], load[contender.key] = measured, before
        share = 1 / (session.plan.rounds * len(CONTENDERS))
        session.tell(f"{title}: {measured.rate:,.0f} events/CPU s", share)
    return taken, load


def check_answers(
    taken: Mapping[str, Measured],
    contenders: Sequence[Contender],
    planted: Mapping[str, frozenset[str]],
) -> None:
    """Compare what each contender that detects has found with what was planted.

    Raises:
        WrongAnswerError: Some contender missed or invented an alert.
    """
    for contender in contenders:
        if contender.rules and contender.key in taken:
            check_found(contender.title, taken[contender.key].found, planted[contender.stream])


def _recorded(taken: Mapping[str, Measured], load: Mapping[str, float]) -> dict[str, Any]:
    """One round for the results file: numbers, and how many alerts."""
    return {
        key: {name: value for name, value in run.as_json().items() if name != "found"}
        | {"alerts": len(run.found), "load_before": load[key]}
        for key, run in taken.items()
    }


def median_ratio(rounds: Rounds, of: str, against: str) -> float | None:
    """Median over the rounds of the ratio of two rates; None if one of the two took no part."""
    ratios = [
        taken[of].rate / taken[against].rate for taken in rounds if {of, against} <= set(taken)
    ]
    return median(ratios) if ratios else None


def summary(rounds: Rounds, expected: Mapping[str, int]) -> list[dict[str, Any]]:
    """One row for each contender that took part: medians.

    Args:
        rounds: Measured runs.
        expected: Number of alerts to be found, for contenders that detect.
    """
    rows = []
    for contender in CONTENDERS:
        runs = [taken[contender.key] for taken in rounds if contender.key in taken]
        if not runs:
            continue
        rows.append(
            {
                "key": contender.key,
                "title": contender.title,
                "events_per_cpu_s": median(run.rate for run in runs),
                "to_bare": median_ratio(rounds, contender.key, "bare"),
                "to_loads": median_ratio(rounds, contender.key, "loads"),
                "events_per_wall_s": median(run.wall_rate for run in runs),
                "peak_bytes": max(run.peak_bytes for run in runs),
                "found": len(runs[-1].found) if contender.rules else None,
                "expected": expected.get(contender.key),
                "lowest": min(run.rate for run in runs),
                "highest": max(run.rate for run in runs),
            }
        )
    return rows


def targets(rounds: Rounds, left_out: Mapping[str, str]) -> list[Target]:
    """The ratios that are wanted and the limit of memory, with what was measured."""
    found = []
    for name, of, against, wanted in RATIOS:
        why = "; ".join(left_out[key] for key in (of, against) if key in left_out)
        found.append(Target(name, wanted, median_ratio(rounds, of, against), why=why))
    peaks = [taken[key].peak_bytes for taken in rounds for key in _LOADED if key in taken]
    peak = max(peaks) / 1e6 if peaks else None
    why = "" if peaks else left_out.get(_LOADED[0], "")
    name = "memory of a worker, whole corpus, full load"
    return [*found, Target(name, MEMORY_MB, peak, "MB", is_limit=True, why=why)]
