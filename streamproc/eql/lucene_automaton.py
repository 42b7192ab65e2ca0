"""A deterministic automaton for Lucene patterns with complement or intersection.

Law of the file: states are expressions and edges are their Brzozowski derivatives, so complement
and intersection cost nothing special. The automaton is built whole when the query is compiled,
within a bound on states (Elasticsearch has the same bound, ``max_determinized_states``); matching
is then one table look-up per character.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from streamproc.eql.lucene_syntax import (
    Chars,
    Complement,
    Concat,
    Intersection,
    Node,
    Repeat,
    Union,
    merge_ranges,
)

MAX_STATES = 10_000
"""States of one automaton: Elasticsearch's default for ``max_determinized_states``."""

MAX_EFFORT = 1_000_000
"""Expressions made and parts of unions joined for one automaton: about two seconds. Bounds the
time where states are few but large; ``~((a|b)*a(a|b){12})`` with 8,193 states needs a quarter."""

# A term is a tuple, its first item the kind. Terms are kept in a normal form (sorted unions, no
# nested unions, neutral parts dropped) so that the set of derivatives is finite and small.
_Term: TypeAlias = tuple[Any, ...]
_NONE: _Term = ("chars", ())
_EMPTY: _Term = ("empty",)
_ASCII = 128


def compile_automaton(node: Node) -> Callable[[str], bool]:
    """The test of one string against ``node``.

    Raises:
        ValueError: The pattern needs too many states.
    """
    builder = _Builder()
    try:
        start = builder.term(node)
        rows, accepting, classes = builder.table(start)
    except RecursionError as error:
        raise ValueError("regular expression: too large") from error
    return _compile_walk(rows, accepting, classes)


def _compile_walk(
    rows: list[list[int]], accepting: list[bool], bounds: list[int]
) -> Callable[[str], bool]:
    ascii_class = [bisect_right(bounds, code) for code in range(_ASCII)]

    def matches(text: str) -> bool:
        state = 0
        for character in text:
            code = ord(character)
            row = rows[state]
            state = row[ascii_class[code] if code < _ASCII else bisect_right(bounds, code)]
        return accepting[state]

    return matches


