"""Explanations: their truth is the matcher's, and they show what was looked at."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql import Event, Explanation, compile_query
from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.explain import Junction, Seen, compile_explainer
from streamproc.eql.parser import parse_query
from tests.properties.random_queries import random_condition, random_event

EVENT = {
    "event": {"category": "process"},
    "process": {"name": "cmd.exe", "args": ["-x", "abc"], "pid": 4},
    "source": {"ip": "10.1.2.3"},
}


def explain(condition: str, document: dict[str, Any] = EVENT) -> Explanation:
    """The explanation of a condition: the only child of an ``any`` query."""
    (clause,) = compile_query(f"any where {condition}").explain(document).children
    return clause


def every_clause(explanation: Explanation) -> list[Explanation]:
    return [
        explanation,
        *(below for child in explanation.children for below in every_clause(child)),
    ]


@pytest.mark.parametrize(
    ("condition", "is_true", "seen"),
    [
        ('process.name == "cmd.exe"', True, [("process.name", ("cmd.exe",))]),
        ('process.name : "x*"', False, [("process.name", ("cmd.exe",))]),
        ('process.args : "a*"', True, [("process.args", ("-x", "abc"))]),
        ("a.b == null", True, [("a.b", ())]),
        ("a.b != null", False, [("a.b", ())]),
        ("?a.b > 3", False, [("a.b", ())]),
        ('startsWith(process.name, "cmd")', True, [("process.name", ("cmd.exe",))]),
        (
            "length(process.args) > 3",
            False,
            [("process.args", ("-x", "abc")), ("length(process.args)", (2, 3))],
        ),
        (
            "process.pid + 1 == 5",
            True,
            [("process.pid", (4,)), ("process.pid + 1", (5,))],
        ),
        ("length(a.b) == 1", False, [("a.b", ()), ("length(a.b)", ())]),
        (
            'startsWith(substring(process.name, 3), ".e")',
            True,
            [("process.name", ("cmd.exe",)), ("substring(process.name, 3)", (".exe",))],
        ),
    ],
)
def test_clause_shows_what_it_saw(condition: str, is_true: bool, seen: list[Any]):
    """The field's values, and what functions made of them; nothing where there is no value."""
    clause = explain(condition)

    assert (clause.is_true, clause.junction) == (is_true, Junction.CLAUSE)
    assert clause.seen == tuple(Seen(*item) for item in seen)


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ('process.name : ("pow*", "CMD*", "*.exe")', ('"CMD*"', '"*.exe"')),
        ('process.name in ("a", "cmd.exe")', ('"cmd.exe"',)),
        ('process.name in ("a", "b")', ()),
        ('process.name : "cmd*"', ()),
        ('process.name regex ("[a-z]*.exe", "x")', ('"[a-z]*.exe"',)),
        # Joined these are one expression; the first alone is none.
        ('process.name regex ("(x", "cmd).exe")', ()),
    ],
)
def test_constants_that_were_met_are_named(condition: str, met: tuple[str, ...]):
    """Only of lists, and only where the clause is true."""
    assert explain(condition).met == met


def test_not_has_its_inside_below_it():
    """The outer truth and the inner one, with what the inner one saw."""
    clause = explain('not process.name : "x*"')
    (inner,) = clause.children

    assert (clause.junction, clause.is_true, inner.is_true) == (Junction.NOT, True, False)
    assert inner.seen == (Seen("process.name", ("cmd.exe",)),)


def test_query_has_its_category_first():
    """What stands before ``where`` is a clause like the others; ``any`` has none."""
    explanation = compile_query("file where process.pid == 4").explain(EVENT)

    assert not explanation.is_true
    assert [(child.text, child.is_true) for child in explanation.children] == [
        ('event.category == "file"', False),
        ("process.pid == 4", True),
    ]


def test_sequence_has_its_steps():
    """A step needs its join keys, too; an optional one may be missing."""
    query = compile_query(
        """sequence by host.id, ?user.id with maxspan=1m
        [process where true] by process.pid ![file where true] by file.id
        until [any where process.pid == 4] by process.pid"""
    )
    explanation = query.explain(EVENT)

    assert not explanation.is_true
    assert [child.text for child in explanation.children] == [
        "step 1: process where",
        "step 2 (missing): file where",
        "until: any where",
    ]
    assert [child.text for child in explanation.children[0].children][1:] == [
        "true",
        "host.id != null",
        "process.pid != null",
    ]
    assert query.explain({**EVENT, "host": {"id": "h"}}).children[0].is_true


def test_field_that_is_mapped_nowhere_is_null():
    """As in Elasticsearch, a condition on it and its negation are both false."""
    query = compile_query('any where not ?gone : "x"', mapped_fields=["process.name"])
    (clause,) = query.explain(EVENT).children

    assert not clause.is_true
    assert not clause.children[0].is_true


def test_explanation_reads_as_text():
    """For a look in the interpreter: one clause a line, indented."""
    text = str(explain('process.pid > 5 or not a.b : "x"'))

    assert text.splitlines() == [
        "true   any of",
        "false    process.pid > 5   saw process.pid = 4",
        "true     not",
        'false      a.b : "x"   saw a.b = no value',
    ]


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_truth_is_the_matchers(seed: int):
    """Of the whole and, by the junctions, of every part; whatever query and event."""
    rng = Random(seed)
    text = f"{rng.choice(('any', 'process'))} where {random_condition(rng)}"
    body = parse_query(text).body
    explainer = compile_explainer(body)
    matches = compile_event_query(body, CompileOptions())
    for _ in range(4):
        event = Event(random_event(rng))
        explanation = explainer(event)
        assert explanation.is_true == matches(event), (text, event.document)
        for clause in every_clause(explanation):
            below = [child.is_true for child in clause.children]
            match clause.junction:
                case Junction.ALL:
                    assert clause.is_true == all(below), (text, clause.text)
                case Junction.ANY:
                    assert clause.is_true == any(below), (text, clause.text)
                case Junction.NOT:
                    assert [clause.is_true] == [not below[0]], (text, clause.text)
