"""Texts that a Lucene regular expression requires; None where it is not surely understood."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.regex import compile_regex
from streamproc.eql.regex_literals import END, START, needs_non_ascii, regex_clauses


def shown(pattern: str) -> list[list[str]] | None:
    clauses = regex_clauses(pattern)
    if clauses is None:
        return None
    return [
        sorted(text.replace(START, "<").replace(END, ">") for text in texts) for texts in clauses
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", [["<abc>"]]),
        (r"a\.b\\", [["<a.b\\>"]]),
        (r".*\.(top|buzz)", [["<"], [".buzz>", ".top>"]]),
        ("ab?c", [["<abc>", "<ac>"]]),
        ("ab*c", [["<a"], ["c>"]]),
        ("a(bc)+d", [["<a"], ["bc"], ["d>"]]),
        ("a(bc)*d", [["<a"], ["d>"]]),
        ("a(bc){2,}d", [["<a"], ["bc"], ["d>"]]),
        ("a(bc){0,3}d", [["<a"], ["d>"]]),
        ("a+?b", [["<"], ["b>"]]),
        ("[24]x", [["<2x>", "<4x>"]]),
        ("[a-f]x", [["<"], ["x>"]]),
        ("[^a]x", [["<"], ["x>"]]),
        (r"\w+k", [["<"], ["k>"]]),
        (r"\"a\@", [['<"a@>']]),
        ("^a$", [["<^a$>"]]),
        ("(how|x.y)z", [["<"], ["how", "x"], ["z>"]]),
        # Operators and corner cases that end the analysis.
        ("", None),
        ("a~b", None),
        ("a&b", None),
        ("a@", None),
        ("a#", None),
        ("<1-9>", None),
        ('"ab"', None),
        ("a|", None),
        ("a||b", None),
        ("()", None),
        ("*a", None),
        ("+a", None),
        ("a{", None),
        ("a{x}", None),
        ("a{,3}", None),
        ("(a", None),
        ("a)", None),
        ("[a", None),
        ("[]a]", None),
        (r"\n", None),
        ("a\\", None),
        ("a" + START, None),
        ("(" * 60 + "a" + ")" * 60, None),
    ],
)
def test_clauses(pattern: str, expected: list[list[str]] | None) -> None:
    """The texts of one pattern, ``<`` and ``>`` standing for the ends of the value."""
    assert shown(pattern) == expected


def test_products_are_bounded() -> None:
    """Many alternatives in a row become several clauses instead of one huge one."""
    clauses = regex_clauses("(a|b|c|d)" * 6)
    assert clauses is not None
    assert max(map(len, clauses)) <= 128
    assert len(clauses) > 1


ATOMS = st.sampled_from(["a", "b", r"\.", "[ab]", "[^a]", "(a|b)", "(ab|c)", ".", "(a.b)"])
QUANTIFIERS = st.sampled_from(["", "", "?", "*", "+", "{2}", "{0,1}", "{1,2}"])
PATTERNS = st.lists(st.tuples(ATOMS, QUANTIFIERS), min_size=1, max_size=4).map(
    lambda parts: "".join(atom + quantifier for atom, quantifier in parts)
)
VALUES = ["".join(letters) for size in range(5) for letters in product("abc.", repeat=size)]


@settings(max_examples=150, deadline=None)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=2))
def test_every_matching_value_has_the_texts(patterns: list[str]) -> None:
    """No value that the matcher accepts lacks a required text."""
    pattern = "|".join(patterns)
    clauses = regex_clauses(pattern)
    assert clauses is not None
    matches = compile_regex([pattern], is_insensitive=False)
    for value in filter(matches, VALUES):
        bounded = START + value + END
        for texts in clauses:
            assert any(text in bounded for text in texts), (pattern, value, texts)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["[à-ÿ]"], True),
        ([".*[ʰ-˿ᴬ-ᶻ]+.*"], True),
        (["a[é]{2,}b"], True),
        (["é|à", "ü"], True),
        (["[^\x00-\x7f]"], True),
        ([".*~([a-z]*)&é"], True),
        (["é", "e"], False),
        (["é|e"], False),
        (["[à-ÿ]*"], False),
        (["é?"], False),
        (["[a-ÿ]"], False),
        (["[^a]"], False),
        (["~(é)"], False),
        (["(é", "é)"], True),
        (["(é"], False),  # wrong
    ],
)
def test_non_ascii(patterns: list[str], expected: bool) -> None:
    """A character beyond ASCII is needed if no branch does without one."""
    assert needs_non_ascii(patterns, is_insensitive=False) is expected
    assert needs_non_ascii(patterns, is_insensitive=True) is expected


FOREIGN = st.sampled_from(["é", "[à-ÿ]", "[^a]", "a", "(é|à)", "(é|a)", ".", "~(é)", "(é&.)"])
FOREIGN_PATTERNS = st.lists(st.tuples(FOREIGN, QUANTIFIERS), min_size=1, max_size=3).map(
    lambda parts: "".join(atom + quantifier for atom, quantifier in parts)
)


@settings(max_examples=150, deadline=None)
@given(patterns=st.lists(FOREIGN_PATTERNS, min_size=1, max_size=2), is_insensitive=st.booleans())
def test_no_value_in_ascii_matches(patterns: list[str], is_insensitive: bool) -> None:
    """What is said to need a character beyond ASCII matches no value without one."""
    if needs_non_ascii(patterns, is_insensitive):
        assert not any(map(compile_regex(patterns, is_insensitive), VALUES))
