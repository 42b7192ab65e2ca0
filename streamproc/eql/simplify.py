"""The tree that is compiled: constants folded, sugar of conditions removed.

Law of the file: simplifying never changes which events match, with one exception that is
Elasticsearch's own: an optional field that is mapped nowhere becomes the literal null, and null
is folded three-valued (``not null`` is null, so ``not ?gone : "x"`` matches nothing).

A simplified condition is And, Or and Not over leaves, or a single Literal; a leaf with a constant
has it on the right; a bare field is ``field == true``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.functions import BOOLEAN_FUNCTIONS
from streamproc.eql.nodes import (
    And,
    Arithmetic,
    Call,
    Comparison,
    Expr,
    Field,
    Literal,
    Membership,
    Negate,
    Not,
    Or,
    PatternMatch,
    Span,
)
from streamproc.eql.scripts import NO_COLUMNS, compile_script

_MIRRORED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TRUE, _FALSE, _NULL = Literal(True), Literal(False), Literal(None)


@contextmanager
def faults_at(span: Span, text: str) -> Iterator[None]:
    """Turn a ``ValueError`` about a constant into an EqlSyntaxError that shows the place."""
    try:
        yield
    except ValueError as error:
        raise EqlSyntaxError(str(error), text, span) from error


@dataclass(frozen=True, slots=True)
class Simplifier:
    """Simplifies conditions of one query.

    Attributes:
        mapped_fields: The fields that exist; None: all do.
        text: The query text, for errors.
    """

    mapped_fields: frozenset[str] | None = None
    text: str = ""

    def condition(self, expr: Expr) -> Expr:
        """``expr`` where true or false is asked for.

        Raises:
            EqlSyntaxError: A constant is wrong for its place.
        """
        match expr:
            case Field():
                return _FALSE if self._is_gone(expr) else Comparison("==", expr, _TRUE, expr.span)
            case Not(operand):
                return _not(self.condition(operand), expr.span)
            case And(terms):
                return _and([self.condition(term) for term in terms], expr.span)
            case Or(terms):
                return _or([self.condition(term) for term in terms], expr.span)
        value = self.value(expr)
        if isinstance(value, Literal) and not (value.value is None or value.value is True):
            return _FALSE
        return value

    def value(self, expr: Expr) -> Expr:
        """``expr`` where a value is asked for: an operand or an argument."""
        match expr:
            case Literal():
                return expr
            case Field():
                return _NULL if self._is_gone(expr) else expr
            case Call(_, args):
                return self._fold(replace(expr, args=tuple(map(self.value, args))))
            case Negate(operand):
                return self._fold(Negate(self.value(operand), expr.span))
            case Arithmetic(op, left, right):
                return self._fold(Arithmetic(op, self.value(left), self.value(right), expr.span))
            case Comparison(op, left, right):
                return self._comparison(op, self.value(left), self.value(right), expr.span)
            case Membership() | PatternMatch():
                return self._fold(replace(expr, operand=self.value(expr.operand)))
        return self.condition(expr)

    def _is_gone(self, field: Field) -> bool:
        mapped = self.mapped_fields
        return field.is_optional and mapped is not None and field.path not in mapped

    def _fold(self, expr: Expr) -> Expr:
        """The value of ``expr`` if it is made of constants only."""
        if not all(isinstance(part, Literal) for part in _parts(expr)):
            return expr
        with faults_at(_span(expr), self.text):
            return Literal(compile_script(expr, NO_COLUMNS)(()), _span(expr))

    def _comparison(self, op: str, left: Expr, right: Expr, span: Span) -> Expr:
        if isinstance(left, Literal) and not isinstance(right, Literal):
            left, right, op = right, left, _MIRRORED[op]
        if op == "==" and isinstance(right, Literal) and not isinstance(left, Literal):
            if isinstance(right.value, bool) and _is_boolean(left):
                return left if right.value else _not(left, span)
        elif op == "==" and _NULL in (left, right):
            # Two constants, one of them null: Elasticsearch asks "is the other one null?".
            return Literal(left == right, span)
        return self._fold(Comparison(op, left, right, span))


def fields_of(expr: Expr) -> tuple[str, ...]:
    """The paths of all fields in an expression, each once, in order of appearance."""
    found: dict[str, None] = {}
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Field):
            found[node.path] = None
        waiting.extend(reversed(_parts(node)))
    return tuple(found)


def _parts(expr: Expr) -> tuple[Expr, ...]:
    """The operands below an expression; the constants of a list are not among them."""
    match expr:
        case Call(_, args):
            return args
        case Negate(operand) | Not(operand):
            return (operand,)
        case Arithmetic(_, left, right) | Comparison(_, left, right):
            return (left, right)
        case Membership() | PatternMatch():
            return (expr.operand,)
        case And(terms) | Or(terms):
            return terms
    return ()


def _span(expr: Expr) -> Span:
    return expr.span


def _is_boolean(expr: Expr) -> bool:
    """True when the value can only be true, false or null."""
    if isinstance(expr, Call):
        return expr.name in BOOLEAN_FUNCTIONS
    return isinstance(expr, Comparison | Membership | PatternMatch | Not | And | Or)


def _not(operand: Expr, span: Span) -> Expr:
    if isinstance(operand, Literal):
        return operand if operand.value is None else Literal(operand.value is not True, span)
    return operand.operand if isinstance(operand, Not) else Not(operand, span)


def _and(terms: list[Expr], span: Span) -> Expr:
    """False decides, null spoils, true goes."""
    constants = [term.value for term in terms if isinstance(term, Literal)]
    if any(value is False for value in constants):
        return _FALSE
    if None in constants:
        return _NULL
    kept = [term for term in terms if not isinstance(term, Literal)]
    if not kept:
        return _TRUE
    return kept[0] if len(kept) == 1 else And(_flat(kept, And), span)


def _or(terms: list[Expr], span: Span) -> Expr:
    """True decides, null and false go."""
    constants = [term.value for term in terms if isinstance(term, Literal)]
    if any(value is True for value in constants):
        return _TRUE
    kept = [term for term in terms if not isinstance(term, Literal)]
    if not kept:
        return _NULL if None in constants else _FALSE
    return kept[0] if len(kept) == 1 else Or(_flat(kept, Or), span)


def _flat(terms: Iterable[Expr], kind: type[And] | type[Or]) -> tuple[Expr, ...]:
    flat: list[Expr] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, kind) else (term,))
    return tuple(flat)
