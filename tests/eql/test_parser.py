"""The tree says what was written; errors underline the place and say what to write."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.checks import MAX_DEPTH
from streamproc.eql.errors import EqlSyntaxError
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

A, B, C, D = Field("a"), Field("b"), Field("c"), Field("d")
ONE, TWO, X, Y = Literal(1), Literal(2), Literal("x"), Literal("y")
TRUE = EventQuery("p", Literal(True))


def equal(left: Expr, right: Expr) -> Comparison:
    return Comparison("==", left, right)


def condition(text: str) -> Expr:
    body = parse_query(f"any where {text}").body
    assert isinstance(body, EventQuery)
    return body.condition


CONDITIONS = [
    # constants and fields
    ("true", Literal(True)),
    ("a", A),
    ("?a.b", Field("a.b", is_optional=True)),
    ("? a . b", Field("a.b", is_optional=True)),
    ("`a-b`.`c.d`.e", Field("a-b.c.d.e")),
    ("`sequence`", Field("sequence")),
    ("runs and head", And((Field("runs"), Field("head")))),
    ("a == null", equal(A, Literal(None))),
    # signs
    ("a == -1", equal(A, Literal(-1))),
    ("a == - -1", equal(A, ONE)),
    ("a == +1", equal(A, ONE)),
    ("a == -(1)", equal(A, Literal(-1))),
    ("-a == 1", equal(Negate(A), ONE)),
    ("1 - -2 == a", equal(Arithmetic("-", ONE, Literal(-2)), A)),
    # precedence, tight to loose
    ("a + b * 2 == 1", equal(Arithmetic("+", A, Arithmetic("*", B, TWO)), ONE)),
    ("a * b + 2 == 1", equal(Arithmetic("+", Arithmetic("*", A, B), TWO), ONE)),
    ("a - b - 2 == 1", equal(Arithmetic("-", Arithmetic("-", A, B), TWO), ONE)),
    ("a / b % 2 == 1", equal(Arithmetic("%", Arithmetic("/", A, B), TWO), ONE)),
    ("(a + b) * 2 == 1", equal(Arithmetic("*", Arithmetic("+", A, B), TWO), ONE)),
    ("-a * b == 1", equal(Arithmetic("*", Negate(A), B), ONE)),
    ("a-b == 1", equal(Arithmetic("-", A, B), ONE)),
    ("not a == 1", Not(equal(A, ONE))),
    ("a != 1", Not(equal(A, ONE))),
    ("not a != 1", Not(Not(equal(A, ONE)))),
    ("not not a", Not(Not(A))),
    ("not a and b", And((Not(A), B))),
    ("not a : \"x\" and c", And((Not(PatternMatch(":", A, (X,))), C))),
    ("not (a and b)", Not(And((A, B)))),
    ("a or b and c", Or((A, And((B, C))))),
    ("a and b or c", Or((And((A, B)), C))),
    ("(a or b) and c", And((Or((A, B)), C))),
    ("a and b and c", And((A, B, C))),
    ("a and (b and c)", And((A, B, C))),
    ("(a or b) or (c or d)", Or((A, B, C, D))),
    ("true == (a in (1))", equal(Literal(True), Membership(A, (ONE,)))),
    # predicates
    ("a in (1, -2)", Membership(A, (ONE, Literal(-2)))),
    ("a in~ (\"x\")", Membership(A, (X,), is_insensitive=True)),
    ("a not in (1)", Not(Membership(A, (ONE,)))),
    ("a not in~ (\"x\")", Not(Membership(A, (X,), is_insensitive=True))),
    ("not a in (1)", Not(Membership(A, (ONE,)))),
    ("a in ((\"x\"), \"y\")", Membership(A, (X, Y))),
    ("a : \"x\"", PatternMatch(":", A, (X,))),
    ("a like (\"x\", \"y\")", PatternMatch("like", A, (X, Y))),
    ("a like~ \"x\"", PatternMatch("like~", A, (X,))),
    ("a regex \"x\"", PatternMatch("regex", A, (X,))),
    ("a regex~ (\"x\")", PatternMatch("regex~", A, (X,))),
    # functions
    ("LENGTH(a) > 1", Comparison(">", Call("length", (A,)), ONE)),
    ("startsWith~(a, b)", Call("startsWith", (A, B), is_insensitive=True)),
    ("concat(a, 1, b) : \"x\"", PatternMatch(":", Call("concat", (A, ONE, B)), (X,))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CONDITIONS)
def test_condition(text: str, expected: Expr) -> None:
    # Compared as text too: 1, 1.0 and True are equal in Python and are not in EQL.
    assert condition(text) == expected
    values = [repr(literal) for literal in literals(condition(text))]
    assert values == [repr(literal) for literal in literals(expected)]


def literals(node: object) -> list[object]:
    """The values of all literals of a tree, in the order of the text."""
    if isinstance(node, Literal):
        return [node.value]
    if isinstance(node, tuple):
        return [value for part in node for value in literals(part)]
    slots = [] if isinstance(node, str | bool) else getattr(type(node), "__slots__", ())
    return [value for slot in slots if slot != "span" for value in literals(getattr(node, slot))]


STATEMENTS = [
    ("p where true", Query(TRUE)),
    ('"my cat" where true', Query(EventQuery("my cat", Literal(True)))),
    ('"any" where true', Query(EventQuery("any", Literal(True)))),
    ("any where true", Query(EventQuery(None, Literal(True)))),
    ("p where true | head 5 | tail 2", Query(TRUE, (Pipe("head", 5), Pipe("tail", 2)))),
    (
        "sequence [p where true] [p where true]",
        Query(Sequence((SequenceTerm(TRUE), SequenceTerm(TRUE)))),
    ),
    (
        "sequence by a, ?b.c with maxspan=2m [p where true] ![p where true] by d with runs=3"
        " until [p where true]",
        None,
    ),
    (
        "sequence by a, ?b.c with maxspan = 2 m [p where true] by d with runs=3"
        " ![p where true] by d until [p where true] by d",
        Query(
            Sequence(
                (SequenceTerm(TRUE, (D,), 3), SequenceTerm(TRUE, (D,), 1, is_missing=True)),
                (A, Field("b.c", is_optional=True)),
                120_000,
                SequenceTerm(TRUE, (D,)),
            )
        ),
    ),
    (
        "sequence with maxspan=1d [p where true] with runs=2",
        Query(Sequence((SequenceTerm(TRUE, (), 2),), (), 86_400_000)),
    ),
    (
        "sample by a [p where true] [p where true] by b",
        None,
    ),
    (
        "sample by a [p where true] [p where true]",
        Query(Sample((SequenceTerm(TRUE), SequenceTerm(TRUE)), (A,))),
    ),
    (
        "sample [p where true] by a [p where true] by b",
        Query(Sample((SequenceTerm(TRUE, (A,)), SequenceTerm(TRUE, (B,))))),
    ),
]


@pytest.mark.parametrize(("text", "expected"), STATEMENTS)
def test_statement(text: str, expected: Query | None) -> None:
    """None: the steps differ in their number of keys, which is refused."""
    if expected is None:
        with pytest.raises(EqlSyntaxError, match="same number of keys"):
            parse_query(text)
    else:
        assert parse_query(text) == expected


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("5ms", 5), ("5s", 5_000), ("5m", 300_000), ("5h", 18_000_000), ("5d", 432_000_000)],
)
def test_maxspan_units(written: str, milliseconds: int) -> None:
    body = parse_query(f"sequence with maxspan={written} [p where a] [p where b]").body
    assert isinstance(body, Sequence)
    assert body.maxspan_ms == milliseconds


# text, words of the message, the characters underlined
REFUSED = [
    ("", "the query is empty", ""),
    ("p", "expected `where`, but the query ends here", ""),
    ("p where", "but the query ends here", ""),
    ("p where // nothing\n", "but the query ends here", ""),
    ("`p` where true", 'write an event category as "..."', "`p`"),
    ("42 where true", "expected an event category", "42"),
    ("?x where true", "expected an event category", "?"),
    ("p WHERE true", "write `where`", "WHERE"),
    ("p where a == 1 AND b == 2", "write `and`", "AND"),
    ('p where a LIKE "x"', "write `like`", "LIKE"),
    ("p where NOT(a)", "write `not`", "NOT"),
    ('p where a Like~ "x"', "write `like~`", "Like~"),
    ("p where a = 1", "is written `==`", "="),
    ("p where a == 1 b", "expected an operator or the end", "b"),
    ("p where a == 1 == b", "cannot be chained", "=="),
    ("p where a < 1 < 2", "cannot be chained", "<"),
    ("p where a not like \"x\"", "only `not in`", "not"),
    ("p where a not : \"x\"", "only `not in`", "not"),
    ("p where a not == 1", "expected an operator", "not"),
    ("p where a in 1", "expected `(` after `in`", "1"),
    ("p where a in ()", "expected a field, a value", ")"),
    ("p where a in (1, b)", "constants only", "b"),
    ("p where a in (1, length(b))", "constants only", "length(b)"),
    ("p where a in (1", "or `,` in the list of `in`", ""),
    ("p where a : b", "expected a string", "b"),
    ("p where a : 5", "compare with `==`", "5"),
    ("p where a : (\"x\", b)", "expected a string", "b"),
    ("p where a : ()", "expected a string", ")"),
    ("p where (a == 1", "this `(` is never closed", "("),
    ("p where a == 1)", "expected an operator or the end", ")"),
    ("p where a[0] == 1", "array indexes are not supported", "["),
    ("p where a.b[0].c == 1", "array indexes are not supported", "["),
    ("p where a. == 1", "the rest of a field name", "=="),
    ("p where a.sequence == 1", "is written in back-ticks", "sequence"),
    ("p where sequence == 1", "is written in back-ticks", "sequence"),
    ("p where foo(a)", "unknown function `foo`", "foo"),
    ("p where legnth(a) > 1", "did you mean `length`?", "legnth"),
    ("p where startWith~(a, \"x\")", "did you mean `startsWith`?", "startWith~"),
    ("p where wildcard(a, \"x*\")", "no function `wildcard`: write `field like~", "wildcard"),
    ("p where match(a, \"x\")", "regex~", "match"),
    ("p where arrayContains(a, \"x\")", "every value of an array", "arrayContains"),
    ("p where length~(a) > 1", "no case-insensitive form", "length~"),
    ("p where endsWith~ == 1", "expected `(` after `endsWith~`", "=="),
    ("p where a.length(b)", "expected an operator", "("),
    ("p where ?length(b)", "expected an operator", "("),
    ("p where child of [p where true]", "relations between processes", "child of"),
    ("p where true | count", "pipe `count` is not supported", "count"),
    ("p where true | unique a", "pipe `unique` is not supported", "unique"),
    ("p where true | sort a", "pipe `sort` is not supported", "sort"),
    ("p where true | filter a", "pipe `filter` is not supported", "filter"),
    ("p where true | haed 5", "pipe `haed` does not exist", "haed"),
    ("p where true | head", "expected a whole number after `head`", ""),
    ("p where true | head 1.5", "expected a whole number after `head`", "1.5"),
    ("p where true | head -1", "expected a whole number after `head`", "-"),
    ("p where true | head 1, 2", "expected an operator or the end", ","),
    ("p where true |", "expected `head` or `tail`", ""),
    ("join by a [p where true] [p where true]", "`join` is not supported", "join"),
    ("sequence where true", "expected `[`", "where"),
    ("sequence [p where true] [p where a", "this `[` is never closed", "["),
    ("sequence with maxspan=5m by a [p where a] [p where b]", "`by` before `with`", "by"),
    ("sequence [p where a] with runs=2 by a [p where b] by a", "`by` before `with`", "by"),
    ("sequence with maxspan=5 [p where a] [p where b]", "did you mean `5s`?", "5"),
    ("sequence with maxspan=5sec [p where a] [p where b]", "no unit of time", "sec"),
    ("sequence with maxspan=5S [p where a] [p where b]", "no unit of time", "S"),
    ("sequence with maxspan=0.5s [p where a] [p where b]", "whole number", "0.5"),
    ("sequence with maxspan=0s [p where a] [p where b]", "must be positive", "0"),
    ("sequence with maxspan=-1s [p where a] [p where b]", "whole number", "-"),
    ("sequence with maxspan 5s [p where a] [p where b]", "expected `=`", "5"),
    ("sequence by length(a) [p where a] [p where b]", "a key must be a field", "length(a)"),
    ("sequence by a * 2 [p where a] [p where b]", "a key must be a field", "a * 2"),
    ("sequence by a, [p where a] [p where b]", "expected a field", "["),
    ("sequence [p where a] with run=2", "expected `runs`", "run"),
    ("sequence [p where a] with \"runs\"=2", "expected `runs`", '"runs"'),
    ("sequence [p where a] with runs=x", "expected a whole number of runs", "x"),
    ("sequence [p where a] fork [p where b]", "expected an operator or the end", "fork"),
    ("sample by a with maxspan=5s [p where a] [p where b]", "expected `[`", "with"),
    ("sample by a [p where a] [p where b] until [p where c]", "expected an operator", "until"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words", "underlined"), REFUSED)
def test_refused(text: str, words: str, underlined: str) -> None:
    with pytest.raises(EqlSyntaxError) as caught:
        parse_query(text)
    assert words in caught.value.message
    assert text[slice(*caught.value.span)] == underlined


def test_error_at_the_end_points_behind_the_last_token() -> None:
    """Not at the end of the comments and blank lines that follow it."""
    with pytest.raises(EqlSyntaxError) as caught:
        parse_query("p where a ==  // unfinished\n\n")
    assert (caught.value.line, caught.value.column) == (1, 13)


def test_spans_cover_what_was_written() -> None:
    text = 'p where not (a + 1) * 2 == 3 and b : ("x", "y") or length( c ) > 1'
    body = parse_query(text).body
    assert isinstance(body, EventQuery)
    assert isinstance(body.condition, Or)
    conjunction, comparison = body.condition.terms
    assert isinstance(conjunction, And)
    negation, match = conjunction.terms
    assert isinstance(negation, Not)
    assert isinstance(negation.operand, Comparison)
    assert isinstance(comparison, Comparison)
    parts = [body, body.condition, conjunction, negation, negation.operand, match]
    parts += [negation.operand.left, comparison.left]
    assert [text[slice(*part.span)] for part in parts] == [
        text,
        text[8:],
        'not (a + 1) * 2 == 3 and b : ("x", "y")',
        "not (a + 1) * 2 == 3",
        "(a + 1) * 2 == 3",
        'b : ("x", "y")',
        "(a + 1) * 2",
        "length( c )",
    ]


# A prefix and a suffix that nest a condition, and how deep one of them goes.
NESTINGS = [
    ("(", ")", 1),
    ("not ", "", 1),
    ("not (", ")", 2),
    ("string(", ') : "x"', 1),
    ("true == (", ")", 1),
    ("a and (b or (", "))", 2),
    ("- ", " == 1", 1),
    ("-(1 + ", ")", 2),
]


@pytest.mark.parametrize(("before", "after", "levels"), NESTINGS)
def test_nesting_is_limited(before: str, after: str, levels: int) -> None:
    """Depth ends in an error that says so, never in a RecursionError."""
    for times in (MAX_DEPTH // levels + 1, 5_000):
        with pytest.raises(EqlSyntaxError, match="nested deeper than 100 levels"):
            parse_query(f"any where {before * times}a{after * times}")


def test_nesting_up_to_the_limit() -> None:
    """Parentheses disappear from the tree, so a hundred of them leave only what is inside."""
    assert condition("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == A


def test_deep_function_calls_up_to_the_limit() -> None:
    levels = MAX_DEPTH - 2
    assert condition("string(" * levels + "a" + ")" * levels + ' : "x"')


def test_a_long_chain_of_arithmetic_is_nesting() -> None:
    """``a + a + a`` nests to the left, and later stages walk it by recursion."""
    with pytest.raises(EqlSyntaxError, match="nested deeper"):
        parse_query("any where a" + " + a" * 5_000 + " == 1")


@pytest.mark.parametrize("word", ["or", "and"])
def test_long_flat_conditions(word: str) -> None:
    """Thousands of terms are one flat node."""
    found = condition(f" {word} ".join(f'a == "{i}"' for i in range(5_000)))
    assert isinstance(found, Or | And)
    assert len(found.terms) == 5_000


def test_long_lists() -> None:
    found = condition(f"a in ({', '.join(map(str, range(5_000)))})")
    assert isinstance(found, Membership)
    assert len(found.values) == 5_000


WORDS = [
    "any", "where", "a", "a.b", "?", "not", "and", "or", "==", "!=", "<", "in", "in~", "like",
    ":", "(", ")", ",", '"x"', '"""y"""', "1", "-", "+", "*", "length", "startsWith~", "sequence",
    "by", "with", "maxspan", "runs", "=", "5s", "[", "![", "]", "until", "sample", "|", "head",
    "true", "null", "`q`", "of", "join", ".",
]  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_garbage_is_parsed_or_refused(text: str) -> None:
    """Any sequence of words gives a query or an EqlSyntaxError inside the text."""
    for candidate in (text, f"any where {text}", f"sequence [a where a] [b where {text}]"):
        refusal = None
        try:
            parse_query(candidate)
        except EqlSyntaxError as error:
            refusal = error
        assert refusal is None or 0 <= refusal.span.start <= refusal.span.end <= len(candidate)
