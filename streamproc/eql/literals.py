"""The texts and keys that an event must contain to match a query, read off the syntax tree.

Law of the file: an event that matches satisfies every clause. Where a condition might hold
without a text (a missing field under ``not``, a number that is written in several ways, an
operator that is not understood), nothing is required. ``()`` means that any event may match.

It knows nothing of JSON: a ``Text`` is part of a field's value, a ``Key`` part of its name, a
``Scalar`` a number or boolean under a name, a ``NonAscii`` a character of a value.
Upper and lower case are never told apart; every text is kept with ASCII letters lowered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from math import prod
from typing import Final, TypeAlias

from streamproc.eql.frequency import EVERY_EVENT, is_often_array
from streamproc.eql.nodes import (
    And,
    Arithmetic,
    Call,
    Comparison,
    EventQuery,
    Expr,
    Field,
    Literal,
    Membership,
    Negate,
    Not,
    Or,
    PatternMatch,
)
from streamproc.eql.regex_literals import END, START, needs_non_ascii, regex_clauses
from streamproc.eql.requirements import (
    Clause,
    Clauses,
    Key,
    NonAscii,
    Requirement,
    Scalar,
    Text,
    implies,
)

MAX_REQUIREMENTS: Final = 4096
"""A clause with more alternatives than this is left out (the largest known has 2,609)."""

MAX_CLAUSES: Final = 24
"""Clauses kept per query, rarest first; more of them hardly narrow the candidates."""

MAX_ROUNDS: Final = 2
"""Of an ``or``, so many clauses are made: of its branches' rarest ones, of the next, and so on."""

_SCALAR_MAX: Final = 10**9  # what rounds to a larger one may begin with other digits
_NOTHING: Final[Clauses] = ()


def required_clauses(query: EventQuery, event_category_field: str = "event.category") -> Clauses:
    """What every event that matches ``query`` contains: all of the clauses, rarest first.

    None of them says what a rarer one says already.
    """
    clauses = _holds(query.condition)
    if query.category is not None:
        field = Field(event_category_field)
        clauses += _text_leaf(field, [[Text(query.category, True, True)]])
    found: list[Clause] = []
    for clause in sorted(dict.fromkeys(clauses), key=_share):
        if not any(implies(rarer, clause) for rarer in found):
            found.append(clause)
    return tuple(found[:MAX_CLAUSES])


def _holds(expr: Expr) -> Clauses:
    """Clauses of an expression that must be true."""
    match expr:
        case And(terms):
            return tuple(chain.from_iterable(map(_holds, terms)))
        case Or(terms):
            return _any_of([_holds(term) for term in terms])
        case Not(operand):
            return _fails(operand)
        case Comparison():
            return _comparison(expr)
        case Membership(operand, values, is_insensitive):
            texts = [value.value for value in values]
            return _constants(operand, texts, is_insensitive, _exact)
        case PatternMatch(op, operand, patterns):
            pieces = _regex if op.startswith("regex") else _wildcard
            texts = [pattern.value for pattern in patterns]
            clauses = _constants(operand, texts, op in (":", "like~", "regex~"), pieces)
            return clauses + _non_ascii(op, operand, texts) if pieces is _regex else clauses
        case Call():
            return _call(expr)
        case Field():
            return _keys((expr,))
        case _:
            return _NOTHING


def _fails(expr: Expr) -> Clauses:
    """Clauses of an expression that must be false: a missing field makes most of them so."""
    match expr:
        case And(terms):
            return _any_of([_fails(term) for term in terms])
        case Or(terms):
            return tuple(chain.from_iterable(map(_fails, terms)))
        case Not(operand):
            return _holds(operand)
        case Comparison("==", operand, Literal(None)) | Comparison("==", Literal(None), operand):
            return _keys(_needed_fields(operand))
        case _:
            return _NOTHING


def _any_of(branches: Sequence[Clauses]) -> Clauses:
    """Clauses of "one of these": the rarest of each branch, those next to them, and so on.

    And again for each shared field.
    """
    if not all(branches):
        return _NOTHING
    if len(branches) == 1:
        return branches[0]
    ranked = [sorted(branch, key=_share) for branch in branches]
    rounds = min(max(map(len, ranked)), MAX_ROUNDS)
    merged = [_merge([b[min(place, len(b) - 1)] for b in ranked]) for place in range(rounds)]
    if rounds > 1:
        shared = set.intersection(*({clause.fields for clause in branch} for branch in branches))
        for fields in sorted(shared, key=sorted):
            about = [[c for c in branch if c.fields == fields] for branch in branches]
            merged.append(_merge([min(clauses, key=_share) for clauses in about]))
    return tuple(
        clause for clause in dict.fromkeys(merged) if len(clause.requirements) <= MAX_REQUIREMENTS
    )


