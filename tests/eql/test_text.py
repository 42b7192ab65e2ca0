"""Folding, keyword text, Java's numbers and UTF-16 units."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.text import fold_ascii, from_units, java_text, keyword_text, to_units


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_fold_ascii_changes_ascii_letters_only(text):
    """The same as folding each ASCII character by itself."""
    expected = "".join(c.lower() if c.isascii() else c for c in text)

    assert fold_ascii(text) == expected


def test_fold_ascii_leaves_lone_surrogates():
    """Such text cannot come from JSON bytes, but from Python callers."""
    assert fold_ascii("A\ud800B") == "a\ud800b"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (True, "true"),
        (False, "false"),
        ("x", "x"),
        (2.0, "2.0"),
        (-7.5, "-7.5"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.001, "0.001"),
        (0.00012, "1.2E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (12345678.5, "1.23456785E7"),
        (-1.5e-10, "-1.5E-10"),
        (1e300, "1.0E300"),
        (123456789012345680.0, "1.2345678901234568E17"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
    ],
)
def test_java_text_prints_as_java(value, expected):
    """Java's toString."""
    assert java_text(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_java_text_of_a_double_reads_back(value):
    """Whatever the form, it is the same number."""
    assert float(java_text(value)) == value


def test_keyword_text_of_a_float_is_its_json_text():
    """Not Java's form: a keyword field takes the text of the JSON token."""
    assert keyword_text(1e16) == "1e+16"


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_units_count_utf16_and_read_back(text):
    """One character per UTF-16 unit, and back again."""
    units = to_units(text)

    assert len(units) == len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert from_units(units) == text
