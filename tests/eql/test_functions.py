"""Every function by rows of arguments and result, in the plain and the ``~`` form."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.functions import (
    BOOLEAN_FUNCTIONS,
    FOLDING_FUNCTIONS,
    FUNCTIONS,
    calculate,
    cidr_match,
    compare,
    negate,
)
from streamproc.eql.signatures import SIGNATURES

ROWS = [
    ("add", (1, 2), 3),
    ("add", (1, 2.0), 3.0),
    ("add", (1, None), None),
    ("add", ("1", 2), None),
    ("add", (True, 2), None),
    ("add", (2**64 - 1, 1), None),
    ("subtract", (1, -5), 6),
    ("subtract", (-(2**63), 1), None),
    ("multiply", (6, 5), 30),
    ("multiply", (2**40, 2**40), None),
    ("multiply", (1e200, 1e200), math.inf),
    ("divide", (30, 4.0), 7.5),
    ("divide", (7, 3), 2),
    ("divide", (-7, 3), -2),
    ("divide", (7, -3), -2),
    ("divide", (-1, 2), 0),
    ("divide", (1, 0), None),
    ("divide", (1.0, 0), math.inf),
    ("divide", (-1.0, 0), -math.inf),
    ("modulo", (11, 10), 1),
    ("modulo", (-1, 2), -1),
    ("modulo", (7, -3), 1),
    ("modulo", (-7.5, 2), -1.5),
    ("modulo", (1, 0), None),
    ("between", ("System Idle Process", "S", "e"), "yst"),
    ("between", ("System Idle Process", "S", "e", True), "ystem Idle Proc"),
    ("between", ("System Idle Process", "s", "e", False), "t"),
    ("between", ("abc", "x", "c"), ""),
    ("between", ("abc", "a", "x"), ""),
    ("between", ("aXa", "X", "X"), ""),
    ("between", ("ab", "b", "a", True), ""),
    ("between", ("abc", "", "c"), "abc"),
    ("between", ("abc", "a", ""), "abc"),
    ("between", ("", "a", "b"), ""),
    ("between", (None, "a", "b"), None),
    ("between", ("abc", None, "c"), None),
    ("between", ("abc", "a", "c", None), None),
    ("cidrMatch", ("10.1.2.3", "192.168.0.0/16", "10.6.48.157/8"), True),
    ("cidrMatch", ("11.1.2.3", "192.168.0.0/16", "10.6.48.157/8"), False),
    ("cidrMatch", ("fe80::1", "fe80::/10"), True),
    ("cidrMatch", (None, "10.0.0.0/8"), None),
    ("cidrMatch", ("host", "10.0.0.0/8"), None),
    ("cidrMatch", (5, "10.0.0.0/8"), None),
    ("concat", (5, "::", "wininit.exe", True, 2.0), "5::wininit.exetrue2.0"),
    ("concat", ("a",), "a"),
    ("concat", ("a", None), None),
    ("endsWith", ("explorer.exe", ".exe"), True),
    ("endsWith", ("explorer.exe", ".EXE"), False),
    ("endsWith", ("x", ""), True),
    ("endsWith", ("x", "*"), False),
    ("endsWith", (None, "x"), None),
    ("endsWith", ("x", None), None),
    ("startsWith", ("explorer.exe", "explo"), True),
    ("startsWith", ("explorer.exe", "Explo"), False),
    ("startsWith", ("x", ""), True),
    ("startsWith", (4688, "46"), True),
    ("startsWith", (None, "x"), None),
    ("indexOf", ("explorer.exe", "plore"), 2),
    ("indexOf", ("explorer.exe", "plore", 2), 2),
    ("indexOf", ("explorer.exe", "plore", 3), None),
    ("indexOf", ("explorer.exe", "plore", 100), None),
    ("indexOf", ("explorer.exe", "plore", -5), 2),
    ("indexOf", ("explorer.exe", "", 3), 3),
    ("indexOf", ("abc", "", 3), 3),
    ("indexOf", ("abc", "", 4), None),
    ("indexOf", ("explorer.exe", "PLORE"), None),
    ("indexOf", ("😀x", "x"), 2),
    ("indexOf", (None, "x"), None),
    ("indexOf", ("x", None), None),
    ("indexOf", ("x", "x", "0"), None),
    ("length", ("abc",), 3),
    ("length", ("",), 0),
    ("length", ("é😀",), 3),
    ("length", (4688,), 4),
    ("length", (None,), None),
    ("number", ("5",), 5),
    ("number", ("-5",), -5),
    ("number", ("5.5",), 5.5),
    ("number", (".5",), 0.5),
    ("number", ("1e3",), 1000.0),
    ("number", ("0x32",), 50),
    ("number", ("0x32", 16), 50),
    ("number", ("32", 16), 50),
    ("number", ("ff", 16), 255),
    ("number", ("17", None), 17),
    ("number", ("31", 13), 40),
    ("number", ("0x32", 10), None),
    ("number", ("12", 2), None),
    ("number", ("1.5", 16), None),
    ("number", ("5", 99), None),
    ("number", ("1_000",), None),
    ("number", (" 5",), None),
    ("number", ("",), None),
    ("number", ("x",), None),
    ("number", ("9" * 5000,), None),
    ("number", ("99999999999999999999",), None),
    ("number", (7,), 7),
    ("number", (True,), None),
    ("number", (None,), None),
    ("string", (5,), "5"),
    ("string", (2.0,), "2.0"),
    ("string", (True,), "true"),
    ("string", ("x",), "x"),
    ("string", (None,), None),
    ("stringContains", ("explorer", "lore"), True),
    ("stringContains", ("explorer", "Lore"), False),
    ("stringContains", ("explorer", "l*e"), False),
    ("stringContains", ("explorer", ""), False),
    ("stringContains", ("", "x"), False),
    ("stringContains", (None, "x"), None),
    ("substring", ("explorer.exe", 1, 3), "xp"),
    ("substring", ("explorer.exe", -4), ".exe"),
    ("substring", ("explorer.exe", -4, -1), ".ex"),
    ("substring", ("abc", 5), ""),
    ("substring", ("abc", 2, 1), ""),
    ("substring", ("abc", -9, 99), "abc"),
    ("substring", ("abc", None, 1), "abc"),
    ("substring", ("abc", "1"), None),
    ("substring", ("abc", 1.0), None),
    ("substring", ("a😀b", 3), "b"),
    ("substring", ("a😀b", 1, 3), "😀"),
    ("substring", (None, 1), None),
]
FOLDING_ROWS = [
    ("between", ("System Idle Process", "s", "E"), "yst"),
    ("between", ("System Idle Process", "s", "e", True), "ystem Idle Proc"),
    ("between", ("Éa", "é", "a"), ""),
    ("endsWith", ("EXPLORER.EXE", "lorer.exe"), True),
    ("endsWith", ("CAFÉ", "é"), False),
    ("startsWith", ("explorer.exeaAAAA", "EXPLORER.exe"), True),
    ("stringContains", ("EXPLORER", "lore"), True),
    ("stringContains", ("EXPLORER", ""), False),
    ("indexOf", ("explorer.exe", "pLOrer.", 2), 2),
    ("indexOf", ("explorer.exe", ".pf"), None),
]


def _same(result: object, expected: object) -> bool:
    return type(result) is type(expected) and result == expected


@pytest.mark.parametrize(("name", "arguments", "expected"), ROWS)
def test_function_computes(name, arguments, expected):
    """One row of the table; the type counts too."""
    assert _same(FUNCTIONS[name](*arguments), expected)


@pytest.mark.parametrize(("name", "arguments", "expected"), FOLDING_ROWS)
def test_folding_function_computes(name, arguments, expected):
    """The ``~`` form ignores the case of ASCII letters only."""
    assert _same(FOLDING_FUNCTIONS[name](*arguments), expected)


def test_tables_name_the_functions_of_the_signatures():
    """What parses is what runs, and every function has rows here."""
    names = {signature.name for signature in SIGNATURES.values()}

    assert set(FUNCTIONS) == names
    assert set(FOLDING_FUNCTIONS) == {s.name for s in SIGNATURES.values() if s.takes_tilde}
    assert {name for name, *_ in ROWS} == names
    assert {name for name, *_ in FOLDING_ROWS} == set(FOLDING_FUNCTIONS)
    assert names >= BOOLEAN_FUNCTIONS


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("==", 1, 1.0, True),
        ("==", "Foo", "foo", False),
        ("<", "Foo", "foo", True),
        ("<", None, 5, None),
        ("==", "5", 5, None),
        ("==", True, 1, None),
        ("==", True, True, True),
        (">=", 2**63, 1.5, True),
        ("<", math.nan, 1, False),
    ],
)
def test_compare_knows_null_and_types(op, left, right, expected):
    """Values of different types compare to null; numbers are one type."""
    assert compare(op, left, right) is expected


@pytest.mark.parametrize(
    ("value", "expected"), [(5, -5), (-2.5, 2.5), (None, None), ("5", None), (True, None)]
)
def test_negate_takes_numbers(value, expected):
    """Everything else is null."""
    assert _same(negate(value), expected)


def test_cidr_match_refuses_a_wrong_network():
    """When the query is compiled."""
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        cidr_match(("10.0.0.0/99",))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just("0x1f")
)


@given(
    st.sampled_from([s for s in SIGNATURES.values() if s.name != "cidrMatch"]),
    st.lists(SCALARS, min_size=4, max_size=4),
)
@settings(max_examples=500, deadline=None)
def test_no_function_raises(signature, values):
    """Whatever an event holds."""
    arguments = values[: signature.max_args or 4]

    for count in range(signature.min_args, len(arguments) + 1):
        FUNCTIONS[signature.name](*arguments[:count])
        if signature.takes_tilde:
            FOLDING_FUNCTIONS[signature.name](*arguments[:count])


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1).filter(bool))
@settings(max_examples=200, deadline=None)
def test_quotient_and_remainder_fit_together(left, right):
    """Java's law: the remainder has the sign of the dividend."""
    quotient, rest = calculate("/", left, right), calculate("%", left, right)

    assert quotient * right + rest == left
    assert rest == 0 or (rest < 0) == (left < 0)
    assert abs(rest) < abs(right)
