"""The cursor steps over tokens and puts the words of an error together."""

import pytest

from streamproc.eql.checks import MAX_DEPTH
from streamproc.eql.cursor import Cursor, place
from streamproc.eql.errors import EqlSyntaxError


def test_steps_to_the_end_and_looks_one_ahead() -> None:
    """The end token follows itself, so looking ahead never runs out of tokens."""
    cursor = Cursor("a b")
    assert (cursor.token.value, cursor.following().value) == ("a", "b")
    assert cursor.advance().value == "a"
    assert cursor.following().kind == "end"
    cursor.advance()
    assert (cursor.token.kind, cursor.following().kind) == ("end", "end")
    cursor.expect_end()


def test_spans_end_at_the_token_read_last() -> None:
    """White space and comments behind a part do not belong to it."""
    cursor = Cursor("aa + bb /* c */ c")
    for _ in range(3):
        cursor.advance()
    assert cursor.span_from(0) == (0, 7)
    assert cursor.source(cursor.token) == "c"
    assert place(cursor.token) == (16, 17)


def test_separated() -> None:
    cursor = Cursor("a, b, c d")
    assert cursor.separated(lambda: cursor.advance().value) == ["a", "b", "c"]
    assert cursor.token.value == "d"


def test_depth_counts_open_levels_only() -> None:
    """Coming up again makes room: only nesting is limited, not how often it happens."""
    cursor = Cursor("a")
    for _ in range(MAX_DEPTH * 3):
        cursor.deepen()
        cursor.rise()
    for _ in range(MAX_DEPTH):
        cursor.deepen()
    with pytest.raises(EqlSyntaxError, match="nested deeper"):
        cursor.deepen()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "expected `(` after this, found `x`"),
        ("", "expected `(` after this, but the query ends here"),
        ("AND", "keywords are lower-case: write `and`"),
        ("= 1", "a comparison is written `==`; `=` is only for maxspan and runs"),
    ],
)
def test_words_of_an_unexpected_token(text: str, message: str) -> None:
    """A known mistake is answered with what to write, any other with what was expected."""
    with pytest.raises(EqlSyntaxError) as caught:
        Cursor(text).expect("(", "after this")
    assert caught.value.message == message


def test_an_open_bracket_is_blamed_at_the_end_only() -> None:
    cursor = Cursor("( a")
    opened = cursor.advance()
    with pytest.raises(EqlSyntaxError, match=r"expected `\)`, found `a`"):
        cursor.expect_close(")", opened)
    cursor.advance()
    with pytest.raises(EqlSyntaxError, match=r"this `\(` is never closed") as caught:
        cursor.expect_close(")", opened)
    assert caught.value.span == place(opened)
