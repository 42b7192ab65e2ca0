"""Wildcard patterns (``*`` any run, ``?`` one character) as tests of one string.

Law of the file: whole value, no escape in ``:`` and ``like`` patterns, and no pattern costs more
than pattern length times value length. Case is none of this file's business: for an insensitive
match the caller folds the patterns here and the values where they are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

TextTest: TypeAlias = Callable[[str], bool]
# A piece between two ``*``: characters, None standing for ``?``.
Segment: TypeAlias = tuple[str | None, ...]


class Glob(NamedTuple):
    """A pattern cut at its ``*``: n+1 segments for n stars."""

    segments: tuple[Segment, ...]


class TextTests(NamedTuple):
    """Many patterns, any of which may match, sorted by what is cheap to test.

    Attributes:
        exact: Whole values.
        prefixes: ``literal*``.
        suffixes: ``*literal``.
        inner: ``*literal*``; an empty one matches every value.
        others: Everything else.
    """

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    inner: tuple[str, ...]
    others: tuple[TextTest, ...]

    def is_exact(self) -> bool:
        """True when set membership alone decides."""
        return not (self.prefixes or self.suffixes or self.inner or self.others)


def parse_wildcard(pattern: str) -> Glob:
    """The glob of a ``:``/``like`` pattern: everything but ``*`` and ``?`` stands for itself."""
    if "**" in pattern:
        pattern = re.sub(r"\*+", "*", pattern)
    return Glob(tuple([_segment(piece) for piece in pattern.split("*")]))


def _segment(piece: str) -> Segment:
    if "?" not in piece:
        return tuple(piece)
    return tuple([None if character == "?" else character for character in piece])


def parse_lucene_wildcard(pattern: str) -> Glob:
    """The glob of a Lucene wildcard query: a backslash makes the next character literal.

    A backslash at the very end stands for itself, as in Lucene.
    """
    segments: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            segments[-1].append(next(characters, "\\"))
        elif character == "*":
            segments.append([])
        else:
            segments[-1].append(None if character == "?" else character)
    # Neighbouring stars are one star; only empty segments between two stars go.
    kept = [part for at, part in enumerate(segments) if part or at in (0, len(segments) - 1)]
    return Glob(tuple(tuple(part) for part in kept))


def sort_globs(globs: Iterable[Glob]) -> TextTests:
    """Combine patterns, any of which may match, into as few tests as possible."""
    exact: set[str] = set()
    prefixes: dict[str, None] = {}
    suffixes: dict[str, None] = {}
    inner: dict[str, None] = {}
    others: dict[Glob, TextTest] = {}
    for glob in globs:
        texts = [_literal(segment) for segment in glob.segments]
        match texts:
            case [str(only)]:
                exact.add(only)
            case [str(start), ""]:
                (prefixes if start else inner)[start] = None
            case ["", str(end)]:
                suffixes[end] = None
            case ["", str(middle), ""]:
                inner[middle] = None
            case _:
                others[glob] = compile_glob(glob)
    if "" in inner:
        # ``*``: any value at all, so the rest has nothing left to decide.
        return TextTests(frozenset(), (), (), ("",), ())
    return TextTests(
        frozenset(exact), tuple(prefixes), tuple(suffixes), tuple(inner), tuple(others.values())
    )


def compile_tests(tests: TextTests) -> TextTest:
    """One test of one string for the whole list."""
    exact, prefixes, suffixes, inner, others = tests
    if tests.is_exact():
        return exact.__contains__
    if inner == ("",):
        return lambda text: True
    if not (exact or prefixes or suffixes or inner) and len(others) == 1:
        return others[0]

    def matches(text: str) -> bool:
        # startswith/endswith of an empty tuple is False: no need to ask first.
        if text in exact or text.startswith(prefixes) or text.endswith(suffixes):
            return True
        for literal in inner:
            if literal in text:
                return True
        for test in others:  # noqa: SIM110 - any() with a generator costs twice as much
            if test(text):
                return True
        return False

    return matches


def compile_glob(glob: Glob) -> TextTest:
    """The test for one general pattern: two or more segments, or any ``?``."""
    segments = glob.segments
    if all(part is None for segment in segments for part in segment):
        return _compile_length(sum(map(len, segments)), len(segments) == 1)
    if len(segments) == 1:
        return _compile_anchored(segments[0])
    first, *middle, last = segments
    texts = _literal(first), _literal(last)
    if not middle and texts[0] is not None and texts[1] is not None:
        return _compile_ends(texts[0], texts[1])
    return _compile_search(first, tuple(middle), last)


def _literal(segment: Segment) -> str | None:
    """The segment as a plain string, or None when it holds a ``?``."""
    return None if None in segment else "".join(segment)  # type: ignore[arg-type]


def _compile_length(minimum: int, is_exact: bool) -> TextTest:
    if is_exact:
        return lambda text: len(text) == minimum
    return lambda text: len(text) >= minimum


def _compile_ends(start: str, end: str) -> TextTest:
    minimum = len(start) + len(end)

    def matches(text: str) -> bool:
        return len(text) >= minimum and text.startswith(start) and text.endswith(end)

    return matches


def _segment_expression(segment: Segment) -> re.Pattern[str]:
    """A fixed-length expression: literals and dots only, so it cannot backtrack."""
    return re.compile(
        "".join("." if part is None else re.escape(part) for part in segment), re.DOTALL
    )


def _compile_anchored(segment: Segment) -> TextTest:
    run = _only_run(segment)
    if run is not None:
        literal, offset, length = *run, len(segment)
        return lambda text: len(text) == length and text.startswith(literal, offset)
    fullmatch = _segment_expression(segment).fullmatch
    return lambda text: fullmatch(text) is not None


def _compile_search(first: Segment, middle: tuple[Segment, ...], last: Segment) -> TextTest:
    """Segments found one after the other, leftmost first.

    Leftmost is enough: if the rest matches after a later place, it matches after an earlier one.
    """
    at_start, at_end = _compile_start(first), _compile_start(last)
    start_length, end_length = len(first), len(last)
    minimum = start_length + end_length
    finders = tuple(_compile_finder(segment) for segment in middle)

    def matches(text: str) -> bool:
        stop = len(text) - end_length
        if len(text) < minimum or not at_start(text, 0) or not at_end(text, stop):
            return False
        place = start_length
        for find in finders:
            place = find(text, place, stop)
            if place < 0:
                return False
        return True

    return matches


def _compile_start(segment: Segment) -> Callable[[str, int], object]:
    """Whether the segment stands at a place: a test that returns something truthy if so."""
    run = _only_run(segment)
    if run is None:
        return _segment_expression(segment).match
    literal, offset = run
    if not offset:
        return lambda text, place: text.startswith(literal, place)
    return lambda text, place: text.startswith(literal, place + offset)


def _only_run(segment: Segment) -> tuple[str, int] | None:
    """The characters between the ``?`` of a segment and their offset, if they stand together.

    Most ``?`` stand for a drive letter at the very start; an expression for each would be most
    of the time that compiling takes.
    """
    kept = [part for part in segment if part is not None]
    start = next((at for at, part in enumerate(segment) if part is not None), 0)
    is_run = None not in segment[start : start + len(kept)]
    return ("".join(kept), start) if is_run else None


def _compile_finder(segment: Segment) -> Callable[[str, int, int], int]:
    """Where the first occurrence between two places ends; -1 for none."""
    literal, length = _literal(segment), len(segment)
    if literal is not None:

        def find_literal(text: str, start: int, stop: int) -> int:
            place = text.find(literal, start, stop)
            return place + length if place >= 0 else -1

        return find_literal
    search = _segment_expression(segment).search

    def find_expression(text: str, start: int, stop: int) -> int:
        found = search(text, start, stop)
        return found.end() if found else -1

    return find_expression
