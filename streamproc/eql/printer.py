"""Syntax tree to query text, in one normal form.

Law of the file: the text parses back to the same tree, and the same tree always gives the same
text. Parentheses and back-ticks stand only where the grammar needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from streamproc.eql.lexer import KEYWORDS
from streamproc.eql.nodes import (
    And,
    Arithmetic,
    Body,
    Call,
    Comparison,
    EventQuery,
    Expr,
    Field,
    Literal,
    Membership,
    Negate,
    Not,
    Or,
    PatternMatch,
    Query,
    Sequence,
    SequenceTerm,
)

# How tightly each form binds, loosest first, as in the grammar of the parser.
_OR: Final = 1
_AND: Final = 2
_NOT: Final = 3
_COMPARISON: Final = 4
_SUM: Final = 5
_PRODUCT: Final = 6
_SIGNED: Final = 7
_TESTED: Final = 8
_PRIMARY: Final = 9

_IDENTIFIER = re.compile(r"[A-Za-z_@][A-Za-z0-9_]*\Z")
_NEEDS_ESCAPE = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t"}
_ESCAPES |= {"\n": "\\n", "\f": "\\f", "\r": "\\r"}
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def print_query(query: Query) -> str:
    """The normal form of a statement; a sequence takes one line for each step."""
    pipes = (f" | {pipe.name} {pipe.count}" for pipe in query.pipes)
    return _body(query.body) + "".join(pipes)


def print_expression(expression: Expr) -> str:
    """The normal form of a condition or a part of one, on one line."""
    return _bound(expression)[1]


def _body(body: Body) -> str:
    if isinstance(body, EventQuery):
        return _event(body)
    by = _by(body.keys)
    if not isinstance(body, Sequence):
        return "\n  ".join([f"sample{by}", *map(_term, body.terms)])
    within = "" if body.maxspan_ms is None else f" with maxspan={_duration(body.maxspan_ms)}"
    until = () if body.until is None else (f"until {_term(body.until)}",)
    return "\n  ".join([f"sequence{by}{within}", *map(_term, body.terms), *until])


def _event(event: EventQuery) -> str:
    category = event.category
    if category is None:
        category = "any"
    elif category in KEYWORDS or not _IDENTIFIER.match(category):
        category = _string(category)
    return f"{category} where {print_expression(event.condition)}"


def _term(term: SequenceTerm) -> str:
    opening = "![" if term.is_missing else "["
    runs = f" with runs={term.runs}" if term.runs != 1 else ""
    return f"{opening}{_event(term.query)}]{_by(term.keys)}{runs}"


def _by(keys: Iterable[Field]) -> str:
    names = ", ".join(_field(key) for key in keys)
    return f" by {names}" if names else ""


def _duration(milliseconds: int) -> str:
    for unit, size in _UNITS:
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


# --- expressions ------------------------------------------------------------------------


def _bound(expression: Expr) -> tuple[int, str]:
    """The text of an expression and how tightly it binds."""
    return _PRINTERS[type(expression)](expression)


def _inside(expression: Expr, least: int) -> str:
    """The text of a part that has to bind at least so tightly, in parentheses if it does not."""
    binding, text = _bound(expression)
    return text if binding >= least else f"({text})"


def _literal(literal: Literal) -> tuple[int, str]:
    value = literal.value
    if isinstance(value, str):
        return _PRIMARY, _string(value)
    if value is None:
        return _PRIMARY, "null"
    if isinstance(value, bool):
        return _PRIMARY, "true" if value else "false"
    text = repr(value)
    return (_SIGNED if text.startswith("-") else _PRIMARY), text


def _call(call: Call) -> tuple[int, str]:
    tilde = "~" if call.is_insensitive else ""
    return _PRIMARY, f"{call.name}{tilde}({', '.join(map(print_expression, call.args))})"


def _negate(negate: Negate) -> tuple[int, str]:
    return _SIGNED, f"-{_inside(negate.operand, _SIGNED)}"


def _arithmetic(arithmetic: Arithmetic) -> tuple[int, str]:
    binding = _SUM if arithmetic.op in "+-" else _PRODUCT
    left = _inside(arithmetic.left, binding)
    right = _inside(arithmetic.right, binding + 1)
    return binding, f"{left} {arithmetic.op} {right}"


def _comparison(comparison: Comparison, op: str = "") -> tuple[int, str]:
    left = _inside(comparison.left, _SUM)
    right = _inside(comparison.right, _SUM)
    return _COMPARISON, f"{left} {op or comparison.op} {right}"


def _membership(membership: Membership, op: str = "in") -> tuple[int, str]:
    operand = _inside(membership.operand, _PRIMARY)
    tilde = "~" if membership.is_insensitive else ""
    values = ", ".join(map(print_expression, membership.values))
    return _TESTED, f"{operand} {op}{tilde} ({values})"


def _pattern_match(match: PatternMatch) -> tuple[int, str]:
    operand = _inside(match.operand, _PRIMARY)
    patterns = ", ".join(map(print_expression, match.patterns))
    if len(match.patterns) > 1:
        patterns = f"({patterns})"
    return _TESTED, f"{operand} {match.op} {patterns}"


def _not(negation: Not) -> tuple[int, str]:
    operand = negation.operand
    if isinstance(operand, Comparison) and operand.op == "==":
        return _comparison(operand, "!=")
    if isinstance(operand, Membership):
        return _membership(operand, "not in")
    return _NOT, f"not {_inside(operand, _NOT)}"


def _and(conjunction: And) -> tuple[int, str]:
    return _AND, " and ".join(_inside(term, _NOT) for term in conjunction.terms)


def _or(disjunction: Or) -> tuple[int, str]:
    return _OR, " or ".join(_inside(term, _AND) for term in disjunction.terms)


def _string(value: str) -> str:
    return f'"{_NEEDS_ESCAPE.sub(_escape, value)}"'


def _escape(character: re.Match[str]) -> str:
    return _ESCAPES.get(character[0]) or f"\\u{{{ord(character[0]):02x}}}"


def _field(field: Field) -> str:
    optional = "?" if field.is_optional else ""
    pieces = field.path.split(".")
    # A path with nothing between two dots can only be written as one back-ticked piece.
    if "" in pieces:
        pieces = [field.path]
    return optional + ".".join(map(_piece, pieces))


def _piece(name: str) -> str:
    if _IDENTIFIER.match(name) and name not in KEYWORDS:
        return name
    doubled = name.replace("`", "``")
    return f"`{doubled}`"


_PRINTERS: dict[type, Callable[..., tuple[int, str]]] = {
    Literal: _literal,
    Field: lambda field: (_PRIMARY, _field(field)),
    Call: _call,
    Negate: _negate,
    Arithmetic: _arithmetic,
    Comparison: _comparison,
    Membership: _membership,
    PatternMatch: _pattern_match,
    Not: _not,
    And: _and,
    Or: _or,
}