def _share(clause: Clause) -> float:
    return clause.share


def _merge(clauses: Iterable[Clause]) -> Clause:
    clauses = tuple(clauses)
    requirements = tuple(dict.fromkeys(chain.from_iterable(c.requirements for c in clauses)))
    fields = frozenset(chain.from_iterable(clause.fields for clause in clauses))
    return _clause(requirements, fields)


def _clause(requirements: tuple[Requirement, ...], fields: frozenset[str]) -> Clause:
    if len(requirements) == 1:
        return Clause(requirements, fields, requirements[0].share)
    return Clause(requirements, fields, 1 - prod(1 - item.share for item in requirements))


# Leaves ---------------------------------------------------------------------------------


def _comparison(expr: Comparison) -> Clauses:
    left, right = expr.left, expr.right
    if isinstance(left, Literal):
        left, right = right, left
    if not isinstance(right, Literal) or isinstance(left, Literal):
        return _keys(_needed_fields(left) + _needed_fields(right))
    if right.value is None:
        return _NOTHING
    if expr.op != "==":
        return _keys(_needed_fields(left))
    if isinstance(right.value, bool) and not isinstance(left, Field):
        # ``fn(f) == false`` is ``not fn(f)``, which a missing field satisfies.
        return _holds(left) if right.value else _NOTHING
    return _constants(left, [right.value], False, _exact)


# The texts of one constant: a list of clauses, each a list of texts one of which occurs.
_Pieces: TypeAlias = list[list[Text]]


def _constants(
    operand: Expr,
    values: Sequence[object],
    is_insensitive: bool,
    pieces_of: Callable[[str], _Pieces],
) -> Clauses:
    """Clauses of an operand that must meet one of ``values``, each read by ``pieces_of``."""
    if any(value is None for value in values):
        return _NOTHING
    keys = _keys(_needed_fields(operand))
    field = operand if isinstance(operand, Field) else _field_around(operand)
    # Functions compare in Java, which folds more than ASCII: no text is certain there.
    is_cut = not isinstance(operand, Field)
    if field is None or (is_cut and (is_insensitive or pieces_of is _regex)):
        return keys
    branches = []
    for value in values:
        if isinstance(value, int) and 0 <= value < _SCALAR_MAX and not is_cut:
            branches.append(_scalar_leaf(field, value))
            continue
        pieces = pieces_of(value) if isinstance(value, str) else []
        if is_cut:
            pieces = [[Text(text.text) for text in texts] for texts in pieces]
        branches.append(_text_leaf(field, pieces))
    return _any_of(branches) + keys


def _exact(value: str) -> _Pieces:
    """``==`` and ``in``: the whole value, unless another spelling of it is equal too."""
    return [] if _has_other_spellings(value) else [[Text(value, True, True)]]


def _wildcard(pattern: str) -> _Pieces:
    """``:`` and ``like``: the fixed pieces between ``*`` and ``?``, which have no escape."""
    pieces = re.split(r"[*?]+", pattern)
    return _between_cuts(pieces) if len(pieces) > 1 else _exact(pattern)


def _lucene_wildcard(pattern: str) -> _Pieces:
    r"""A constant that Lucene reads: ``*``, ``?`` and the escape character ``\`` end a piece."""
    return _between_cuts(re.split(r"[*?\\]+", pattern))


def _between_cuts(pieces: list[str]) -> _Pieces:
    last = len(pieces) - 1
    return [[Text(piece, i == 0, i == last)] for i, piece in enumerate(pieces) if piece]


def _regex(pattern: str) -> _Pieces:
    """``regex``: whatever the expression surely requires."""
    clauses = regex_clauses(pattern) or ()
    return [[_marked(text) for text in sorted(texts)] for texts in clauses]


def _non_ascii(op: str, operand: Expr, patterns: Sequence[object]) -> Clauses:
    """The clause of a value that no regular expression of the list matches in ASCII alone."""
    texts = [pattern for pattern in patterns if isinstance(pattern, str)]
    if not isinstance(operand, Field) or len(texts) < len(patterns):
        return _NOTHING
    if not needs_non_ascii(texts, op == "regex~"):
        return _NOTHING
    return (_clause((NonAscii(),), frozenset((operand.path,))),)


def _marked(text: str) -> Text:
    return Text(text.strip(START + END), text.startswith(START), text.endswith(END))


