"""Explanations as lines: short, aligned, the values beside the clauses."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.cli.clauses import clause_lines, quoted
from streamproc.eql import compile_query


def lines(condition: str, document: dict[str, Any]) -> list[str]:
    explanation = compile_query(f"any where {condition}").explain(document)
    return [line.plain.strip() for line in clause_lines(explanation)][1:]


def test_long_list_keeps_what_was_met():
    """Of ten constants four are shown, the one that was met among them."""
    constants = ", ".join(f'"n{number}"' for number in range(10))

    assert lines(f"a : ({constants})", {"a": "n8"}) == [
        '✓ a : ("n0", "n1", "n2", "n8", … 6 more)   saw "n8", met "n8"'
    ]
    assert lines(f"a in ({constants})", {"a": "x"}) == [
        '✗ a in ("n0", "n1", "n2", "n3", … 6 more)   saw "x"'
    ]


def test_long_clause_has_its_values_below():
    """A line of its own, so that one long clause does not push the column out of sight."""
    path = "process.parent." + "very_long" * 8
    shown = lines(f'{path} : "x" and b : "y"', {"b": "y"})

    assert shown[1] == "no value"
    assert shown[2] == '✓ b : "y"   saw "y"'


def test_long_values_keep_both_ends():
    """The beginning and the end tell paths and command lines apart."""
    (line,) = lines("a != null", {"a": "start" + "x" * 500 + "end"})

    assert len(line) < 120
    assert '"start' in line
    assert 'end"' in line


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "no value"),
        (["a\n", 1, True, 2.5], r'"a\n", 1, true, 2.5'),
        (range(8), "0, 1, 2, 3, 4, … 3 more"),
    ],
)
def test_values_are_written_as_in_queries(values: list[Any], text: str):
    assert quoted(values) == text