class _Builder:
    """Makes terms in normal form, each equal one once, and their derivatives."""

    def __init__(self) -> None:
        self._effort = 0
        self._known: dict[_Term, _Term] = {}
        self._order: dict[int, int] = {}
        self._derived: dict[tuple[int, int], _Term] = {}
        self._nullable: dict[int, bool] = {}
        self._none = self._keep(_NONE)
        self._empty = self._keep(_EMPTY)
        self._all = self._keep(("not", self._none))

    def term(self, node: Node) -> _Term:
        """The term of a parsed pattern."""
        match node:
            case Chars(ranges):
                return self._keep(("chars", ranges))
            case Concat(parts):
                return self._concat_all(self.term(part) for part in parts)
            case Union(parts):
                return self._union(self.term(part) for part in parts)
            case Intersection(parts):
                # a & b = not (not a or not b)
                return self._not(self._union(self._not(self.term(part)) for part in parts))
            case Complement(operand):
                return self._not(self.term(operand))
            case Repeat(operand, low, high):
                return self._repeat(self.term(operand), low, high)

    def table(self, start: _Term) -> tuple[list[list[int]], list[bool], list[int]]:
        """Rows of next states by character class, which states accept, class boundaries."""
        bounds = sorted(self._boundaries())
        samples = [0, *bounds]
        numbers, states = {id(start): 0}, [start]
        rows: list[list[int]] = []
        while len(rows) < len(states):
            state = states[len(rows)]
            row = []
            for sample in samples:
                after = self._derive(state, sample)
                if id(after) not in numbers:
                    numbers[id(after)] = len(states)
                    states.append(after)
                    if len(states) > MAX_STATES:
                        raise ValueError(f"regular expression: more than {MAX_STATES} states")
                row.append(numbers[id(after)])
            rows.append(row)
        return rows, [self._accepts_empty(state) for state in states], bounds

    def _keep(self, term: _Term) -> _Term:
        """The one object that stands for all equal terms: identity is equality from here on."""
        is_leaf = term[0] == "chars"
        key = (
            term
            if is_leaf
            else tuple(id(part) if isinstance(part, tuple) else part for part in term)
        )
        found = self._known.get(key)
        if found is None:
            self._spend()
            found = self._known[key] = term
            self._order[id(term)] = len(self._order)
        return found

    def _spend(self) -> None:
        self._effort += 1
        if self._effort > MAX_EFFORT:
            raise ValueError("regular expression: too complex")

    def _concat_all(self, parts: Iterable[_Term]) -> _Term:
        result = self._empty
        for part in reversed(list(parts)):
            result = self._concat(part, result)
        return result

    def _concat(self, first: _Term, then: _Term) -> _Term:
        if first is self._none or then is self._none:
            return self._none
        if first is self._empty:
            return then
        if then is self._empty:
            return first
        if first[0] == "concat":
            return self._concat(first[1], self._concat(first[2], then))
        return self._keep(("concat", first, then))

    def _union(self, parts: Iterable[_Term]) -> _Term:
        terms: dict[int, _Term] = {}
        ranges: tuple[tuple[int, int], ...] = ()
        everything = self._all
        for part in parts:
            for term in part[1:] if part[0] == "union" else (part,):
                self._spend()
                if term is everything:
                    return self._all
                if term[0] == "chars":
                    ranges += term[1]
                else:
                    terms[id(term)] = term
        if ranges:
            characters = self._keep(("chars", merge_ranges(ranges)))
            terms[id(characters)] = characters
        ordered = sorted(terms.values(), key=lambda term: self._order[id(term)])
        if not ordered:
            return self._none
        return ordered[0] if len(ordered) == 1 else self._keep(("union", *ordered))

    def _not(self, term: _Term) -> _Term:
        if term[0] != "not":
            return self._keep(("not", term))
        inner: _Term = term[1]
        return inner

    def _repeat(self, operand: _Term, low: int, high: int | None) -> _Term:
        if high == 0:
            return self._empty
        if operand is self._none or operand is self._empty:
            return self._empty if low == 0 else operand
        if (low, high) == (1, 1):
            return operand
        return self._keep(("repeat", operand, low, high))

    def _accepts_empty(self, term: _Term) -> bool:
        known = self._nullable.get(id(term))
        if known is None:
            known = self._nullable[id(term)] = self._find_nullable(term)
        return known

    def _find_nullable(self, term: _Term) -> bool:
        match term[0]:
            case "empty":
                return True
            case "chars":
                return False
            case "concat":
                return self._accepts_empty(term[1]) and self._accepts_empty(term[2])
            case "union":
                return any(map(self._accepts_empty, term[1:]))
            case "not":
                return not self._accepts_empty(term[1])
        return term[2] == 0 or self._accepts_empty(term[1])

    def _derive(self, term: _Term, code: int) -> _Term:
        """What may follow once the character ``code`` was read."""
        known = self._derived.get((id(term), code))
        if known is None:
            known = self._derived[id(term), code] = self._find_derivative(term, code)
        return known

    def _find_derivative(self, term: _Term, code: int) -> _Term:
        match term[0]:
            case "empty":
                return self._none
            case "chars":
                is_in = any(low <= code <= high for low, high in term[1])
                return self._empty if is_in else self._none
            case "concat":
                after = self._concat(self._derive(term[1], code), term[2])
                if self._accepts_empty(term[1]):
                    return self._union((after, self._derive(term[2], code)))
                return after
            case "union":
                return self._union([self._derive(part, code) for part in term[1:]])
            case "not":
                return self._not(self._derive(term[1], code))
        _, operand, low, high = term
        rest = self._repeat(operand, max(0, low - 1), None if high is None else high - 1)
        return self._concat(self._derive(operand, code), rest)

    def _boundaries(self) -> set[int]:
        """The code points at which some character set of the pattern begins or has ended."""
        bounds: set[int] = set()
        for term in self._known.values():
            if term[0] == "chars":
                for low, high in term[1]:
                    bounds.update((low, high + 1))
        bounds.discard(0)
        return bounds
