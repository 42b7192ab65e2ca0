"""Query text to tokens.

Law of the file: every character of the query belongs to exactly one token, to white space or
to a comment; anything else is an error at that character. Forms that EQL once had, or that
other languages have, are named here and answered with what to write instead.

One compiled expression finds each token together with the white space before it, so that a
thousand rules cost a fraction of a second.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple, NoReturn

from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.nodes import Span

# Kinds of token that carry a value. The kind of a keyword or a symbol is its own text.
IDENTIFIER: Final = "identifier"
QUOTED_IDENTIFIER: Final = "quoted identifier"
TILDE_IDENTIFIER: Final = "identifier~"
STRING: Final = "string"
INTEGER: Final = "integer"
DECIMAL: Final = "decimal"
END: Final = "end"

#: Reserved, lower-case only. ``runs``, ``head`` and ``tail`` are ordinary identifiers.
KEYWORDS: Final = frozenset(
    {"and", "any", "by", "false", "in", "in~", "join", "like", "like~", "maxspan", "not", "null"}
    | {"of", "or", "regex", "regex~", "sample", "sequence", "true", "until", "where", "with"}
)

# Integers up to an unsigned 64-bit number stay integers, larger ones become doubles.
MAX_INTEGER: Final = 2**64 - 1
# An int of more digits than this is refused by Python itself, and no double holds it.
_MAX_DIGITS: Final = 400


class Token(NamedTuple):
    """One token: ``value`` is the decoded string, number or name; None for the others."""

    kind: str
    value: str | int | float | None
    start: int
    end: int


_TOKEN = re.compile(
    r"""[ \t\r\n]*+(?:
      (?P<word>[A-Za-z_@][A-Za-z0-9_]*+~?)
    | (?P<raw>\"{3}[^\r\n]*?\"{3}\"{0,2})
    | (?P<string>(?!\"{3})"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+")
    | (?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
    | (?P<comment>//[^\r\n]*+|/\*)
    | (?P<old_string>\?["']|')
    | (?P<rejected>!:|&&|\|\||<>|=~|!~|!(?![=\[])|[&^;{}$\#\\~])
    | (?P<symbol>!\[|[=!<>]=|[<>=+\-*/%:.,()\[\]|?])
    | (?P<quoted>`(?:[^`]|``)*+`)
    | (?P<end>\Z)
    | (?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(r"""\\(?:([btnfr"'\\])|u\{([0-9A-Fa-f]{2,8})\}|u\{?[0-9A-Fa-f]*\}?|.)""")
_OLD_STRING = re.compile(r"""\??(["'])(?:[^"'\\\r\n]|\\.|(?!\1)["'])*\1?""")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}

_REJECTED = {
    "!:": "`!:` is not an operator any more: write `not field : value`",
    "&&": "write `and`",
    "&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "<>": "write `!=`",
    "=~": "write `regex~` for a regular expression, `like~` or `:` for wildcards",
    "!~": "write `not field regex~ pattern` or `not field like~ pattern`",
    ";": "a query ends where the text ends: leave `;` out",
    "~": "`~` must follow a function name, `in`, `like` or `regex` without a space",
    "\\": "a backslash stands only inside a string",
}


def tokenize(text: str) -> list[Token]:
    """Split a query into tokens; the last one is of kind ``end``.

    Raises:
        EqlSyntaxError: A character or a string is not EQL.
    """
    tokens: list[Token] = []
    append = tokens.append
    match = _TOKEN.match
    position = 0
    while True:
        found = match(text, position)
        group = found.lastgroup if found else None
        if found is None or group is None:  # pragma: no cover - the expression ends in `.`
            _fail("unexpected character", text, position, position + 1)
        start, position = found.span(group)
        if group == "word":
            append(_word(text[start:position], start, position))
        elif group == "symbol":
            append(Token(text[start:position], None, start, position))
        elif group == "comment":
            if text.startswith("/*", start):
                position = _comment_end(text, start)
        elif group == "end":
            last = tokens[-1].end if tokens else 0
            append(Token(END, None, last, last))
            return tokens
        else:
            append(_valued(group, text, start, position))


def _word(word: str, start: int, end: int) -> Token:
    if word in KEYWORDS:
        return Token(word, None, start, end)
    return Token(TILDE_IDENTIFIER if word[-1] == "~" else IDENTIFIER, word, start, end)


def _valued(group: str, text: str, start: int, end: int) -> Token:
    if group == "string":
        return Token(STRING, _unescaped(text, start, end), start, end)
    if group == "raw":
        # Up to two quotes after the closing three belong to the content: """say "hi""""".
        closing = text.index('"""', start + 3)
        return Token(STRING, text[start + 3 : closing] + text[closing + 3 : end], start, end)
    if group == "number":
        return _number(text, start, end)
    if group == "quoted":
        if end - start == 2:
            _fail("a field name cannot be empty", text, start, end)
        name = text[start + 1 : end - 1].replace("``", "`")
        return Token(QUOTED_IDENTIFIER, name, start, end)
    _refuse(group, text, start, end)


def _number(text: str, start: int, end: int) -> Token:
    digits = text[start:end]
    if digits.isdigit() and len(digits) <= _MAX_DIGITS:
        value = int(digits)
        if value <= MAX_INTEGER:
            return Token(INTEGER, value, start, end)
    number = float(digits)
    if math.isinf(number):
        _fail("the number is too large", text, start, end)
    return Token(DECIMAL, number, start, end)


def _unescaped(text: str, start: int, end: int) -> str:
    body = text[start + 1 : end - 1]
    # Nearly every escape is a backslash in a Windows path; no replacing where all of them are.
    pieces = body.split("\\\\")
    if "\\" not in "".join(pieces):
        return "\\".join(pieces)

    def replacement(escape: re.Match[str]) -> str:
        character, digits = escape.groups()
        if character is not None:
            return _ESCAPED.get(character, character)
        at = start + 1 + escape.start()
        if digits is None:
            _fail(_bad_escape(escape[0]), text, at, at + len(escape[0]))
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            _fail(f"`{escape[0]}` is not a Unicode character", text, at, at + len(escape[0]))
        return chr(code)

    return _ESCAPE.sub(replacement, body)


def _bad_escape(escape: str) -> str:
    if escape.startswith("\\u"):
        return "a Unicode escape is `\\u{...}` with 2 to 8 hexadecimal digits"
    return (
        f"`{escape}` is not an escape: write `\\{escape}` for a backslash,"
        ' or use a raw string """..."""'
    )


def _comment_end(text: str, start: int) -> int:
    """Position after the comment that opens at ``start``; comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    _fail("the comment is not closed: `*/` is missing", text, start, start + 2)


def _refuse(group: str, text: str, start: int, end: int) -> NoReturn:
    """Say what is wrong with text that opens no token, and what to write instead."""
    found = text[start:end]
    if group == "old_string":
        whole = _OLD_STRING.match(text, start)
        end = whole.end() if whole else end
        if found.startswith("?"):
            message = 'raw strings are written """...""", not ?"..." or ?\'...\''
        else:
            message = "strings take double quotes: write \"...\", not '...'"
    elif found == '"':
        end = _line_end(text, start)
        message = (
            "the raw string is not closed on its line"
            if text.startswith('"""', start)
            else 'the string is not closed on its line (a quote in it is \\", a backslash \\\\)'
        )
    elif found == "`":
        end = _line_end(text, start)
        message = "the back-ticked name is not closed"
    else:
        message = _REJECTED.get(found, f"unexpected character {found!r}")
    _fail(message, text, start, end)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _fail(message: str, text: str, start: int, end: int) -> NoReturn:
    raise EqlSyntaxError(message, text, Span(start, end))
