"""What each EQL function computes from one value per argument.

Law of the file: no function raises on values that an event may hold. Null in, null out, unless
the table in the language reference says otherwise; a value of the wrong type, an overflow of 64
bits and a division by zero give null, where Elasticsearch fails the whole query. Numbers given
to a text function are read as their keyword text. Positions count UTF-16 units.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from streamproc.eql.addresses import NetworkSet, parse_address, parse_network
from streamproc.eql.event import Value
from streamproc.eql.text import fold_ascii, from_units, java_text, keyword_text, to_units

Nullable: TypeAlias = Value | None
Function: TypeAlias = Callable[..., Nullable]

LONG_MIN, UNSIGNED_LONG_MAX = -(2**63), 2**64 - 1
_INTEGER = re.compile(r"[+-]?[0-9A-Za-z]{1,70}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)
_MAX_NUMBER_LENGTH = 400


def calculate(op: str, left: Nullable, right: Nullable) -> Nullable:
    """``left op right`` as Java does it: integers truncate toward zero, a double makes doubles."""
    if not (_is_number(left) and _is_number(right)):
        return None
    if isinstance(left, int) and isinstance(right, int):
        return _calculate_long(op, left, right)
    try:
        return _calculate_double(op, float(left), float(right))  # type: ignore[arg-type]
    except OverflowError:
        return None


def negate(value: Nullable) -> Nullable:
    """Unary minus."""
    if isinstance(value, float):
        return -value
    return calculate("-", 0, value)


def compare(op: str, left: Nullable, right: Nullable) -> bool | None:
    """A comparison of two computed values; None when either is null or the types differ."""
    if left is None or right is None:
        return None
    if not (_is_number(left) and _is_number(right)) and type(left) is not type(right):
        return None
    return bool(COMPARE[op](left, right))


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def cidr_match(blocks: tuple[str, ...]) -> Callable[[Nullable], bool | None]:
    """The test of an address against networks; null for null and for text that is no address.

    Raises:
        ValueError: A block is no network.
    """
    networks = NetworkSet(parse_network(block) for block in blocks)

    def matches(value: Nullable) -> bool | None:
        address = parse_address(value) if isinstance(value, str) else None
        return None if address is None else address in networks

    return matches


def _is_number(value: Nullable) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_long(value: Nullable) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _in_range(value: int) -> int | None:
    return value if LONG_MIN <= value <= UNSIGNED_LONG_MAX else None


def _calculate_long(op: str, left: int, right: int) -> int | None:
    match op:
        case "+":
            return _in_range(left + right)
        case "-":
            return _in_range(left - right)
        case "*":
            return _in_range(left * right)
    if right == 0:
        return None
    quotient = abs(left) // abs(right)
    if (left < 0) != (right < 0):
        quotient = -quotient
    return _in_range(quotient if op == "/" else left - quotient * right)


def _calculate_double(op: str, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            if right == 0:
                return math.nan if left == 0 or math.isnan(left) else _infinity(left, right)
            return left / right
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def _infinity(left: float, right: float) -> float:
    return math.copysign(1.0, left) * math.copysign(1.0, right) * math.inf


def _between(
    text: str, left: str, right: str, is_greedy: Nullable = False, *, fold: bool = False
) -> str | None:
    if not isinstance(is_greedy, bool):
        return None
    if not (text and left and right):
        return text
    # Folding keeps every position: it replaces letters one by one.
    searched = fold_ascii(text) if fold else text
    if fold:
        left, right = fold_ascii(left), fold_ascii(right)
    start = searched.find(left)
    if start < 0:
        return ""
    start += len(left)
    end = searched.rfind(right, start) if is_greedy else searched.find(right, start)
    return text[start:end] if end >= 0 else ""


def _ends_with(text: str, end: str, *, fold: bool = False) -> bool:
    return fold_ascii(text).endswith(fold_ascii(end)) if fold else text.endswith(end)


def _starts_with(text: str, start: str, *, fold: bool = False) -> bool:
    return fold_ascii(text).startswith(fold_ascii(start)) if fold else text.startswith(start)


def _string_contains(text: str, part: str, *, fold: bool = False) -> bool:
    if not (text and part):
        return False
    return fold_ascii(part) in fold_ascii(text) if fold else part in text


def _index_of(text: str, part: str, start: Nullable = None, *, fold: bool = False) -> int | None:
    if not (start is None or _is_long(start)):
        return None
    if fold:
        text, part = fold_ascii(text), fold_ascii(part)
    place = to_units(text).find(to_units(part), max(0, int(start or 0)))
    return place if place >= 0 else None


def _length(text: str) -> int:
    return len(to_units(text))


def _substring(text: str, start: Nullable = None, end: Nullable = None) -> str | None:
    if start is None:
        return text
    if not _is_long(start) or not (end is None or _is_long(end)):
        return None
    return from_units(to_units(text)[int(start) : None if end is None else int(end)])


def _number(value: Nullable, base: Nullable = None) -> Nullable:
    if _is_number(value):
        return value
    if not isinstance(value, str) or len(value) > _MAX_NUMBER_LENGTH:
        return None
    if not (base is None or (_is_long(base) and 2 <= int(base) <= 36)):
        return None
    is_hex = value.startswith("0x") and base in (None, 16)
    radix = 16 if is_hex else int(base or 10)
    digits = value[2:] if is_hex else value
    if _INTEGER.fullmatch(digits):
        try:
            return _in_range(int(digits, radix))
        except ValueError:
            # Also "1e5", which the decimal form below reads; never int()'s own "0x1" prefixes.
            pass
    return float(digits) if radix == 10 and _DECIMAL.fullmatch(digits) else None


def _string(value: Nullable) -> str | None:
    return None if value is None else java_text(value)


def _concat(*values: Nullable) -> str | None:
    pieces = []
    for value in values:
        if value is None:
            return None
        pieces.append(java_text(value))
    return "".join(pieces)


def _on_texts(function: Callable[..., Nullable], count: int) -> Function:
    """``function`` with its first ``count`` arguments null-checked and read as text."""

    def call(*values: Nullable) -> Nullable:
        texts = []
        for value in values[:count]:
            if value is None:
                return None
            texts.append(keyword_text(value))
        return function(*texts, *values[count:])

    return call


_FOLDING: Mapping[str, tuple[Callable[..., Nullable], int]] = {
    "between": (_between, 3),
    "endsWith": (_ends_with, 2),
    "startsWith": (_starts_with, 2),
    "stringContains": (_string_contains, 2),
    "indexOf": (_index_of, 2),
}

#: Canonical name to function, for the plain (case-sensitive) form. ``cidrMatch`` is bound to its
#: networks first: see ``cidr_match`` and ``bind_function``.
FUNCTIONS: Mapping[str, Function] = {
    "add": partial(calculate, "+"),
    "subtract": partial(calculate, "-"),
    "multiply": partial(calculate, "*"),
    "divide": partial(calculate, "/"),
    "modulo": partial(calculate, "%"),
    "concat": _concat,
    "length": _on_texts(_length, 1),
    "number": _number,
    "string": _string,
    "substring": _on_texts(_substring, 1),
    "cidrMatch": lambda address, *blocks: cidr_match(blocks)(address),
    **{name: _on_texts(function, count) for name, (function, count) in _FOLDING.items()},
}

#: The same for the ``~`` form.
FOLDING_FUNCTIONS: Mapping[str, Function] = {
    name: _on_texts(partial(function, fold=True), count)
    for name, (function, count) in _FOLDING.items()
}

#: Functions whose result is true or false: ``fn(..) == false`` is ``not fn(..)``.
BOOLEAN_FUNCTIONS = frozenset({"cidrMatch", "endsWith", "startsWith", "stringContains"})
