"""Printing and parsing agree; the normal form has no superfluous characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from streamproc.eql.nodes import (
    And,
    Arithmetic,
    Call,
    Comparison,
    EventQuery,
    Expr,
    Field,
    Literal,
    Membership,
    Negate,
    Not,
    Or,
    PatternMatch,
    Pipe,
    Query,
    Sample,
    Sequence,
    SequenceTerm,
)
from streamproc.eql.parser import parse_query
from streamproc.eql.printer import print_expression, print_query

# what is written, its normal form (empty: as written)
FORMS = [
    ("process where true", ""),
    ("any  where\n\tTrue_", "any where True_"),
    ('"process" where a', "process where a"),
    ('"any" where a', ""),
    ('"my cat" where a', ""),
    ("any where ((a))", "any where a"),
    ("any where not (a == 1)", "any where a != 1"),
    ("any where not (a in (1))", "any where a not in (1)"),
    ('any where not (a : "x")', 'any where not a : "x"'),
    ("any where not not a", ""),
    ("any where not (a and b) or (c and d)", "any where not (a and b) or c and d"),
    ("any where (a or b) and not (c or d)", ""),
    ('any where a like ("x")', 'any where a like "x"'),
    ('any where a regex~ ("x","y")', 'any where a regex~ ("x", "y")'),
    ("any where LENGTH(a)>1", "any where length(a) > 1"),
    ('any where ENDSWITH~(a,"x")', 'any where endsWith~(a, "x")'),
    ("any where a-(b-1)==-1", "any where a - (b - 1) == -1"),
    ("any where (a-b)-1==1", "any where a - b - 1 == 1"),
    ("any where -(a+b)*2==1", "any where -(a + b) * 2 == 1"),
    ('any where a == """c:\\x"""', 'any where a == "c:\\\\x"'),
    ('any where a == "\\u{0b}\\n"', ""),
    ("any where `a`.`b-c`.`and` == ?`d`", "any where a.`b-c`.`and` == ?d"),
    ("any where `a``b`", ""),
    ("any where `a..b`", ""),
    ("any where a == 1. or a == 1", "any where a == 1.0 or a == 1"),
    ("any where true|head 5|tail 1", "any where true | head 5 | tail 1"),
    (
        "sequence by a with maxspan=90s [p where a] by b ![p where a] by ?c with runs=2"
        " until [p where c] by d",
        "sequence by a with maxspan=90s\n  [p where a] by b\n  ![p where a] by ?c with runs=2\n"
        "  until [p where c] by d",
    ),
    (
        "sequence with maxspan=3600000ms [p where a] [p where b]",
        "sequence with maxspan=1h\n  [p where a]\n  [p where b]",
    ),
    ("sample by a [p where a] [p where b]", "sample by a\n  [p where a]\n  [p where b]"),
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_normal_form(text: str, expected: str) -> None:
    query = parse_query(text)
    assert print_query(query) == (expected or text)
    assert parse_query(print_query(query)) == query


def test_expression() -> None:
    body = parse_query("any where not (a == 1 or b == 2)").body
    assert isinstance(body, EventQuery)
    assert print_expression(body.condition) == "not (a == 1 or b == 2)"


# --- trees ------------------------------------------------------------------------------

PATHS = st.text(max_size=8).filter(bool) | st.sampled_from(
    ["a", "process.name", "and", "x.in.y", "@timestamp", "a-b", "a`b", ".", "a..b", "like"]
)
FIELDS = st.builds(Field, PATHS, st.booleans())
STRINGS = st.builds(Literal, st.text(max_size=10))
INTEGERS = st.integers(-(2**64) + 1, 2**64 - 1)
NUMBERS = st.builds(Literal, INTEGERS | st.floats(allow_nan=False, allow_infinity=False))
FLAGS = st.builds(Literal, st.booleans() | st.none())
CONSTANTS = STRINGS | NUMBERS | FLAGS


def listed(values: SearchStrategy[Literal]) -> SearchStrategy[tuple[Literal, ...]]:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


def negated(operand: Expr) -> Expr:
    """Minus a number is a number in the tree, as the parser builds it."""
    return operand if isinstance(operand, Literal) else Negate(operand)


OPERATORS = st.sampled_from("+-*/%")
SUMS = st.recursive(
    NUMBERS | FIELDS | st.builds(lambda a: Call("length", (a,)), FIELDS),
    lambda inner: st.builds(negated, inner) | st.builds(Arithmetic, OPERATORS, inner, inner),
    max_leaves=6,
)
TEXTS = st.recursive(
    STRINGS | FIELDS,
    lambda inner: (
        st.builds(lambda *args: Call("concat", args), inner, SUMS)
        | st.builds(lambda *args: Call("substring", args), inner, SUMS, SUMS)
        | st.builds(lambda *args: Call("between", args, is_insensitive=True), inner, inner, inner)
    ),
    max_leaves=4,
)
LEAVES = (
    FIELDS
    | FLAGS
    | st.builds(Comparison, st.sampled_from(["==", "<", "<=", ">", ">="]), SUMS | TEXTS, CONSTANTS)
    | st.builds(Comparison, st.just("=="), CONSTANTS, SUMS | TEXTS)
    | st.builds(Membership, FIELDS, listed(CONSTANTS))
    | st.builds(Membership, SUMS, listed(NUMBERS))
    | st.builds(Membership, TEXTS, listed(STRINGS), st.booleans())
    | st.builds(
        PatternMatch,
        st.sampled_from([":", "like", "like~", "regex", "regex~"]),
        TEXTS,
        listed(STRINGS),
    )
    | st.builds(
        lambda text, part, tilde: Call("endsWith", (text, part), tilde),
        TEXTS,
        TEXTS,
        st.booleans(),
    )
)


def flat(node: type[And] | type[Or]) -> SearchStrategy[Expr]:
    """A flat ``and`` or ``or``: the parser leaves none directly inside its own kind."""
    terms = CONDITIONS.filter(lambda term: not isinstance(term, node))
    return st.builds(node, st.lists(terms, min_size=2, max_size=3).map(tuple))


CONDITIONS: SearchStrategy[Expr] = st.deferred(
    lambda: (
        LEAVES
        | LEAVES
        | LEAVES
        | st.builds(Not, CONDITIONS)
        | st.builds(Comparison, st.just("=="), st.builds(Literal, st.booleans()), CONDITIONS)
        | flat(And)
        | flat(Or)
    )
)
EVENTS = st.builds(EventQuery, st.none() | st.text(max_size=6) | st.just("process"), CONDITIONS)
PIPES = st.lists(st.builds(Pipe, st.sampled_from(["head", "tail"]), st.integers(0, 99)), max_size=2)


@st.composite
def sequences(draw: st.DrawFn) -> Sequence | Sample:
    """A sequence or a sample that keeps the static rules."""
    count = draw(st.integers(0, 2))
    keys = st.lists(FIELDS, min_size=count, max_size=count).map(tuple)
    first = draw(st.builds(SequenceTerm, EVENTS, keys, st.integers(2, 4)))
    rest = st.builds(SequenceTerm, EVENTS, keys, st.integers(1, 3), st.booleans())
    terms = (first, *draw(st.lists(rest, max_size=2)))
    plain = st.builds(SequenceTerm, EVENTS, keys)
    if draw(st.booleans()):
        return Sample((draw(plain), draw(plain)), (draw(FIELDS),))
    shared = draw(st.lists(FIELDS, max_size=2).map(tuple))
    maxspan = draw(st.integers(1, 10**10))
    return Sequence(terms, shared, maxspan, draw(st.none() | plain))


def shape(node: object) -> str:
    """The tree without its spans, telling 1, 1.0 and True apart."""
    if isinstance(node, tuple):
        return f"({', '.join(map(shape, node))})"
    slots = [slot for slot in getattr(type(node), "__slots__", ()) if slot != "span"]
    if not slots:
        return repr(node)
    return f"{type(node).__name__}({', '.join(shape(getattr(node, slot)) for slot in slots)})"


@settings(deadline=None, max_examples=300)
@given(st.builds(Query, EVENTS, PIPES.map(tuple)))
def test_event_queries_parse_back(query: Query) -> None:
    """parse(print(tree)) is the tree, and prints the same again."""
    printed = print_query(query)
    again = parse_query(printed)
    assert shape(again) == shape(query)
    assert print_query(again) == printed


@settings(deadline=None, max_examples=100)
@given(st.builds(Query, sequences(), PIPES.map(tuple)))
def test_sequences_and_samples_parse_back(query: Query) -> None:
    assert shape(parse_query(print_query(query))) == shape(query)