def _text_leaf(field: Field, pieces: _Pieces) -> Clauses:
    """Clauses about one field, without those that every event or a number could satisfy."""
    clauses = []
    name, fields = _about(field.path)
    for texts in pieces:
        folded = dict.fromkeys(
            [
                Text(_fold(text), at_start, at_end, name if at_start else "")
                for text, at_start, at_end, _ in texts
            ]
        )
        if any(not item.text or _could_be_number(item.text) for item in folded):
            continue
        clause = _clause(tuple(folded), fields)
        if clause.share < EVERY_EVENT:
            clauses.append(clause)
    return tuple(clauses)


@lru_cache(maxsize=4096)
def _about(path: str) -> tuple[str, frozenset[str]]:
    """The name that texts are looked for with at the start of a field's value, and the field."""
    last = _fold(path).rpartition(".")[2]
    return "" if is_often_array(last) else last, frozenset((path,))


def _scalar_leaf(field: Field, constant: int) -> Clauses:
    """The clause of a field that equals a natural number or a boolean; any small number is 0."""
    if constant is not False and constant == 0:
        return _NOTHING
    name = _fold(field.path).rpartition(".")[2]
    scalar = Scalar(name, str(constant).lower())
    return (_clause((scalar,), frozenset((field.path,))),) if name else _NOTHING


def _keys(fields: Iterable[Field]) -> Clauses:
    """One clause for each field whose name has a component that is rare."""
    clauses = []
    for field in fields:
        components = _fold(field.path).split(".")
        for index in range(len(components) - 1, -1, -1):
            key = Key(components[index], index == len(components) - 1)
            if key.name and key.share < EVERY_EVENT:
                clauses.append(_clause((key,), frozenset((field.path,))))
                break
    return tuple(clauses)


# Functions ------------------------------------------------------------------------------

# How many leading arguments must have a value for the result to be one; None: all of them.
_NULL_STRICT: Final[dict[str, int | None]] = {
    "add": None,
    "subtract": None,
    "multiply": None,
    "divide": None,
    "modulo": None,
    "concat": None,
    "between": 1,
    "cidrMatch": 1,
    "endsWith": 2,
    "indexOf": 2,
    "length": 1,
    "number": 1,
    "startsWith": 2,
    "string": 1,
    "stringContains": 2,
    "substring": 1,
}


def _needed_fields(expr: Expr) -> tuple[Field, ...]:
    """Fields without which the value of ``expr`` is null."""
    match expr:
        case Field():
            return (expr,)
        case Negate(operand):
            return _needed_fields(operand)
        case Arithmetic(_, left, right):
            return _needed_fields(left) + _needed_fields(right)
        case Call(name, args) if name in _NULL_STRICT:
            strict = args[: _NULL_STRICT[name]]
            return tuple(chain.from_iterable(map(_needed_fields, strict)))
        case _:
            return ()


def _field_around(expr: Expr) -> Field | None:
    """The field whose text contains the result of ``expr``, if it is a plain cut-out of it."""
    match expr:
        case Call("substring" | "between", (Field() as field, *_)):
            return field
        case Call("substring" | "between", (Call() as inner, *_)):
            return _field_around(inner)
        case _:
            return None


def _call(call: Call) -> Clauses:
    """A function whose result must be true."""
    keys = _keys(_needed_fields(call))
    match call:
        case Call("startsWith", (Field() as field, Literal(str() as text))):
            return _text_leaf(field, [[Text(text, True, False)]]) + keys
        case Call("endsWith", (Field() as field, Literal(str() as text))):
            pieces = _lucene_wildcard("*" + text)
            return _text_leaf(field, pieces) + keys
        case Call("stringContains", (Field() as field, Literal(str() as text))):
            pieces = _lucene_wildcard(f"*{text}*")
            return _text_leaf(field, pieces) + keys
        case _:
            return keys


# Values with several spellings ------------------------------------------------------------

_TO_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_NUMBER_TEXT: Final = frozenset("0123456789.+-e")
_WORDS: Final = "true false null nan -infinity"
# Texts that a date, ip or version field may hold in another spelling.
_SPELLINGS: Final = re.compile(
    r"""[+-]?\d{4,}[-/T] | now                   # date
    | [0-9a-f.]*:[0-9a-f.]*:[0-9a-f.:]*(%|/|\Z) # IPv6 address or network
    | [0-9.]+/\d+\Z                             # IPv4 network
    | v?\d+(\.\d+)*[-+]                         # version
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


def _fold(text: str) -> str:
    return text.translate(_TO_LOWER)


def _could_be_number(text: str) -> bool:
    """Whether a JSON number or boolean, taken as a keyword, might contain ``text`` (folded)."""
    return text in _WORDS or _NUMBER_TEXT.issuperset(text)


def _has_other_spellings(value: str) -> bool:
    """Whether a date, address or version that is written otherwise may equal ``value``."""
    return _SPELLINGS.match(value) is not None
