"""Expressions computed from one value per field: function calls, arithmetic, nested conditions.

Law of the file: here, and only here, logic is three-valued: null is a value. Whoever asks decides
what null means; a leaf takes it for "no match".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from streamproc.eql.field_tests import (
    FieldTest,
    equality_test,
    folded_equality_test,
    order_test,
    pattern_test,
)
from streamproc.eql.functions import (
    FOLDING_FUNCTIONS,
    FUNCTIONS,
    Nullable,
    calculate,
    cidr_match,
    compare,
    negate,
)
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
)
from streamproc.eql.types import FieldType

Row: TypeAlias = Sequence[Nullable]
Script: TypeAlias = Callable[[Row], Nullable]


class Columns:
    """Where each field of a script stands in its row, and of which type it is."""

    def __init__(self, paths: Sequence[str], kinds: Mapping[str, FieldType]) -> None:
        self._positions = {path: at for at, path in enumerate(paths)}
        self._kinds = kinds

    def position(self, field: Field) -> int:
        """The index of the field's value in a row."""
        return self._positions[field.path]

    def kind(self, expr: Expr) -> FieldType:
        """The type by which constants compare with ``expr``; only fields have one."""
        return self._kinds[expr.path] if isinstance(expr, Field) else FieldType.PLAIN


NO_COLUMNS = Columns((), {})


def compile_script(expr: Expr, columns: Columns) -> Script:
    """The function from a row of field values (None: no value) to the result; null is None.

    Raises:
        ValueError: A constant is wrong for its place (network, date, regular expression).
    """
    match expr:
        case Literal(value):
            return lambda row: value
        case Field():
            position = columns.position(expr)
            return lambda row: row[position]
        case Call():
            return _compile_call(expr, columns)
        case Negate(operand):
            inner = compile_script(operand, columns)
            return lambda row: negate(inner(row))
        case Arithmetic(op, left, right):
            return _compile_binary(
                lambda first, second: calculate(op, first, second), left, right, columns
            )
        case Comparison():
            return _compile_comparison(expr, columns)
        case Membership() | PatternMatch():
            return _compile_test(expr.operand, test_of(expr, columns), columns)
    return _compile_logic(expr, columns)


def test_of(expr: Comparison | Membership | PatternMatch, columns: Columns) -> FieldTest:
    """The test that a leaf with constants on its right makes of one value on its left."""
    if isinstance(expr, PatternMatch):
        return pattern_test(expr.op, [pattern.value for pattern in expr.patterns])
    if isinstance(expr, Membership):
        constants = [value.value for value in expr.values]
        if expr.is_insensitive:
            return folded_equality_test(constants)
        return equality_test(constants, columns.kind(expr.operand))
    if not isinstance(expr.right, Literal) or expr.right.value is None:
        raise AssertionError("a test needs a constant that is not null")
    constant, kind = expr.right.value, columns.kind(expr.left)
    return (
        equality_test([constant], kind) if expr.op == "==" else order_test(expr.op, constant, kind)
    )


def _compile_binary(
    function: Callable[[Nullable, Nullable], Nullable], left: Expr, right: Expr, columns: Columns
) -> Script:
    first, second = compile_script(left, columns), compile_script(right, columns)
    return lambda row: function(first(row), second(row))


def _compile_comparison(expr: Comparison, columns: Columns) -> Script:
    is_test = isinstance(expr.left, Field) and isinstance(expr.right, Literal)
    if expr.op == "==" and isinstance(expr.right, Literal) and expr.right.value is None:
        inner = compile_script(expr.left, columns)
        return lambda row: inner(row) is None
    if is_test and expr.right != Literal(None):
        return _compile_test(expr.left, test_of(expr, columns), columns)
    op = expr.op
    return _compile_binary(
        lambda first, second: compare(op, first, second), expr.left, expr.right, columns
    )


def _compile_test(operand: Expr, test: FieldTest, columns: Columns) -> Script:
    inner, holds = compile_script(operand, columns), test.holds

    def evaluate(row: Row) -> Nullable:
        value = inner(row)
        return None if value is None else holds(value)

    return evaluate


def _compile_call(expr: Call, columns: Columns) -> Script:
    if expr.name == "cidrMatch":
        inner, matches = compile_script(expr.args[0], columns), cidr_match(cidr_blocks(expr))
        return lambda row: matches(inner(row))
    table = FOLDING_FUNCTIONS if expr.is_insensitive else FUNCTIONS
    function = table[expr.name]
    scripts = tuple(compile_script(argument, columns) for argument in expr.args)
    if len(scripts) == 1:
        only = scripts[0]
        return lambda row: function(only(row))
    return lambda row: function(*[script(row) for script in scripts])


def cidr_blocks(expr: Call) -> tuple[str, ...]:
    """The networks of a cidrMatch call.

    Raises:
        ValueError: One is not a constant string.
    """
    blocks = []
    for argument in expr.args[1:]:
        if not (isinstance(argument, Literal) and isinstance(argument.value, str)):
            raise ValueError('cidrMatch takes constant networks such as "10.0.0.0/8"')
        blocks.append(argument.value)
    return tuple(blocks)


def _compile_logic(expr: Not | And | Or, columns: Columns) -> Script:
    """Kleene's logic: unknown unless the known terms decide."""
    if isinstance(expr, Not):
        inner = compile_script(expr.operand, columns)

        def invert(row: Row) -> Nullable:
            value = inner(row)
            return None if value is None else value is not True

        return invert
    scripts = tuple(compile_script(term, columns) for term in expr.terms)
    decisive = isinstance(expr, Or)

    def decide(row: Row) -> Nullable:
        results = [script(row) for script in scripts]
        if decisive in [result for result in results if isinstance(result, bool)]:
            return decisive
        return None if None in results else not decisive

    return decide
