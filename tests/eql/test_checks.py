"""Grammatical queries that can never be run are refused; the others are left alone."""

import pytest

from streamproc.eql.checks import _FUNCTIONS, Kind
from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.parser import parse_query
from streamproc.eql.signatures import SIGNATURES

ACCEPTED = [
    # a field may be of any type, null stands for any
    "a", "not a", "a and b", "?a", "a == null", "null == (a > -1)", "not null",
    # constants on both sides, or fields on one
    "1 == 1", "a + b == 1", "1 < a", "a - b == 1", "length(a) + b == 3", "concat(a, b) == null",
    "startsWith(a, b)", 'startsWith("abc", a)', "stringContains(a, b)", 'a == "abc" or a == 1',
    # an optional field may be the constant null
    "?a == ?b", "?a == b", "a == ?b",
    # conditions are values
    "true == (a in (1))", "cidrMatch(a, \"10.0.0.0/8\") == true", "false != endsWith(a, \"x\")",
    # types
    'string(a) : "1"', 'a : "x"', 'between(a, "x", "y", true) like "z"', "number(a, 16) == 1",
    "substring(a, 1) in (\"x\", null)", "length(a) in (1, 2.5)", "a in (1, \"x\")",
    "indexOf(a, \"x\", 2) > 0", "number(string(a), null) == 17", "modulo(11, add(a, 1)) == 1",
    "substring(a, -4, -1) == \"x\"", "concat(a, 1, true, null) == \"x\"",
    "cidrMatch(a, \"10.6.48.157/8\", \"::1\", \"fe80::/10\", \"0.0.0.0/0\", \"1.2.3.4\")",
]  # fmt: skip


@pytest.mark.parametrize("condition", ACCEPTED)
def test_accepted(condition: str) -> None:
    parse_query(f"any where {condition}")


# condition, words of the message, the characters underlined
REFUSED = [
    ("1", "must be true or false, not a number", "1"),
    ('"x"', "must be true or false, not a string", '"x"'),
    ("a and 1", "must be true or false", "1"),
    ("a or length(b)", "must be true or false", "length(b)"),
    ("not a + 1", "must be true or false", "a + 1"),
    ("- a", "must be true or false", "- a"),
    ("a == b", "comparisons against fields", "b"),
    ("a != b.c", "comparisons against fields", "b.c"),
    ("length(a) == length(b)", "comparisons against fields", "length(b)"),
    ("a + 1 < b - 1", "comparisons against fields", "b - 1"),
    ("a == (b == 1)", "comparisons against fields", "b == 1"),
    ("-a == a", "comparisons against fields", "a"),
    ("a and (b or c == d)", "comparisons against fields", "d"),
    ("1 : \"x\"", "consider using `==`", "1"),
    ("length(a) : \"x\"", "consider using `==`", "length(a)"),
    ("(a == 1) like \"x\"", "consider using `==`", "a == 1"),
    ("a in~ (1)", "must be a string, not a number", "1"),
    ("length(a) in~ (\"x\")", "left side of `in~` must be a string", "length(a)"),
    ("length(a) in (\"x\")", "must be a number, not a string", '"x"'),
    ("string(a) in (\"x\", 1)", "must be a string, not a number", "1"),
    ("a + \"x\" == 1", "operand of `+` must be a number", '"x"'),
    ("(a == 1) * 2 == 1", "operand of `*` must be a number", "a == 1"),
    ("-\"x\" == a", "operand of `-` must be a number", '"x"'),
    ("-(a in (1)) == 1", "operand of `-` must be a number", "a in (1)"),
    ("length() > 1", "`length` takes 1 argument, not 0", "length()"),
    ("length(a, b) > 1", "`length` takes 1 argument, not 2", "length(a, b)"),
    ("add(a) > 1", "`add` takes 2 arguments, not 1", "add(a)"),
    ("substring(a) == \"x\"", "`substring` takes 2 to 3 arguments, not 1", "substring(a)"),
    ("concat() == \"x\"", "`concat` takes at least 1 argument, not 0", "concat()"),
    ("cidrMatch(a)", "`cidrMatch` takes at least 2 arguments, not 1", "cidrMatch(a)"),
    ("length(1) > 1", "argument 1 of `length` must be a string", "1"),
    ("startsWith(a, 1)", "argument 2 of `startsWith` must be a string", "1"),
    ("between(a, \"x\", \"y\", 1) == \"z\"", "argument 4 of `between` must be a condition", "1"),
    ("substring(a, \"1\") == \"x\"", "argument 2 of `substring` must be a number", '"1"'),
    ("number(5) == 5", "argument 1 of `number` must be a string", "5"),
    ("cidrMatch(\"10.0.0.1\", \"10.0.0.0/8\")", "must be a field", '"10.0.0.1"'),
    ("cidrMatch(a, b)", "must be constants", "b"),
    ("cidrMatch(a, 10)", "must be a string", "10"),
    ("cidrMatch(a, \"10.0.0.0/8\", \"10.0.0.0/33\")", "not a network", '"10.0.0.0/33"'),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "words", "underlined"), REFUSED)
