"""The automaton and RE2 are two engines of one language: they must agree."""

from __future__ import annotations

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.lucene_automaton import compile_automaton
from streamproc.eql.lucene_syntax import Complement, Intersection, parse_lucene
from streamproc.eql.regex import to_re2

ATOMS = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", '"ab"', "()", "@", "#", "[a-c]", "<1-12>", "1", "0"]
)
COUNTS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}", "{0}"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, COUNTS).map(lambda pair: f"({pair[0]}){pair[1]}"),
    ),
    max_leaves=8,
)
VALUES = st.lists(st.text("abcA01é\n😀", max_size=5), min_size=8, max_size=8)


@given(PATTERNS, VALUES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_both_engines_agree(pattern, values, is_insensitive):
    """On patterns without complement and intersection, which RE2 does not have."""
    node = parse_lucene(pattern, is_insensitive)
    fullmatch = re2.compile(to_re2(node).encode()).fullmatch
    matches = compile_automaton(node)

    for value in values:
        assert matches(value) is (fullmatch(value.encode()) is not None), value


@given(PATTERNS, PATTERNS, VALUES)
@settings(max_examples=150, deadline=None)
def test_complement_and_intersection_follow_logic(left, right, values):
    """``~a`` is the opposite of ``a``; ``a&b`` is both."""
    first, second = parse_lucene(left), parse_lucene(right)
    is_first, is_second = compile_automaton(first), compile_automaton(second)
    is_not_first = compile_automaton(Complement(first))
    is_both = compile_automaton(Intersection((first, second)))

    for value in values:
        assert is_not_first(value) is not is_first(value)
        assert is_both(value) is (is_first(value) and is_second(value))
