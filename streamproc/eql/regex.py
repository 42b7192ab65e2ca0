"""Lucene regular expressions as tests of one string.

Law of the file: whole value, ``.`` matches a newline, and no pattern can make a match slow.
Patterns without complement and intersection run on RE2; the others on an automaton built here,
whose size is bounded when the query is compiled. Neither backtracks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import re2

from streamproc.eql.lucene_automaton import compile_automaton
from streamproc.eql.lucene_syntax import (
    MAX_CODE_POINT,
    Chars,
    Complement,
    Concat,
    Intersection,
    Node,
    Repeat,
    Union,
    parse_lucene,
)

_RE2_MEMORY = 32 << 20
"""Bytes one pattern may use; RE2's default of 8 MiB refuses some legal ones, e.g. (.{500}){3}."""


def compile_regex(patterns: Sequence[str], is_insensitive: bool) -> Callable[[str], bool]:
    """The test for a list of patterns, which Elasticsearch joins with ``|`` before parsing.

    Raises:
        ValueError: The joined pattern is wrong, too long or too large.
    """
    node = parse_lucene("|".join(patterns), is_insensitive)
    if _needs_automaton(node):
        return compile_automaton(node)
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _RE2_MEMORY
    try:
        # Bytes in, bytes out: RE2 then has no character offsets to work out.
        fullmatch = re2.compile(to_re2(node).encode(), options).fullmatch
    except re2.error:
        # RE2 allows at most 1000 repetitions, the automaton as many as it has states.
        return compile_automaton(node)

    def matches(text: str) -> bool:
        # A lone surrogate cannot come from JSON bytes; "replace" makes it a plain "?".
        return fullmatch(text.encode("utf-8", "replace")) is not None

    return matches


def to_re2(node: Node) -> str:
    """The RE2 pattern of a tree without complement and intersection."""
    match node:
        case Chars(ranges):
            return _characters(ranges)
        case Concat(parts):
            return "".join(map(to_re2, parts))
        case Union(parts):
            return f"(?:{'|'.join(map(to_re2, parts))})"
        case Repeat(operand, low, high):
            return f"(?:{to_re2(operand)}){_counts(low, high)}"
    raise AssertionError(f"{type(node).__name__} has no RE2 form")


def _needs_automaton(node: Node) -> bool:
    match node:
        case Complement() | Intersection():
            return True
        case Concat(parts) | Union(parts):
            return any(map(_needs_automaton, parts))
        case Repeat(operand):
            return _needs_automaton(operand)
    return False


def _characters(ranges: tuple[tuple[int, int], ...]) -> str:
    if not ranges:
        return rf"[^\x00-\x{{{MAX_CODE_POINT:X}}}]"
    if ranges == ((0, MAX_CODE_POINT),):
        return "(?s:.)"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return rf"\x{{{ranges[0][0]:X}}}"
    body = "".join(rf"\x{{{low:X}}}-\x{{{high:X}}}" for low, high in ranges)
    return f"[{body}]"


def _counts(low: int, high: int | None) -> str:
    if high is None:
        return {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    return "?" if (low, high) == (0, 1) else f"{{{low},{high}}}"
