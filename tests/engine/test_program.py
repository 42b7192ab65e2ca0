"""Programs: positions of rules, whatever the prefilter calls them."""

from __future__ import annotations

from streamproc.engine.program import Program
from tests.engine.programs import PAIR, SHELL, ruleset

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
    assert program.split((0, 1)) == ((0, 1), ())
    assert program.split((6, 3, 2, 1)) == ((1,), ((0, (0, 1)), (1, (2,))))
    assert program.split((5, 4)) == ((), ((1, (0, 1)),))
    assert program.split((5, 4)) == ((), ((1, (0, 1)),))


def test_progress_counts_every_query():
    """To its end: one for each rule, or for each step and until of a sequence."""
    told = []
    Program(ruleset(PAIR, SHELL, UNTIL), progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 6) for number in range(1, 7)]
