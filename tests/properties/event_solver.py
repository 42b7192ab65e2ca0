"""Events made to match a query, from its syntax tree, and what breaks them again.

Values are drawn for what must hold, nothing is put where something must not hold, until the
compiled matcher accepts the event. What breaks an event again is read off the tree and asks no
matcher: without a value, a condition on a field that is not negated is false.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.lucene_syntax import (
    Chars,
    Concat,
    Intersection,
    Node,
    Repeat,
    Union,
    parse_lucene,
)
from streamproc.eql.nodes import (
    And,
    Arithmetic,
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
)
from streamproc.eql.simplify import fields_of

TRIES = 400

Fields = dict[str, list[Any]]

# What a field that ends so usually holds, for conditions that only compare parts of fields.
_TYPICAL = {
    "path": "C:\\w\\x.dll",
    "executable": "C:\\w\\y.exe",
    "name": "x.dll",
    "command_line": "y.exe -a b c",
}
_PROCESS_NAME = "y.exe"


def solved(query: EventQuery, rng: Random, category_field: str = "event.category") -> Fields | None:
    """Fields of an event that the matcher accepts; None if none was found."""
    options = CompileOptions(event_category_field=category_field)
    matches = compile_event_query(query, options)
    for _ in range(TRIES):
        solver = Solver(rng)
        solver.holds(query.condition)
        if query.category is not None:
            solver.add(Field(category_field), query.category)
        if matches(Event(dict(solver.fields))):
            return solver.fields
    return None


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
            case PatternMatch(op, operand, patterns):
                texts = [str(pattern.value) for pattern in patterns]
                is_regex = op.startswith("regex")
                made = self.sampled(parse_lucene("|".join(texts))) if is_regex else ""
                self.add(operand, made or self.filled(self.rng.choice(texts)))
            case Call():
                self.call(expr)
            case Field():
                self.add(expr, True)

    def call(self, expr: Call) -> None:
        match expr:
            case Call("cidrMatch", (field, *blocks)):
                self.add(field, str(self.rng.choice(blocks).value).partition("/")[0])
            case Call(name, (field, Literal(str() as text))):
                self.add(field, text if name == "startsWith" else _unescaped(text))
            case Call(_, (Field() as left, Field() as right)):
                self.add(left, "same")
                self.add(right, "same")
            case Call(_, args):
                self.typical(args)

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

    def typical(self, args: tuple[Expr, ...]) -> None:
        for path in {path for argument in args for path in fields_of(argument)}:
            last = path.rpartition(".")[2]
            value = _PROCESS_NAME if path == "process.name" else _TYPICAL.get(last, "same")
            self.add(Field(path), value)

    def filled(self, pattern: str) -> str:
        star = self.rng.choice(("", "q", "x y", "C:\\z\\"))
        return pattern.replace("*", star).replace("?", self.rng.choice("Cq1"))

    def sampled(self, node: Node) -> str:
        """A string that a regular expression matches (but for complements)."""
        match node:
            case Chars(ranges):
                low, high = self.rng.choice([pair for pair in ranges if pair[1] >= 32] or ranges)
                # Of ``.`` a letter: anything would do, and most of it is not to be seen.
                return "q" if low <= ord("q") <= high else chr(max(low, 33) if high > 33 else low)
            case Concat(parts):
                return "".join(map(self.sampled, parts))
            case Union(parts) | Intersection(parts):
                return self.sampled(self.rng.choice(parts))
            case Repeat(operand, low, high):
                most = low + 2 if high is None else min(high, low + 2)
                return "".join(
                    self.sampled(operand) for _ in range(self.rng.randrange(low, most + 1))
                )
            case _:
                return "q"


def _unescaped(text: str) -> str:
    """A text that a constant of ``endsWith`` or ``stringContains`` means, as Lucene reads it."""
    return text.replace("\\", "").replace("*", "")


def breaking_fields(expr: Expr) -> Iterator[frozenset[str]]:
    """Yield sets of fields; an event that has no value in any field of a set cannot match.

    One for each term of an ``and`` that demands a value.
    """
    match expr:
        case And(terms):
            for term in terms:
                yield from breaking_fields(term)
        case Or(terms):
            every = [next(breaking_fields(term), frozenset()) for term in terms]
            if all(every):
                yield frozenset().union(*every)
        case Not(Comparison("==", Field(path), Literal(None))):
            yield frozenset((path,))
        case Comparison(_, left, right) if Literal(None) not in (left, right):
            yield from _needed(left, right)
        case Membership(operand) | PatternMatch(_, operand):
            yield from _needed(operand)
        case Field(path):
            yield frozenset((path,))
        case Call(_, args):
            yield from _needed(*args[:1])


def _needed(*operands: Expr) -> Iterator[frozenset[str]]:
    """The fields of operands that are null without them, all of them taken away."""
    if all(_is_null_without_values(operand) for operand in operands):
        paths = frozenset(path for operand in operands for path in fields_of(operand))
        if paths:
            yield paths


def _is_null_without_values(expr: Expr) -> bool:
    """Whether an operand with its fields taken away is surely null (or is a constant)."""
    match expr:
        case Literal() | Field():
            return True
        case Call(_, (first, *_)):
            return bool(fields_of(first)) and _is_null_without_values(first)
        case Arithmetic(_, left, right):
            return _is_null_without_values(left) and _is_null_without_values(right)
        case _:
            return False
