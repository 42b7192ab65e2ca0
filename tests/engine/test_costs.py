"""Costs are charged to the rules that cause them, and measuring changes nothing."""

from __future__ import annotations

import orjson
import pytest

from streamproc.engine.costs import CostReport, CostSampler
from streamproc.engine.program import Program
from tests.engine.programs import ruleset

COMMON = 'process where process.name == "common.exe"'
RARE = 'process where process.name == "rare.exe"'
ALWAYS = 'process where process.name != "x"'


def program_of(*queries):
    return Program(ruleset(*queries))


def event(name, pid=1):
    return orjson.dumps({"event": {"category": ["process"]}, "process": {"name": name, "pid": pid}})


def test_a_rule_is_charged_for_the_events_that_it_lets_through():
    """Candidates are counted exactly; time is there, and shared among the candidates."""
    program = program_of(COMMON, RARE, ALWAYS)
    report = CostReport()

    report.add(program, [event("common.exe")] * 8 + [event("rare.exe")] * 2 + [event("x")] * 5)

    assert {place: cost.candidates for place, cost in report.rules.items()} == {0: 8, 1: 2, 2: 15}
    assert (report.events, report.passed, report.undecodable) == (15, 15, 0)
    assert all(cost.evaluation_s > 0 and cost.reading_s > 0 for cost in report.rules.values())


def test_events_that_end_in_the_prefilter_cost_no_rule():
    report = CostReport()

    report.add(program_of(COMMON), [event("other.exe")] * 3)

    assert (report.passed, report.rules) == (0, {})
    assert report.prefilter_s > 0


def test_what_is_no_event_is_counted():
    report = CostReport()

    report.add(program_of(COMMON), [event("common.exe")[:-1]])

    assert (report.events, report.passed, report.undecodable) == (1, 0, 1)


def test_steps_of_a_sequence_are_charged_to_its_rule():
    sequence = f"sequence by host.id [{COMMON}] [{RARE}]"
    report = CostReport()

    report.add(program_of(COMMON, sequence), [event("common.exe"), event("rare.exe")])

    assert {place: cost.candidates for place, cost in report.rules.items()} == {0: 1, 1: 2}


@pytest.mark.parametrize("every", [1, 3])
def test_sampler_measures_one_event_in_so_many(every):
    """What is measured stands for the rest; a rule that was no candidate is not charged."""
    program = program_of(COMMON, RARE)
    seconds = {}
    sampler = CostSampler(seconds, every)

    due = [sampler.is_due() for _ in range(6)]
    sampler.measure(program, program.ask((0,)), event("common.exe"))

    assert due == [number % every == 0 for number in range(1, 7)]
    assert set(seconds) == {program.rules[0].rule_id}
    assert seconds[program.rules[0].rule_id] > 0


def test_sampler_passes_over_what_is_no_event():
    """The detector sends it to the dead letters; here it costs nothing."""
    seconds = {}

    program = program_of(COMMON)
    value = b'{"process": {"name": "common.exe"'
    CostSampler(seconds, 1).measure(program, program.ask((0,)), value)

    assert seconds == {}
