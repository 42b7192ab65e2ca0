"""Programs: positions of rules, whatever the prefilter calls them."""

from __future__ import annotations

import orjson

from streamproc.engine.program import Program
from tests.engine.programs import PAIR, SHELL, document, ruleset

UNTIL = """sequence by host.id with maxspan=1m
  [process where process.name == "x.exe"] [file where file.name == "b.txt"]
  until [process where event.type == "end"]"""


def test_single_event_rules_come_first():
    """Whatever the order of the rule ids; sequence positions count from 0 again."""
    program = Program(ruleset(PAIR, SHELL, UNTIL, SHELL))
    assert [rule.is_sequence for rule in program.rules] == [False, False, True, True]
    assert len(program.matchers) == len(program.sequences.rules) == 2


def test_split_names_each_sequence_once():
    """Queries 2 and 3 are the first sequence's, 4 to 6 the second's, its until included."""
    program = Program(ruleset(PAIR, SHELL, UNTIL, SHELL))
    assert program.split((0, 1)) == (program.ask((0, 1)), ())
    assert program.split((6, 3, 2, 1)) == (program.ask((1,)), ((0, (0, 1)), (1, (2,))))
    assert program.split((5, 4)) == (None, ((1, (0, 1)),))
    assert program.split((5, 4)) == (None, ((1, (0, 1)),))
    assert program.ask((0, 1)).positions == (0, 1)


def test_progress_counts_every_query():
    """To its end: one for each rule, or for each step and until of a sequence."""
    told = []
    Program(ruleset(PAIR, SHELL, UNTIL), progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 6) for number in range(1, 7)]


def breaths_of(*queries):
    """How often is breathed while a program is made of them."""
    breaths = []
    Program(ruleset(*queries), breathe=lambda: breaths.append(1))
    return len(breaths)


def test_a_breath_is_taken_at_every_query_by_every_stage():
    """Its literals and its place in the prefilter; and at every rule for its indices."""
    assert breaths_of("any where true") == 3
    assert breaths_of(PAIR, SHELL, UNTIL) >= 2 * 6 + 3


def test_a_breath_is_taken_at_every_constant():
    """A query of thousands takes as long as a hundred others."""
    names = ", ".join(f'"program{number}.exe"' for number in range(100))
    assert breaths_of(f"process where process.name in ({names})") >= 2 * 100


def test_an_answer_is_remembered_for_the_values_that_were_asked_about():
    """Another time or host gives the same answer; another value or type of a value does not."""
    program = Program(ruleset('process where process.name == "cmd.exe" and process.pid == 4'))

    def answer(name="cmd.exe", pid=4, host="h1", time="2026-01-01T10:00:00.000Z"):
        value = orjson.dumps(
            {
                "@timestamp": time,
                "event": {"category": ["process"]},
                "host": {"id": host},
                "process": {"name": name, "pid": pid},
            }
        )
        return program.examine(program.ask((0,)), value, asks_head=False)[0]

    for _ in range(2):
        assert answer() == answer(host="h2", time="2026-01-01T10:00:01.000Z") == (0,)
        assert answer(pid=5) == answer(name="CMD.exe") == answer(pid=True) == ()


def test_an_answer_about_time_or_host_is_not_remembered():
    """These two are no part of what answers are remembered by."""
    program = Program(ruleset('process where process.name == "cmd.exe" and host.id == "h1"'))

    def answer(host):
        value = orjson.dumps(document(1, host={"id": host}))
        return program.examine(program.ask((0,)), value, asks_head=False)[0]

    assert [answer("h1"), answer("h2"), answer("h1")] == [(0,), (), (0,)]


def test_remembered_answers_are_bounded(monkeypatch):
    """They are forgotten, not wrong."""
    monkeypatch.setattr("streamproc.engine.program._ANSWERS_MAX", 4)
    program = Program(ruleset('process where process.name : "a*"'))
    asked = program.ask((0,))
    for number in range(20):
        name = f"{'ab'[number % 2]}{number}"
        value = orjson.dumps(document(number, process={"name": name}))
        assert program.examine(asked, value, asks_head=False)[0] == (
            (0,) if number % 2 == 0 else ()
        )
        assert 0 < len(asked.answers) <= 4
