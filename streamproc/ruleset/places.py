"""Where in a TOML file a key stands, and where a character of its string value stands.

``tomli`` keeps no positions. This scanner finds them again, and runs only when there is an
error to report, so that it may be slow and must only be right for files that tomli has read
(or, for ``syntax_place``, that it has refused).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import tomli

_ESCAPES = {"b": 1, "t": 1, "n": 1, "f": 1, "r": 1, '"': 1, "\\": 1, "u": 5, "U": 9, "e": 1}
_HEADER = re.compile(r"\[\[?\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"""((?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*[^\s=.]+)*)\s*=""")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Place(NamedTuple):
    """A line and a column, both counted from 1."""

    line: int
    column: int


WHOLE_FILE = Place(0, 0)


def syntax_place(error: tomli.TOMLDecodeError, text: str) -> tuple[Place, str]:
    """Return the place of a TOML syntax error and its message without the place."""
    message = str(error)
    found = _AT.search(message)
    if not found:
        return WHOLE_FILE, message
    reason = message[: found.start()]
    if found[1] is None:
        return _place(text, len(text.rstrip())), f"{reason} (the file ends here)"
    return Place(int(found[1]), int(found[2])), reason


def key_place(text: str, *path: str) -> Place:
    """Return the place of a key such as ``("rule", "query")``, or of its table if it has none.

    The first occurrence counts. A file without the table gives WHOLE_FILE.
    """
    table = ".".join(path[:-1])
    fallback = WHOLE_FILE
    for name, offset, is_header in _keys(text):
        if name == ".".join(path):
            return _place(text, offset)
        if is_header and name == table and fallback is WHOLE_FILE:
            fallback = _place(text, offset)
    return fallback


def value_place(text: str, offset: int, *path: str) -> Place:
    """Return where the character at ``offset`` of a key's string value stands in the file.

    Escapes in the file are allowed for: they make the file longer than the value.
    """
    text = text.replace("\r\n", "\n")
    for name, start, is_header in _keys(text):
        if name == ".".join(path) and not is_header:
            at = _skip_blank(text, text.index("=", start) + 1)
            return _place(text, _walk_string(text, at, offset))
    return key_place(text, *path)


def _place(text: str, offset: int) -> Place:
    return Place(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _keys(text: str) -> list[tuple[str, int, bool]]:
    """Every table header and every key, with the dotted name from the root and the offset."""
    found: list[tuple[str, int, bool]] = []
    table = ""
    at = _skip_blank(text, 0, lines=True)
    while at < len(text):
        header = _HEADER.match(text, at)
        if header:
            table = _plain(header[1])
            found.append((table, at, True))
            at = header.end()
        else:
            key = _KEY.match(text, at)
            if not key:
                break
            name = _plain(key[1])
            found.append((f"{table}.{name}" if table else name, at, False))
            at = _skip_value(text, _skip_blank(text, key.end()))
        at = _skip_blank(text, at, lines=True)
    return found


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _skip_blank(text: str, at: int, *, lines: bool = False) -> int:
    """Skip spaces, and with ``lines`` also line ends and comments."""
    while at < len(text):
        if text[at] in " \t" or (lines and text[at] in "\r\n"):
            at += 1
        elif lines and text[at] == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        else:
            break
    return at


def _skip_value(text: str, at: int) -> int:
    """Return the offset behind a value: strings, arrays and inline tables are stepped over."""
    depth = 0
    while at < len(text):
        character = text[at]
        if character in "\"'":
            at = _string_end(text, at)
            continue
        if character == "#":
            at = _skip_blank(text, at, lines=True)
            if depth == 0:
                return at
            continue
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "\n" and depth <= 0:
            return at
        at += 1
    return at


def _delimiter(text: str, at: int) -> str:
    quote = text[at]
    return quote * 3 if text.startswith(quote * 3, at) else quote


def _string_end(text: str, at: int) -> int:
    delimiter = _delimiter(text, at)
    at += len(delimiter)
    while at < len(text):
        if text[at] == "\\" and delimiter[0] == '"':
            at += 2
        elif text.startswith(delimiter, at):
            at += len(delimiter)
            # Up to two quotes may stand directly before the closing three.
            while len(delimiter) == 3 and text.startswith(delimiter[0], at):
                at += 1
            return at
        else:
            at += 1
    return at


def _walk_string(text: str, at: int, offset: int) -> int:
    """Walk ``offset`` characters of the value of the string that opens at ``at``."""
    if at >= len(text) or text[at] not in "\"'":
        return at
    delimiter = _delimiter(text, at)
    at += len(delimiter)
    if len(delimiter) == 3 and text.startswith("\n", at):
        at += 1
    if delimiter[0] == "'":
        return min(at + offset, len(text))
    while offset >= 0 and at < len(text):
        continuation = re.compile(r"\\[ \t]*\n\s*").match(text, at)
        if continuation:
            at = continuation.end()
            continue
        if offset == 0:
            break
        at += 1 + _ESCAPES.get(text[at + 1 : at + 2], 0) if text[at] == "\\" else 1
        offset -= 1
    return at
