r"""How a required text or key looks in the bytes of a JSON record.

Law of the file: a record in canonical JSON that satisfies a requirement contains its
expression. Canonical means that ``"`` and ``\`` are written with a backslash, every other
printable ASCII character plainly; key order, white space and the way that other characters
are written do not matter. A record with any other escape of a character that some expression
holds contains the escape expression, too; it is looked at again as ``canonical`` writes it.

A text at the start of a value is looked for together with the end of the field's name, as compact
JSON writes it: ``name":"cmd.exe"``. That tells fields apart and makes short texts long, which is
what a scan for thousands of texts is fast with. Where that name is followed by anything but a
value of its own (white space, an array), ``spacings`` and ``array_start`` are found instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from streamproc.eql.frequency import ends_common_key, share_of_text
from streamproc.eql.requirements import Key, NonAscii, Requirement, Scalar, Text

MAX_BYTES: Final = 100
"""Longer texts are cut: what follows a hundred bytes hardly tells events apart."""

MIN_BYTES: Final = 2
"""A shorter text is in every record."""

COLON_SPACE: Final = b'": '
"""How the commonest JSON that is not compact separates a name from its value."""

_UNICODE_ESCAPE: Final = rb"\u"  # also what follows a backslash that is written as two
_ASCII_ESCAPES: Final = re.compile(rb"\\u00([2-7][0-9A-Fa-f])")
_PLAIN: Final = 4  # characters that make a piece worth keeping on its own
# Runs of printable ASCII: control and other characters may be written as they like.
_PRINTABLE: Final = re.compile(r"[ -~]+")
# The same without those that common writers escape without need (Go: & < >, .NET: also
# " ' + and back-tick): such records are then found without being rewritten first.
_UNDISTURBED: Final = re.compile(r"[ !#-%(-*,-;=?-_a-~]+")
# An expression that ends in white space is taken as a hit instead of looking past it: loops cost
# a scan more than all the texts, and most writers put no space there.
_SPACE: Final = rb" \t\n\r"
# Names that a text is looked for with. A shorter one would make the expressions for its spacings
# so short that they slow down the scan.
_NAME: Final = re.compile(r"[a-z0-9_@-]{2,40}")
# Of a value's beginning, and of a piece of it between slashes, so many characters do.
_BEGINNING: Final = 7
_RARE: Final = 0.005  # share of the events that hold them
# The end that thousands of file names share costs a scan a third.
_SUFFIX: Final = re.compile(rb'(?<=[^"].\.)exe"\Z')


class JsonText(NamedTuple):
    """One thing to look for in a record, whatever the case of its letters.

    Attributes:
        expression: A regular expression over bytes; a plain text but for its ends.
        text: The printable characters that must be written plainly for it to be found.
        plain: The text as it stands in the record, quotes included.
        is_plain: Whether ``plain`` alone is a hit, whatever surrounds it.
        name: The field name that ``plain`` begins with; "" if it is a value alone.
    """

    expression: bytes
    text: str
    plain: bytes
    is_plain: bool
    name: str = ""


def json_text(requirement: Requirement) -> JsonText | None:
    """What to look for in a record for ``requirement``; None if every record may satisfy it."""
    if isinstance(requirement, NonAscii):
        return None  # a class of bytes is no text; ``may_be_non_ascii`` looks for it
    if isinstance(requirement, Key):
        return _key(requirement)
    if isinstance(requirement, Scalar):
        return _scalar(requirement)
    return _text(requirement)


def beginning(text: JsonText) -> JsonText:
    """Return a part of ``text`` that is nearly as rare and faster to look for.

    Where values begin they differ; where they end there is ``.exe"``, and the digits of names look
    like those of hashes. A slash may be written as a backslash and a slash, which is common: a
    piece that holds none is never in hiding for it.
    """
    if not text.is_plain:
        return text
    head = f'{text.name}":'.encode() if text.name else b""
    value = text.plain[len(head) :]
    if b"/" in value:
        piece = max(value.split(b"/"), key=len)
        if _is_rare(piece, at_start=False):
            return _part(text, "", piece)
    elif head:
        for end in range(_BEGINNING + 1, len(value)):
            if _is_rare(value[:end], at_start=True):
                return _part(text, text.name, head + value[:end])
    return text._replace(expression=_SUFFIX.sub(b"", text.expression))


def _is_rare(piece: bytes, at_start: bool) -> bool:
    shown = piece.decode().strip('"').replace(r"\\", "\\")
    return len(shown) >= _BEGINNING and share_of_text(shown, at_start, False) <= _RARE


def _part(text: JsonText, name: str, plain: bytes) -> JsonText:
    held = set(text.text)  # without the quotes and backslashes that only JSON asks for
    characters = "".join(c for c in plain.decode() if c in held)
    return JsonText(re.escape(plain), characters, plain, True, name)


def array_start(name: str) -> bytes:
    """What stands in compact JSON where the value of a field ``name`` is an array."""
    return re.escape(f'{name}":['.encode())


def spacings(name: str) -> list[bytes]:
    """What stands in JSON that is not compact between ``name``, the colon and the value."""
    return [
        re.escape(f'{name}"{colon}{space}'.encode()) for colon in ("", ":") for space in " \t\n\r"
    ]


def _text(requirement: Text) -> JsonText | None:
    piece, at_start, at_end = _best_piece(
        requirement.text, requirement.at_start, requirement.at_end
    )
    plain = piece.replace("\\", "\\\\").replace('"', '\\"').encode()
    if len(plain) > MAX_BYTES:
        plain, at_end = plain[:MAX_BYTES], False
    plain = b'"' * at_start + plain + b'"' * at_end
    name = requirement.name
    if at_start and _NAME.fullmatch(name) and COLON_SPACE not in plain:
        plain = f'{name}":'.encode() + plain
        return JsonText(re.escape(plain), f"{name}{piece}", plain, True, name)
    if not piece or len(plain) < MIN_BYTES:
        return None
    if at_end and ends_common_key(piece, at_start):
        # A value is followed by a comma or the end of its array or object, a key never.
        return JsonText(re.escape(plain) + rb"[,\]}" + _SPACE + b"]", piece, plain, False)
    return JsonText(re.escape(plain), piece, plain, True)


def _key(key: Key) -> JsonText | None:
    name, is_whole, _ = _best_piece(key.name, True, False, is_key=True)
    if not name:
        return None
    plain = name.replace("\\", "\\\\").replace('"', '\\"').encode()[-MAX_BYTES:]
    is_whole = is_whole and len(plain) < MAX_BYTES
    # A component of a dotted name stands between dots or quotes.
    expression = (rb'[".]' if is_whole else b"") + re.escape(plain)
    if key.is_last:
        return JsonText(expression + b'"[:' + _SPACE + b"]", name + ".", plain + b'"', False)
    # Values end in a component, too ("ntdll.dll"), but no colon follows them.
    return JsonText(expression + b'(?:"[:' + _SPACE + rb"]|\.)", name + ".", plain, False)


def _scalar(scalar: Scalar) -> JsonText | None:
    """The key, a colon and anything but another scalar of the same kind, null or an object."""
    name = json_text(Key(scalar.name, True))
    if name is None:
        return None
    if scalar.constant == "true":
        value = b"[^f{n]"
    elif scalar.constant == "false":
        value = b"[^t{n]"
    else:
        value = _number(int(scalar.constant))
    key = name.expression.removesuffix(b"[:" + _SPACE + b"]")
    return JsonText(key + b"(?:[" + _SPACE + b"]|:" + value + b")", name.text, name.plain, False)


def _number(number: int) -> bytes:
    """Every JSON number that is, or rounds to, a natural one below a billion; and what is none.

    For 25 that is 25, 25.0, 250e-1, 2.5e1, 0.25e2 and also 24.99999999999999999, 249999...e-17.
    """
    digits = str(number).rstrip("0")
    below = str(int(digits) - 1) if digits != "1" else "9"
    shifted = "".join(rf"|{digits[:end]}\." for end in range(1, len(digits)))
    return rf"(?:{digits}[^1-9]|{below}\.?9|0\.{shifted}|[^0-9{{n])".encode()


def _best_piece(
    text: str, at_start: bool, at_end: bool, *, is_key: bool = False
) -> tuple[str, bool, bool]:
    """The piece of ``text`` to look for, and whether it stands at the start and at the end.

    Of a key only the last piece is of use.
    """
    if _UNDISTURBED.fullmatch(text):  # nearly always, and a fifth of the time below
        return text, at_start, at_end
    for pattern, least in ((_UNDISTURBED, _PLAIN), (_PRINTABLE, 1)):
        pieces = list(pattern.finditer(text))
        if is_key:
            pieces = [piece for piece in pieces if piece.end() == len(text)]
        whole = len(pieces) == 1 and pieces[0].group() == text
        if pieces and (whole or max(map(_length, pieces)) >= least):
            best = max(pieces, key=_length)
            starts = at_start and best.start() == 0
            return best.group(), starts, at_end and best.end() == len(text)
    return "", False, False


def _length(piece: re.Match[str]) -> int:
    return len(piece.group())


def escape_expression(texts: Iterable[str]) -> bytes | None:
    r"""The needless escapes (``\/``, ``\u00XX``) that could hide one of ``texts``.

    None if the texts hold no character at all.
    """
    characters = _both_cases(texts)
    by_row: dict[str, str] = {}
    for code in map(ord, sorted(characters)):
        row, column = f"{code >> 4:x}", f"{code & 15:x}"
        by_row[row] = by_row.get(row, "") + column + (column.upper() if column.isalpha() else "")
    if not by_row:
        return None
    codes = "|".join(f"{row}[{columns}]" for row, columns in by_row.items())
    slash = "/|" if "/" in characters else ""
    return rf"\\(?:{slash}u00(?:{codes}))".encode()


def escapes(texts: Iterable[str]) -> list[bytes]:
    """The same as expressions without a choice, in lower case (capitals of them mean the same)."""
    characters = sorted(_both_cases(texts))
    found = [rb"\\u00%02x" % ord(character) for character in characters]
    return [*found, rb"\\/"] if "/" in characters else found


def may_be_non_ascii(value: bytes) -> bool:
    r"""Whether a record may hold a character beyond ASCII, as itself or as ``\uXXXX``."""
    return not value.isascii() or _UNICODE_ESCAPE in value


def _both_cases(texts: Iterable[str]) -> set[str]:
    held = set("".join(texts))
    both = held | {c.upper() for c in held} | {c.lower() for c in held}
    return {c for c in both if c.isascii()}


def unescaped(value: bytes) -> bytes | None:
    r"""``value`` with ``\/`` and the ``\u00XX`` of printable ASCII written as in canonical JSON.

    At a tenth of the cost of ``canonical``. None where a backslash that is written as two stands
    before what may be no escape then.
    """
    if rb"\\/" in value or rb"\\u00" in value:
        return None
    value = value.replace(rb"\/", b"/")
    codes = set(_ASCII_ESCAPES.findall(value))
    # Backslashes come last: what they stand before is no escape.
    for code in sorted(codes, key=lambda code: code.lower() == b"5c"):
        character = chr(int(code, 16))
        plain = f"\\{character}" if character in '\\"' else character
        value = value.replace(rb"\u00" + code, plain.encode())
    return value


def canonical(value: bytes) -> bytes | None:
    """``value`` written in canonical JSON, duplicate keys resolved; None if it is no JSON."""
    try:
        return orjson.dumps(orjson.loads(value))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return None
