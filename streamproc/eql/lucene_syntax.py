r"""Lucene's regular expression syntax (all flags on), parsed into a small tree.

Law of the file: this is Lucene 9's own recursive descent, oddities included: no anchors, no
escapes such as ``\n``, ``a||b`` means ``a`` or ``|b``, a quantifier where an atom is expected is
a literal, single characters fold under ``regex~`` and ranges do not. A wrong pattern raises
``ValueError`` with a one-line reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

MAX_PATTERN_LENGTH = 1000
"""Characters; Elasticsearch's default for ``index.max_regex_length``."""

MAX_DEPTH = 80
"""Nested groups and complements; far above any real pattern, below Python's own limit."""

MAX_CODE_POINT = 0x10FFFF
Ranges: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of sorted, disjoint, inclusive code point ranges; () matches nothing."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Concat:
    """All parts in order; no parts: the empty string."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Any of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Intersection:
    """Every one of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Complement:
    """Every string that the operand does not match."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Repeat:
    """The operand ``low`` to ``high`` times; ``high`` None: no upper limit."""

    operand: Node
    low: int
    high: int | None


Node: TypeAlias = Chars | Concat | Union | Intersection | Complement | Repeat

ANY_CHAR = Chars(((0, MAX_CODE_POINT),))
NOTHING = Chars(())
EMPTY_STRING = Concat(())

_CLASSES: dict[str, Ranges] = {
    "d": ((48, 57),),
    "s": ((9, 10), (13, 13), (32, 32)),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
}
_DIGITS = "0123456789"


def merge_ranges(ranges: Ranges) -> Ranges:
    """Sorted and disjoint; neighbours joined."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def invert_ranges(ranges: Ranges) -> Ranges:
    """Every code point outside ``ranges`` (sorted and disjoint)."""
    inverted, start = [], 0
    for low, high in ranges:
        if low > start:
            inverted.append((start, low - 1))
        start = high + 1
    if start <= MAX_CODE_POINT:
        inverted.append((start, MAX_CODE_POINT))
    return tuple(inverted)


