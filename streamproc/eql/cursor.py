"""Reading tokens one after the other, and saying what is wrong with the next one.

Law of the file: it knows no grammar. A rule of the grammar asks for a token and says in words
what it expected; the words of every error of the parser are put together here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from streamproc.eql import lexer
from streamproc.eql.checks import MAX_DEPTH
from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.lexer import Token, tokenize
from streamproc.eql.nodes import Span

_Part = TypeVar("_Part")


class Cursor:
    """A place between two tokens of one text; ``token`` is the next one to be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.token: Token
        self._tokens = tokenize(text)
        self._next = 0
        self._previous_end = 0
        self._depth = 0
        self.token = self._tokens[0]

    def advance(self) -> Token:
        """Step over the next token and return it. Never called on the end token."""
        token = self.token
        self._previous_end = token.end
        self._next += 1
        self.token = self._tokens[self._next]
        return token

    def following(self) -> Token:
        """The token after the next one; the end token follows itself."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def expect(self, kind: str, purpose: str = "") -> None:
        """Step over a token of ``kind`` or fail; ``purpose`` ends the sentence."""
        if self.token.kind != kind:
            self.unexpected(f"`{kind}` {purpose}".rstrip())
        self.advance()

    def expect_close(self, kind: str, opened: Token) -> None:
        """Step over the bracket that closes ``opened`` or fail."""
        if self.token.kind == lexer.END:
            self.fail(f"this `{opened.kind}` is never closed", place(opened))
        self.expect(kind)

    def expect_end(self) -> None:
        """Fail unless everything has been read."""
        if self.token.kind != lexer.END:
            self.unexpected("an operator or the end of the query")

    def separated(self, part: Callable[[], _Part]) -> list[_Part]:
        """One or more parts with commas between them."""
        parts = [part()]
        while self.token.kind == ",":
            self.advance()
            parts.append(part())
        return parts

    def integer(self, expected: str) -> int:
        """Step over a whole number and return it, or fail."""
        value = self.token.value
        if self.token.kind != lexer.INTEGER or not isinstance(value, int):
            self.unexpected(expected)
        self.advance()
        return value

    def deepen(self) -> None:
        """Go one level of nesting down; the caller comes up again with ``rise``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels")

    def rise(self, levels: int = 1) -> None:
        """Come up again by as many levels."""
        self._depth -= levels

    def span_from(self, start: int) -> Span:
        """From ``start`` to the end of the token read last."""
        return Span(start, self._previous_end)

    def source(self, token: Token) -> str:
        """The token as it was written."""
        return self.text[token.start : token.end]

    def unexpected(self, expected: str) -> NoReturn:
        """Fail at the next token, which is not what the grammar wants here."""
        if self.token.kind == lexer.END:
            self.fail(f"expected {expected}, but the query ends here")
        found = f"expected {expected}, found `{self.source(self.token)}`"
        self.fail(_hint(self.token) or found)

    def fail(self, message: str, at: Span | None = None) -> NoReturn:
        """Raise EqlSyntaxError at a span, or else at the next token."""
        raise EqlSyntaxError(message, self.text, at or place(self.token))


def place(token: Token) -> Span:
    """Where a token stands."""
    return Span(token.start, token.end)


def _hint(token: Token) -> str:
    """What to write instead, if the token is a known mistake; otherwise empty."""
    if token.kind in (lexer.IDENTIFIER, lexer.TILDE_IDENTIFIER):
        word = str(token.value).lower()
        if word in lexer.KEYWORDS:
            return f"keywords are lower-case: write `{word}`"
    if token.kind == "=":
        return "a comparison is written `==`; `=` is only for maxspan and runs"
    return ""
