"""Real rules: an event made to match each of them is among its rule's candidates.

Reads a checkout of Elastic's detection rules beside the repository, if there is one. Events are
solved from the rule's tree (values for what must hold, nothing for what must not) until the
compiled matcher confirms one.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from streamproc.engine.prefilter import Prefilter
from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import (
    And,
    Call,
    Comparison,
    EventQuery,
    Expr,
    Field,
    Literal,
    Membership,
    Not,
    Or,
    PatternMatch,
    Sequence,
)
from streamproc.eql.parser import parse_query
from tests.properties.spellings import encode, layout

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "detection-rules"
SHIPPED = Path(__file__).parents[2] / "rules"
TRIES = 60
SOLVED_SHARE = 0.9  # of the corpus; the rest needs values that the solver cannot make up

Fields = dict[str, list[Any]]


@functools.cache
def queries() -> tuple[tuple[str, EventQuery], ...]:
    """Name and query of every event rule and of every step of a sequence."""
    found = []
    for folder in (SHIPPED, CORPUS):
        for path in sorted(folder.rglob("*.toml")):
            rule = tomllib.loads(path.read_text(encoding="utf-8")).get("rule", {})
            if rule.get("language") != "eql":
                continue
            body = parse_query(rule["query"]).body
            if isinstance(body, EventQuery):
                found.append((path.name, body))
            elif isinstance(body, Sequence):
                found += [(path.name, term.query) for term in body.terms]
    return tuple(found)


class Solver:
    """Draws values that might satisfy an expression."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.fields: Fields = {}

    def add(self, field: Expr, value: Any) -> None:
        if isinstance(field, Call) and field.args:
            field = field.args[0]
        if isinstance(field, Field):
            known = self.fields.setdefault(field.path, [])
            if value not in known:
                known.append(value)

    def holds(self, expr: Expr) -> None:
        match expr:
            case And(terms):
                for term in terms:
                    self.holds(term)
            case Or(terms):
                self.holds(self.rng.choice(terms))
            case Not(operand):
                self.fails(operand)
            case _:
                self.leaf(expr)

    def leaf(self, expr: Expr) -> None:
        match expr:
            case Comparison(op, Call("length") as call, Literal(int() as value)):
                self.add(call, "x" * (value + (op in (">", ">="))))
            case Comparison("==", left, Literal(value)) if value is not None:
                self.add(left, value)
            case Comparison(op, left, Literal(int() | float() as value)):
                self.add(left, value + {">": 1, "<": -1}.get(op, 0))
            case Membership(operand, values):
                self.add(operand, self.rng.choice(values).value)
            case PatternMatch(op, operand, patterns) if not op.startswith("regex"):
                self.add(operand, self.filled(str(self.rng.choice(patterns).value)))
            case Call("cidrMatch", (field, *blocks)):
                self.add(field, str(self.rng.choice(blocks).value).partition("/")[0])
            case Call(_, (field, Literal(str() as text))):
                self.add(field, text.replace("\\", "").replace("*", ""))
            case Field():
                self.add(expr, True)
            case _:
                pass

    def fails(self, expr: Expr) -> None:
        match expr:
            case And(terms):
                self.fails(self.rng.choice(terms))
            case Or(terms):
                for term in terms:
                    self.fails(term)
            case Not(operand):
                self.holds(operand)
            case Comparison("==", operand, Literal(None)):
                self.add(operand, self.rng.choice(("some value", 1)))
            case _:
                pass

    def filled(self, pattern: str) -> str:
        star = self.rng.choice(("", "q", "x y", "C:\\z\\"))
        return pattern.replace("*", star).replace("?", self.rng.choice("Cq1"))


def solved(query: EventQuery, rng: Random) -> Fields | None:
    """Fields of an event that the matcher accepts; None if none was found."""
    matches = compile_event_query(query, CompileOptions())
    for _ in range(TRIES):
        solver = Solver(rng)
        solver.holds(query.condition)
        if query.category is not None:
            solver.add(Field("event.category"), query.category)
        document = {path: values for path, values in solver.fields.items()}
        if matches(Event(document)):
            return solver.fields
    return None


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no checkout of detection rules beside this one")
def test_solved_events_are_candidates_of_their_rule() -> None:
    """One prefilter over all rules keeps every solved event for its rule, escaped or not."""
    rng = Random(20260821)
    prefilter = Prefilter([required_clauses(query) for _, query in queries()])
    values, owners = [], []
    for position, (_, query) in enumerate(queries()):
        fields = solved(query, rng)
        if fields is None:
            continue
        single = {path: value[0] if len(value) == 1 else value for path, value in fields.items()}
        values.append(orjson.dumps(single))
        other = {path: flipped(v) if path != "event.category" else v for path, v in single.items()}
        values.append(encode(rng, layout(rng, other), 0.0).encode())
        values.append(encode(rng, layout(rng, single), rng.choice((0.01, 0.5))).encode())
        owners += [position] * 3
    found = dict(prefilter.candidates(values))
    for index, position in enumerate(owners):
        document = orjson.loads(values[index])
        name, query = queries()[position]
        if compile_event_query(query, CompileOptions())(Event(document)):
            assert position in found.get(index, ()), (name, values[index])
    assert len(values) / 3 >= SOLVED_SHARE * len(queries())


def flipped(value: Any) -> Any:
    """Strings in the other case; whether the event still matches is the matcher's to say."""
    if isinstance(value, list):
        return [flipped(item) for item in value]
    return value.swapcase() if isinstance(value, str) else value


def test_shipped_rules_need_their_literals() -> None:
    """No shipped rule is a candidate for a record that has none of its texts."""
    shipped = [query for name, query in queries() if any(SHIPPED.rglob(name))]
    assert Prefilter([required_clauses(query) for query in shipped]).candidates([b"{}"]) == []