def parse_lucene(pattern: str, is_insensitive: bool = False) -> Node:
    """The tree of a pattern; letters outside ranges stand for both cases if insensitive.

    Raises:
        ValueError: The pattern is not a Lucene regular expression, or longer than 1000.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(
            f"regular expression of {len(pattern)} characters; the limit is {MAX_PATTERN_LENGTH}"
        )
    if not pattern:
        return EMPTY_STRING
    parser = _Parser(pattern, is_insensitive)
    node = parser.parse_union()
    if parser.has_more():
        raise ValueError(f"regular expression: unexpected {parser.peeked()!r} {parser.place()}")
    return node


class _Parser:
    def __init__(self, pattern: str, is_insensitive: bool) -> None:
        self._pattern = pattern
        self._is_insensitive = is_insensitive
        self._at = 0
        self._depth = 0

    def has_more(self) -> bool:
        return self._at < len(self._pattern)

    def peeked(self) -> str:
        return self._pattern[self._at]

    def place(self) -> str:
        return f"at character {self._at + 1}"

    def _peek(self, characters: str) -> bool:
        return self.has_more() and self._pattern[self._at] in characters

    def _match(self, character: str) -> bool:
        if self._peek(character):
            self._at += 1
            return True
        return False

    def _next(self) -> str:
        if not self.has_more():
            raise ValueError("regular expression: ends where a character is expected")
        self._at += 1
        return self._pattern[self._at - 1]

    def _expect(self, character: str) -> None:
        if not self._match(character):
            raise ValueError(f"regular expression: expected {character!r} {self.place()}")

    def parse_union(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"regular expression: nested deeper than {MAX_DEPTH}")
        parts = [self._parse_intersection()]
        while self._match("|"):
            parts.append(self._parse_intersection())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Union(tuple(parts))

    def _parse_intersection(self) -> Node:
        parts = [self._parse_concat()]
        while self._match("&"):
            parts.append(self._parse_concat())
        return parts[0] if len(parts) == 1 else Intersection(tuple(parts))

    def _parse_concat(self) -> Node:
        # The first atom is read whatever stands there: that is why a leading ")" or "|" is one.
        parts = [self._parse_repeat()]
        while self.has_more() and not self._peek(")|&"):
            parts.append(self._parse_repeat())
        return parts[0] if len(parts) == 1 else Concat(tuple(parts))

    def _parse_repeat(self) -> Node:
        node = self._parse_complement()
        while self._peek("?*+{"):
            sign = self._next()
            if sign == "?":
                node = Repeat(node, 0, 1)
            elif sign == "*":
                node = Repeat(node, 0, None)
            elif sign == "+":
                node = Repeat(node, 1, None)
            else:
                node = self._parse_counts(node)
        return node

    def _parse_counts(self, operand: Node) -> Node:
        low = self._number()
        if low is None:
            raise ValueError(f"regular expression: expected a number {self.place()}")
        high: int | None = low
        if self._match(","):
            high = self._number()
        self._expect("}")
        if high is not None and high < low:
            return NOTHING
        return Repeat(operand, low, high)

    def _number(self) -> int | None:
        start = self._at
        while self._peek(_DIGITS):
            self._at += 1
        return int(self._pattern[start : self._at]) if self._at > start else None

    def _parse_complement(self) -> Node:
        count = 0
        while self._match("~"):
            count += 1
        node = self._parse_class()
        # Two complements are none.
        return Complement(node) if count % 2 else node

    def _parse_class(self) -> Node:
        if not self._match("["):
            return self._parse_simple()
        is_negated = self._match("^")
        ranges = self._parse_class_item()
        while self.has_more() and not self._peek("]"):
            ranges += self._parse_class_item()
        self._expect("]")
        merged = merge_ranges(ranges)
        return Chars(invert_ranges(merged) if is_negated else merged)

    def _parse_class_item(self) -> Ranges:
        shorthand = self._parse_shorthand()
        if shorthand is not None:
            return shorthand
        first = self._parse_character()
        if not self._match("-"):
            return self._character_ranges(first)
        low, high = ord(first), ord(self._parse_character())
        if low > high:
            raise ValueError(
                f"regular expression: range {chr(low)}-{chr(high)} is empty {self.place()}"
            )
        return ((low, high),)

    def _parse_shorthand(self) -> Ranges | None:
        r"""``\d`` and its like, or an escaped backslash, which cannot start a range."""
        if not self._match("\\"):
            return None
        if self._match("\\"):
            return self._character_ranges("\\")
        if not self.has_more():
            return None
        letter = self.peeked()
        if letter.lower() in _CLASSES and letter.isascii():
            self._at += 1
            ranges = _CLASSES[letter.lower()]
            return invert_ranges(ranges) if letter.isupper() else ranges
        if letter.isascii() and letter.isalpha():
            raise ValueError(f"regular expression: unknown escape \\{letter} {self.place()}")
        self._at -= 1
        return None

    def _parse_character(self) -> str:
        self._match("\\")
        return self._next()

    def _character_ranges(self, character: str) -> Ranges:
        code = ord(character)
        if self._is_insensitive and character.isascii() and character.isalpha():
            other = ord(character.swapcase())
            return (min(code, other), min(code, other)), (max(code, other), max(code, other))
        return ((code, code),)

    def _parse_simple(self) -> Node:
        if self._match("."):
            return ANY_CHAR
        if self._match("#"):
            return NOTHING
        if self._match("@"):
            return Repeat(ANY_CHAR, 0, None)
        if self._match('"'):
            return self._parse_quoted()
        if self._match("("):
            return self._parse_group()
        if self._match("<"):
            return self._parse_interval()
        shorthand = self._parse_shorthand()
        if shorthand is not None:
            return Chars(shorthand)
        return Chars(self._character_ranges(self._parse_character()))

    def _parse_quoted(self) -> Node:
        end = self._pattern.find('"', self._at)
        if end < 0:
            raise ValueError("regular expression: unbalanced '\"' (write \\\" for the character)")
        text = self._pattern[self._at : end]
        self._at = end + 1
        return Concat(tuple(Chars(self._character_ranges(character)) for character in text))

    def _parse_group(self) -> Node:
        if self._match(")"):
            return EMPTY_STRING
        node = self.parse_union()
        self._expect(")")
        return node

    def _parse_interval(self) -> Node:
        end = self._pattern.find(">", self._at)
        if end < 0:
            raise ValueError("regular expression: unbalanced '<' (write \\< for the character)")
        low_text, dash, high_text = self._pattern[self._at : end].partition("-")
        self._at = end + 1
        if not (dash and _is_number(low_text) and _is_number(high_text)):
            raise ValueError("regular expression: <...> must be an interval such as <1-100>")
        digits = len(low_text) if len(low_text) == len(high_text) else 0
        low, high = sorted((int(low_text), int(high_text)))
        return _interval(low, high, digits)


def _interval(low: int, high: int, digits: int) -> Node:
    """Numbers from ``low`` to ``high``: of exactly ``digits`` digits, or with any leading zeros."""
    if digits:
        return _between(str(low).zfill(digits), str(high).zfill(digits))
    parts = []
    for width in range(len(str(low)), len(str(high)) + 1):
        smallest = 10 ** (width - 1) if width > 1 else 0
        first, last = max(low, smallest), min(high, 10**width - 1)
        parts.append(_between(str(first), str(last)))
    return Concat((Repeat(_digits("0", "0"), 0, None), Union(tuple(parts))))


def _between(low: str, high: str) -> Node:
    """Texts of digits from ``low`` to ``high``, both of one width."""
    if not low:
        return EMPTY_STRING
    if low[0] == high[0]:
        return Concat((_digits(low[0], low[0]), _between(low[1:], high[1:])))
    rest = len(low) - 1
    parts: list[Node] = [
        Concat((_digits(low[0], low[0]), _between(low[1:], "9" * rest))),
        Concat((_digits(high[0], high[0]), _between("0" * rest, high[1:]))),
    ]
    if int(high[0]) - int(low[0]) > 1:
        middle = _digits(str(int(low[0]) + 1), str(int(high[0]) - 1))
        parts.append(Concat((middle, Repeat(_digits("0", "9"), rest, rest))))
    return Union(tuple(parts))


def _digits(low: str, high: str) -> Chars:
    return Chars(((ord(low), ord(high)),))


def _is_number(text: str) -> bool:
    """Digits that fit Java's int, which is what Lucene reads here."""
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31