def test_refused(condition: str, words: str, underlined: str) -> None:
    text = f"any where {condition}"
    with pytest.raises(EqlSyntaxError) as caught:
        parse_query(text)
    assert words in caught.value.message
    assert text[slice(*caught.value.span)] == underlined


@pytest.mark.parametrize("place", ["[p where {}] [p where a]", "[p where a] until [p where {}]"])
def test_every_condition_of_a_sequence_is_checked(place: str) -> None:
    parse_query("sequence [p where b] " + place.format("a == 1"))
    with pytest.raises(EqlSyntaxError, match="must be true or false"):
        parse_query("sequence [p where b] " + place.format("1"))


SEQUENCES = [
    ("sequence [p where a] [p where b]", ""),
    ("sequence [p where a] with runs=2", ""),
    ("sequence [p where a] with runs=100 [p where b]", ""),
    ("sequence by k [p where a] by x [p where b] by ?y until [p where c] by z", ""),
    ("sequence with maxspan=1s [p where a] ![p where b]", ""),
    ("sequence with maxspan=1s ![p where a] [p where b]", ""),
    ("sequence with maxspan=1s ![p where a] with runs=2 [p where b]", ""),
    ("sequence [p where a]", "at least two steps"),
    ("sequence [p where a] with runs=1", "at least two steps"),
    ("sequence [p where a] until [p where b]", "at least two steps"),
    ("sequence [p where a] with runs=0 [p where b]", "between 1 and 100, not 0"),
    ("sequence [p where a] with runs=101 [p where b]", "between 1 and 100, not 101"),
    ("sequence [p where a] by x [p where b]", "expected 1, found 0"),
    ("sequence [p where a] [p where b] by x", "expected 0, found 1"),
    ("sequence by k [p where a] by x, y [p where b] by x", "expected 2, found 1"),
    ("sequence [p where a] by x [p where b] by y until [p where c]", "expected 1, found 0"),
    ("sequence [p where a] ![p where b]", "needs a time limit"),
    ("sequence with maxspan=1s ![p where a] ![p where b]", "a step that is not missing"),
    ("sequence [p where a] [p where b] until ![p where c]", "`until` takes a plain step"),
    ("sequence [p where a] [p where b] until [p where c] with runs=2", "`until` takes a plain"),
    ("sample by k [p where a] [p where b]", ""),
    ("sample [p where a] by x [p where b] by y [p where c] by z", ""),
    ("sample by k [p where a] by x [p where b] by y | head 1", ""),
    ("sample [p where a] [p where b]", "at least one key"),
    ("sample by k [p where a]", "at least two filters"),
    ("sample [p where a] by x [p where b]", "expected 1, found 0"),
    ("sample by k [p where a] ![p where b]", "plain filters"),
    ("sample by k [p where a] [p where b] with runs=2", "plain filters"),
    ("sample by k [p where a] [p where 1]", "must be true or false"),
]


@pytest.mark.parametrize(("text", "words"), SEQUENCES)
def test_sequences_and_samples(text: str, words: str) -> None:
    """Without words the query is accepted, with words it is refused with them."""
    if not words:
        parse_query(text)
        return
    with pytest.raises(EqlSyntaxError) as caught:
        parse_query(text)
    assert words in caught.value.message


def test_every_function_has_kinds() -> None:
    """Both tables name the same functions, with kinds for all the arguments."""
    assert set(_FUNCTIONS) == {signature.name for signature in SIGNATURES.values()}
    for signature in SIGNATURES.values():
        kinds, result = _FUNCTIONS[signature.name]
        assert result is not Kind.ANY
        assert len(kinds) == signature.max_args or len(set(kinds[-1:])) == 1
