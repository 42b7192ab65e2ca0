"""An error names line and column, shows the line and underlines the fault."""

import pickle

import pytest

from streamproc.eql.errors import SHOWN_WIDTH, EqlSyntaxError
from streamproc.eql.nodes import Span

# text, span, line, column, the two lines shown
PLACES = [
    ("any where tru", Span(10, 13), 1, 11, "any where tru\n          ^^^"),
    ("any where\n  foo == 'x'", Span(19, 22), 2, 10, "  foo == 'x'\n         ^^^"),
    ("any where", Span(9, 9), 1, 10, "any where\n         ^"),
    ("any\nwhere\n", Span(10, 10), 3, 1, "\n^"),
    ("any where\ta = 1", Span(12, 13), 1, 13, "any where\ta = 1\n         \t  ^"),
    ("any\r\nwhere x y\r\nz", Span(13, 17), 2, 9, "where x y\n        ^"),
    ("any /* x\n y", Span(4, 11), 1, 5, "any /* x\n    ^^^^"),
    ("", Span(0, 0), 1, 1, "\n^"),
    ("ab", Span(7, 9), 1, 3, "ab\n  ^"),
]


@pytest.mark.parametrize(("text", "span", "line", "column", "shown"), PLACES)
def test_place(text: str, span: Span, line: int, column: int, shown: str) -> None:
    error = EqlSyntaxError("wrong", text, span)
    assert (error.line, error.column, error.message) == (line, column, "wrong")
    assert str(error) == f"{line}:{column}: wrong\n{shown}"


@pytest.mark.parametrize("offset", [0, 39, 40, 41, 500, 950, 996])
def test_long_line_is_cut_around_the_fault(offset: int) -> None:
    """Of a line of a thousand characters only the neighbourhood is shown, fault underlined."""
    text = "a" * offset + "FAULT" + "b" * (995 - offset)
    head, shown, underline = str(EqlSyntaxError("wrong", text, Span(offset, offset + 5))).split(
        "\n"
    )
    assert head == f"1:{offset + 1}: wrong"
    assert len(shown) <= SHOWN_WIDTH + 6
    assert shown[underline.index("^") :][: underline.count("^")] == "FAULT"


def test_fault_longer_than_what_is_shown() -> None:
    """The underline never runs past the part of the line that is shown."""
    _, shown, underline = str(EqlSyntaxError("wrong", "x" * 900, Span(100, 900))).split("\n")
    assert len(underline) <= len(shown)


def test_survives_pickling() -> None:
    """A worker process hands the error to its parent unchanged."""
    error = EqlSyntaxError("wrong", "any where 'x'", Span(10, 13))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(copy), copy.line, copy.column) == (str(error), error.line, error.column)
    assert copy.span == error.span
