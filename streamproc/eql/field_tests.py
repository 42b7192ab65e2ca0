"""One value of a field against the constants of a leaf: ``==``, ``in``, ``<``, ``:``, ``regex``.

Law of the file: the type of the field decides how constants are read (dates, addresses,
versions), and where it has none, the JSON type of each value decides: a number compares with
``"100"`` as a number, text compares with ``5`` as the text ``"5"``. A constant that the field's
type cannot read raises ``ValueError``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from streamproc.eql.addresses import NetworkSet, parse_address, parse_network
from streamproc.eql.dates import parse_instant, parse_stretch
from streamproc.eql.event import Value
from streamproc.eql.functions import COMPARE
from streamproc.eql.nodes import Scalar
from streamproc.eql.regex import compile_regex
from streamproc.eql.text import fold_ascii, keyword_text
from streamproc.eql.types import FieldType
from streamproc.eql.versions import version_key
from streamproc.eql.wildcards import (
    Glob,
    TextTests,
    compile_tests,
    parse_lucene_wildcard,
    parse_wildcard,
    sort_globs,
)

_NUMBER = re.compile(r"[+-]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})([eE][+-]?\d{1,4})?", re.ASCII)


class Source(Enum):
    """In which form a test wants a value: as it is, as keyword text, or as folded text."""

    VALUES = "values"
    TEXTS = "texts"
    FOLDED = "folded"


class FieldTest(NamedTuple):
    """A test of one value.

    Attributes:
        source: The form of the value that ``test`` takes.
        test: The test.
        exact: Where given, membership in this set is the whole test, on any Python value.
        cost: About how expensive one test is; 1 is a set look-up.
    """

    source: Source
    test: Callable[[Any], bool]
    exact: frozenset[Scalar] | None = None
    cost: int = 1

    def holds(self, value: Value) -> bool:
        """Apply the test to a raw value."""
        if self.source is Source.VALUES:
            return self.test(value)
        text = keyword_text(value)
        return self.test(fold_ascii(text) if self.source is Source.FOLDED else text)


def exact_test(source: Source, members: frozenset[Scalar]) -> FieldTest:
    """Membership in a set."""
    return FieldTest(source, members.__contains__, members)


def equality_test(constants: Sequence[Scalar], kind: FieldType) -> FieldTest:
    """``==`` with any of the constants; nulls among them match nothing.

    Raises:
        ValueError: A constant is no date or no address, on such a field.
    """
    known = [constant for constant in constants if constant is not None]
    match kind:
        case FieldType.DATE:
            return _date_equality([parse_stretch(_no_bool(constant)) for constant in known])
        case FieldType.IP:
            networks = NetworkSet(parse_network(keyword_text(constant)) for constant in known)
            return _address_test(networks)
        case FieldType.VERSION:
            return exact_test(Source.TEXTS, frozenset(map(keyword_text, known)))
    return _plain_equality(known)


def folded_equality_test(constants: Sequence[Scalar]) -> FieldTest:
    """``in~``: equality of text without regard to ASCII case."""
    texts = (keyword_text(constant) for constant in constants if constant is not None)
    return exact_test(Source.FOLDED, frozenset(map(fold_ascii, texts)))


def order_test(op: str, constant: str | int | float | bool, kind: FieldType) -> FieldTest:
    """``<``, ``<=``, ``>`` or ``>=`` with a constant.

    Raises:
        ValueError: The constant is no date or no address, on such a field.
    """
    match kind:
        case FieldType.DATE:
            return _date_order(op, parse_stretch(_no_bool(constant)))
        case FieldType.IP:
            return _address_order(op, keyword_text(constant))
        case FieldType.VERSION:
            compare, key = COMPARE[op], version_key(keyword_text(constant))
            return FieldTest(Source.TEXTS, lambda text: compare(version_key(text), key), cost=6)
    return _plain_order(op, constant)


def pattern_test(op: str, constants: Sequence[Scalar]) -> FieldTest:
    """``:``, ``like``, ``like~``, ``regex`` or ``regex~`` with any of the constants.

    Raises:
        ValueError: A regular expression is wrong.
    """
    texts = [keyword_text(constant) for constant in constants if constant is not None]
    if op in ("regex", "regex~"):
        return FieldTest(Source.TEXTS, compile_regex(texts, op == "regex~"), cost=8)
    is_folded = op != "like"
    globs = [parse_wildcard(fold_ascii(text) if is_folded else text) for text in texts]
    return _glob_test(sort_globs(globs), is_folded)


def affix_test(name: str, constant: str, is_insensitive: bool) -> FieldTest:
    """startsWith, endsWith or stringContains of a bare field with a constant.

    Elasticsearch runs the last two as wildcard queries without escaping the constant, so ``*``
    and ``?`` in it are wildcards and a backslash makes the next character literal.
    """
    text = fold_ascii(constant) if is_insensitive else constant
    if name == "startsWith":
        glob = Glob((tuple(text), ()))
    else:
        glob = parse_lucene_wildcard(f"*{text}" if name == "endsWith" else f"*{text}*")
    return _glob_test(sort_globs([glob]), is_insensitive)


def network_test(blocks: Sequence[str]) -> FieldTest:
    """Membership of an address in any of the networks: cidrMatch of a bare field.

    Raises:
        ValueError: A block is no network.
    """
    return _address_test(NetworkSet(map(parse_network, blocks)))


def _glob_test(tests: TextTests, is_folded: bool) -> FieldTest:
    source = Source.FOLDED if is_folded else Source.TEXTS
    if tests.is_exact():
        return exact_test(source, frozenset(tests.exact))
    cost = 2 + (len(tests.inner) + 3 * len(tests.others)) // 4
    return FieldTest(source, compile_tests(tests), cost=cost)


def _no_bool(constant: str | int | float | bool) -> str | int | float:
    if isinstance(constant, bool):
        raise ValueError(f"{keyword_text(constant)} is not a date")
    return constant


def _as_number(text: str) -> int | float | None:
    """The number that a constant in quotes stands for on a numeric field."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _plain_equality(constants: list[str | int | float | bool]) -> FieldTest:
    texts = frozenset(map(keyword_text, constants))
    numbers: set[int | float] = set()
    for constant in constants:
        number = _as_number(constant) if isinstance(constant, str) else constant
        if isinstance(constant, bool) or number is None:
            continue
        numbers.add(number)
    truths = frozenset(
        value == "true" if isinstance(value, str) else value
        for value in constants
        if isinstance(value, bool) or value in ("true", "false")
    )
    if not numbers and all(isinstance(constant, str) for constant in constants):
        return exact_test(Source.TEXTS, texts)
    if not truths and numbers.isdisjoint((0, 1)):
        # Python's True equals 1, which is why 0 and 1 are not decided by one look-up.
        return exact_test(Source.VALUES, texts | frozenset(numbers))

    def matches(value: Value) -> bool:
        if isinstance(value, bool):
            return value in truths
        return value in (texts if isinstance(value, str) else numbers)

    return FieldTest(Source.VALUES, matches, cost=2)


