"""Wildcard patterns against a plain reference of the same language."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.wildcards import (
    compile_tests,
    parse_lucene_wildcard,
    parse_wildcard,
    sort_globs,
)


def _reference(pattern: str, text: str) -> bool:
    """Row by row: which prefixes of the text does this much of the pattern match?"""
    row = [True] + [False] * len(text)
    for sign in pattern:
        if sign == "*":
            row = list(accumulate(row, lambda before, here: before or here))
        else:
            row = [False] + [row[at] and sign in ("?", c) for at, c in enumerate(text)]
    return row[-1]


def _matches(pattern: str, text: str) -> bool:
    return compile_tests(sort_globs([parse_wildcard(pattern)]))(text)


def _matches_lucene(pattern: str, text: str) -> bool:
    return compile_tests(sort_globs([parse_lucene_wildcard(pattern)]))(text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "line\nline", True),
        ("?*", "", False),
        ("?*", "\n", True),
        ("?", "😀", True),
        ("??", "😀", False),
        ("cmd.exe?", "cmd.exe", False),
        ("cmd?exe", "cmd\nexe", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("ab*ba", "aba", False),
        ("*ab*ab*", "xabxab", True),
        ("*ab*ab*", "xabb", False),
        ("a*b?d*e", "axxbcdxe", True),
        ("*?b", "b", False),
        ("c:\\win*", "c:\\windows", True),
        ("c:\\*", "c:\\", True),
        ("\\*", "*", False),
        ("\\*", "\\x", True),
        ("100%_[a]{1}", "100%_[a]{1}", True),
        ("a.c", "abc", False),
        ("A*", "abc", False),
    ],
)
def test_wildcard_matches_whole_values(pattern, text, expected):
    """``*`` any run, ``?`` exactly one code point, everything else literal."""
    assert _matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*\\*", "abc*", True),
        ("*\\*", "abcd", False),
        ("a\\?c", "abc", False),
        ("a\\?c", "a?c", True),
        ("a\\\\*", "a\\b", True),
        ("ab\\", "ab\\", True),
        ("\\a\\b", "ab", True),
        ("**a**", "xax", True),
        ("**", "", True),
    ],
)
def test_lucene_wildcard_escapes_with_backslash(pattern, text, expected):
    """The next character is literal; a backslash at the end is itself."""
    assert _matches_lucene(pattern, text) is expected


@given(
    st.lists(st.text("ab?*", max_size=8), min_size=1, max_size=6),
    st.text("ab", max_size=10),
)
@settings(max_examples=400, deadline=None)
def test_any_list_of_patterns_agrees_with_the_reference(patterns, text):
    """However patterns are sorted and combined, any of them decides."""
    expected = any(_reference(pattern, text) for pattern in patterns)

    assert compile_tests(sort_globs(map(parse_wildcard, patterns)))(text) is expected
    assert compile_tests(sort_globs(map(parse_lucene_wildcard, patterns)))(text) is expected


def test_sort_globs_puts_each_pattern_where_it_is_cheap():
    """Exact values, prefixes, suffixes and inner literals leave only the general ones."""
    tests = sort_globs(map(parse_wildcard, ["a", "b*", "*c", "*d*", "e*f", "g?", "*h*i*"]))

    assert tests[:4] == (frozenset("a"), ("b",), ("c",), ("d",))
    assert len(tests.others) == 3


def test_many_stars_do_not_blow_up():
    """A pattern that makes backtracking matchers run for years."""
    assert not _matches("*a" * 60 + "b", "a" * 5000)
