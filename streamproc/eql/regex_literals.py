"""Texts that every value matched by a Lucene regular expression must contain.

Law of the file: whatever is not surely understood yields ``None`` (nothing is required).
It understands characters, escapes, classes, groups, ``|``, ``?``, ``*``, ``+`` and ``{n,m}``;
Lucene's further operators (``~ & @ # < > "``) and its corner cases (an empty branch, an
operator without operand) end the analysis. The pattern is matched as a whole, so its first
and last texts are tied to the ends of the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final, NamedTuple, TypeAlias

from streamproc.eql.lucene_syntax import (
    Chars,
    Concat,
    Intersection,
    Node,
    Repeat,
    Union,
    parse_lucene,
)

START: Final = "\x02"
END: Final = "\x03"
"""Marks for the two ends of a value inside the texts that this module returns."""

_MAX_TEXTS: Final = 128  # texts of one alternation; a larger product is cut into two clauses
_MAX_CLASS: Final = 4  # members of a class that is spelled out
_ASCII_MAX: Final = 0x7F
_MAX_DEPTH: Final = 50  # nested groups
_SPECIAL: Final = frozenset('~&@#<>"]{}')
_MARKS: Final = frozenset((START, END))

Texts: TypeAlias = frozenset[str]
_EMPTY: Final[Texts] = frozenset(("",))


class _UnsureError(Exception):
    """The pattern uses something that this module does not analyse."""


class _Facts(NamedTuple):
    """What is known of one part: all its texts, if they are few, and the clauses it implies."""

    exact: Texts | None
    clauses: tuple[Texts, ...]


_ANYTHING: Final = _Facts(None, ())


def regex_clauses(pattern: str) -> tuple[Texts, ...] | None:
    """The texts that a value must contain to match ``pattern``: of each set, at least one.

    Texts keep the case of the pattern; ``START`` and ``END`` mark the ends of the value.
    Returns None if the pattern is not understood, ``()`` if nothing is required.
    """
    if not pattern or _MARKS.intersection(pattern):
        return None
    try:
        facts = _Reader(pattern).read_all()
    except _UnsureError:
        return None
    return facts.clauses


def needs_non_ascii(patterns: Sequence[str], is_insensitive: bool) -> bool:
    """Whether every value that matches one of the patterns has a character beyond ASCII.

    Also false for patterns that are wrong: the compiler says so, and where.
    """
    try:
        return _is_beyond_ascii(parse_lucene("|".join(patterns), is_insensitive))
    except ValueError:
        return False


def _is_beyond_ascii(node: Node) -> bool:
    match node:
        case Chars(ranges):
            return all(low > _ASCII_MAX for low, _ in ranges)
        case Concat(parts) | Intersection(parts):
            return any(map(_is_beyond_ascii, parts))
        case Union(parts):
            return all(map(_is_beyond_ascii, parts))
        case Repeat(operand, low):
            return low > 0 and _is_beyond_ascii(operand)
    return False


class _Reader:
    """Recursive descent over one pattern; ``at`` is the index of the next character."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def read_all(self) -> _Facts:
        """Read the whole pattern as one value with marked ends."""
        whole = self._alternatives()
        if self.at != len(self.pattern):
            raise _UnsureError
        return whole if whole.exact is None else _Facts(whole.exact, _as_clauses(whole))

    def _peek(self) -> str:
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def _take(self) -> str:
        character = self._peek()
        if not character:
            raise _UnsureError
        self.at += 1
        return character

    def _alternatives(self) -> _Facts:
        branches = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else _either(branches)

    def _sequence(self) -> _Facts:
        parts = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._single()))
        if not parts:
            raise _UnsureError
        if self.depth == 0:
            parts = [_text(START), *parts, _text(END)]
        return _join(parts)

    def _repeated(self, part: _Facts) -> _Facts:
        while (operator := self._peek()) and operator in "?*+{":
            self.at += 1
            if operator == "?":
                exact = None if part.exact is None else part.exact | _EMPTY
                part = _Facts(exact, ())
            elif operator == "*":
                part = _ANYTHING
            elif operator == "+" or self._least_count() > 0:
                part = _Facts(None, _as_clauses(part))
            else:
                part = _ANYTHING
        return part

    def _least_count(self) -> int:
        close = self.pattern.find("}", self.at)
        least, _, most = self.pattern[self.at : close].partition(",")
        if close < 0 or not least.isdecimal() or not (most == "" or most.isdecimal()):
            raise _UnsureError
        self.at = close + 1
        return int(least)

    def _single(self) -> _Facts:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == ".":
            return _ANYTHING
        if character == "\\":
            return self._escape()
        if character in _SPECIAL or character in "?*+":
            raise _UnsureError
        return _text(character)

    def _group(self) -> _Facts:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _UnsureError
        inner = self._alternatives()
        if self._take() != ")":
            raise _UnsureError
        self.depth -= 1
        return inner

    def _escape(self) -> _Facts:
        character = self._take()
        if character in "dDsSwW":
            return _ANYTHING
        if character.isalnum():
            raise _UnsureError
        return _text(character)

    def _class(self) -> _Facts:
        is_negated = self._peek() == "^"
        self.at += is_negated
        members: set[str] = set()
        is_listed = not is_negated
        first = True
        while first or self._peek() != "]":
            first = False
            character = self._take()
            if character == "\\":
                character = self._take()
                is_listed = is_listed and not character.isalnum()
            elif character in "]&[":
                raise _UnsureError
            elif character == "-":
                is_listed = False
            members.add(character)
        self.at += 1
        if not is_listed or len(members) > _MAX_CLASS:
            return _ANYTHING
        return _Facts(frozenset(members), ())


def _text(text: str) -> _Facts:
    return _Facts(frozenset((text,)), ())


def _as_clauses(part: _Facts) -> tuple[Texts, ...]:
    if part.exact is None:
        return part.clauses
    return () if "" in part.exact else (part.exact,)


def _join(parts: list[_Facts]) -> _Facts:
    """Parts one after the other: neighbouring texts grow together as long as they are few."""
    clauses: list[Texts] = []
    is_exact = True
    run: Texts = _EMPTY
    for part in parts:
        if part.exact is not None and len(run) * len(part.exact) <= _MAX_TEXTS:
            run = frozenset(left + right for left, right in product(run, part.exact))
            continue
        is_exact = False
        clauses.extend(_as_clauses(_Facts(run, ())))
        run = part.exact if part.exact is not None else _EMPTY
        clauses.extend(part.clauses)
    if is_exact:
        return _Facts(run, ())
    clauses.extend(_as_clauses(_Facts(run, ())))
    return _Facts(None, tuple(clauses))


def _either(branches: list[_Facts]) -> _Facts:
    exact: set[str] = set()
    for branch in branches:
        if branch.exact is None:
            break
        exact.update(branch.exact)
    else:
        if len(exact) <= _MAX_TEXTS:
            return _Facts(frozenset(exact), ())
    chosen: set[str] = set()
    for branch in branches:
        clauses = _as_clauses(branch)
        if not clauses:
            return _ANYTHING
        chosen.update(max(clauses, key=lambda texts: min(map(len, texts))))
    return _Facts(None, (frozenset(chosen),))