def _plain_order(op: str, constant: str | int | float | bool) -> FieldTest:
    compare = COMPARE[op]
    text = keyword_text(constant)
    number = _as_number(constant) if isinstance(constant, str) else constant
    is_truth = isinstance(constant, bool)

    def matches(value: Value) -> bool:
        if isinstance(value, str):
            return not is_truth and compare(value, text)
        if isinstance(value, bool) or is_truth:
            return is_truth and isinstance(value, bool) and compare(value, constant)
        return number is not None and compare(value, number)

    return FieldTest(Source.VALUES, matches, cost=2)


def _date_equality(stretches: list[tuple[int, int]]) -> FieldTest:
    def matches(value: Value) -> bool:
        instant = parse_instant(value)
        return instant is not None and any(first <= instant <= last for first, last in stretches)

    return FieldTest(Source.VALUES, matches, cost=6)


def _date_order(op: str, stretch: tuple[int, int]) -> FieldTest:
    compare = COMPARE[op]
    # Elasticsearch rounds the bound up for ">" and "<=", down for "<" and ">=".
    bound = stretch[1] if op in (">", "<=") else stretch[0]

    def matches(value: Value) -> bool:
        instant = parse_instant(value)
        return instant is not None and compare(instant, bound)

    return FieldTest(Source.VALUES, matches, cost=6)


def _address_test(networks: NetworkSet) -> FieldTest:
    def matches(text: str) -> bool:
        address = parse_address(text)
        return address is not None and address in networks

    return FieldTest(Source.TEXTS, matches, cost=3)


def _address_order(op: str, constant: str) -> FieldTest:
    bound = parse_address(constant)
    if bound is None:
        raise ValueError(f"{constant!r} is not an IP address")
    compare = COMPARE[op]

    def matches(text: str) -> bool:
        address = parse_address(text)
        return address is not None and compare(address, bound)

    return FieldTest(Source.TEXTS, matches, cost=3)
