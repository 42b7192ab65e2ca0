"""Lucene regular expressions: every sentence of the syntax as rows of pattern and value."""

from __future__ import annotations

import pytest

from streamproc.eql.regex import compile_regex

YES = [
    # whole value, newlines, anchors are literals
    (".*", "a\nb"),
    ("a.c", "a\nc"),
    ("a[^b]c", "a\nc"),
    ("^a$", "^a$"),
    # operators
    ("ab|cd", "cd"),
    ("ab?", "a"),
    ("ab*", "abbb"),
    ("ab+", "ab"),
    ("a{2}", "aa"),
    ("a{2,}", "aaaa"),
    ("a{1,3}", "aaa"),
    ("(ab)+", "abab"),
    ("()", ""),
    ("x()y", "xy"),
    ("@", "anything\nat all"),
    ("a@", "abc"),
    ("~b", "a"),
    ("~(abc)", "ab"),
    ("~(abc)", ""),
    ("a~bc", "axyc"),
    ("~~a", "a"),
    ("a.*&.*b", "axb"),
    ("(a.*&.*b)c", "axbc"),
    ("#|a", "a"),
    ("<1-100>", "7"),
    ("<1-100>", "100"),
    ("<1-100>", "0042"),
    ("<01-10>", "05"),
    ("<100-1>", "50"),
    ("a<99-101>b", "a100b"),
    ('"a.b"', "a.b"),
    ('"(?:"x', "(?:x"),
    ('""', ""),
    # quantifiers: double ones, and literals where an atom is expected
    ("a+?", ""),
    ("a+?", "aaa"),
    ("a*?", ""),
    ("*a", "*a"),
    ("+a", "+a"),
    ("?a", "?a"),
    ("{a", "{a"),
    ("(?i)abc", "?iabc"),
    ("a||b", "a"),
    ("a||b", "|b"),
    ("a{3,2}|b", "b"),
    # escapes and classes
    (r"\.\\\*", r".\*"),
    (r"\"", '"'),
    (r"\d\D", "1x"),
    (r"\s\S", "\tx"),
    (r"\w\W", "_-"),
    (r"[\d_]+", "1_2"),
    (r"[\w-]+", "a-b"),
    (r"[^\s]", "x"),
    ("[-a]", "-"),
    ("[a-c-]" + "x|y", "y"),
    ("[]a]", "]"),
    ("[^]a]", "b"),
    (r"[\]\-]+", "]-"),
    ("[.*+]", "+"),
    ("[a-c]", "b"),
    ("[é-ü]", "ö"),
    (".", "😀"),
    ("[^a]", "😀"),
    ("€+", "€€"),
]
NO = [
    ("line", "line1\nline2"),
    ("a", "ab"),
    ("^a$", "a"),
    ("a{2}", "aaa"),
    ("a{1,3}", "aaaa"),
    ("~(abc)", "abc"),
    ("a.*&.*b", "ax"),
    ("#", ""),
    ("#", "#"),
    ("a#", "a"),
    ("<1-100>", "101"),
    ("<1-100>", "0"),
    ("<01-10>", "5"),
    ("<01-10>", "005"),
    ("<1-100>", ""),
    ("a{3,2}", "aa"),
    (r"\d", "d"),
    (r"\s", "\f"),
    (r"\w", "é"),
    (r"\d", "\u0661"),
    ("a||b", "b"),
    ("(?i)abc", "ABC"),
    ("(?i)abc", "iabc"),
    ("<0-9>", "000"),
    ("[a-c]", "B"),
    ("abc", "ABC"),
    ("..", "😀"),
]
YES_INSENSITIVE = [
    ("abc", "AbC"),
    ("[abc]x", "BX"),
    ('"abc"', "aBc"),
    (r"cmd\.exe", "CMD.EXE"),
    ("[a-c]X", "bx"),
    (r"\w", "A"),
    ("[^a]", "b"),
    ("É", "É"),
]
NO_INSENSITIVE = [
    ("[a-c]x", "BX"),
    ("[A-C]x", "bX"),
    ("[^a]", "A"),
    ("é", "É"),
    ("k", "\u212a"),
    ("ß", "SS"),
]


@pytest.mark.parametrize(
    ("pattern", "value", "is_insensitive", "expected"),
    [(*row, False, True) for row in YES]
    + [(*row, False, False) for row in NO]
    + [(*row, True, True) for row in YES_INSENSITIVE]
    + [(*row, True, False) for row in NO_INSENSITIVE],
)
def test_regex_decides_as_lucene(pattern, value, is_insensitive, expected):
    """One row of the table."""
    assert compile_regex([pattern], is_insensitive)(value) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a", "expected"),
        ("a)", "unexpected"),
        ("[a", "expected"),
        ("[a-]", "range"),
        ("[+-]", "expected"),
        ("[c-a]", "range"),
        ("a{,3}", "number"),
        ("a{2", "expected"),
        ("a{x}", "number"),
        ('a"b', "unbalanced"),
        ("a<b", "unbalanced"),
        ("<5>", "interval"),
        ("<a-b>", "interval"),
        ("<1-2-3>", "interval"),
        ("<-5>", "interval"),
        (r"\n", "unknown escape"),
        (r"\t", "unknown escape"),
        (r"\bx", "unknown escape"),
        (r"\x41", "unknown escape"),
        (r"\p{L}", "unknown escape"),
        (r"[\n]", "unknown escape"),
        ("a\\", "ends"),
        ("a|", "ends"),
        ("(a|)", "expected"),
        ("~", "ends"),
        ("a" * 1001, "1001 characters"),
        ("(" * 90 + "a" + ")" * 90, "deeper"),
        ("~((a|b)*a(a|b){20})", "states"),
        ("((a{1,100}){1,100}){1,100}", "complex"),
    ],
)
def test_regex_refuses_with_a_reason(pattern, reason):
    """When the query is compiled, not when an event comes."""
    with pytest.raises(ValueError, match=reason):
        compile_regex([pattern], is_insensitive=False)


def test_patterns_of_a_list_are_joined_before_parsing():
    """As Elasticsearch does: neither half is a pattern by itself."""
    matches = compile_regex(["(a", "b)c"], is_insensitive=False)

    assert matches("ac")
    assert matches("bc")


def test_counts_beyond_those_of_re2_are_honoured():
    """RE2 stops at 1000 repetitions."""
    matches = compile_regex(["a{1200}"], is_insensitive=False)

    assert matches("a" * 1200)
    assert not matches("a" * 1199)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "~((a+)+b)b", "(a|aa)+&(a*)*b"])
def test_no_pattern_is_slow(pattern):
    """Patterns that take backtracking engines longer than anyone waits."""
    assert not compile_regex([pattern], is_insensitive=False)("a" * 20_000)


def test_lone_surrogates_do_not_raise():
    """They cannot come from JSON bytes, but from Python callers."""
    assert compile_regex(["a.c"], is_insensitive=False)("a\ud800c")
