"""The syntax tree of an EQL query: plain frozen data, each node with its place in the text.

Law of the file: a node means exactly what was written. Sugar is removed where Elasticsearch
removes it in its parser (``!=`` is ``Not(==)``, ``not in`` is ``Not(in)``); nothing else is
rewritten. Spans take no part in equality, so ``parse(print(tree)) == tree`` can be tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


class Span(NamedTuple):
    """Half-open range of character offsets in the query text, counted from 0."""

    start: int
    end: int


NO_SPAN = Span(0, 0)
Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. ``None`` is EQL's ``null``; strings have their escapes already applied."""

    value: Scalar
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A field path such as ``process.parent.name``; ``is_optional`` for ``?process.name``."""

    path: str
    is_optional: bool = False
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``name`` is canonical (``cidrMatch``), ``is_insensitive`` for ``fn~``."""

    name: str
    args: tuple[Expr, ...]
    is_insensitive: bool = False
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus on something other than a number literal (``-5`` is a Literal)."""

    operand: Expr
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left op right`` with op one of ``+ - * / %``."""

    op: str
    left: Expr
    right: Expr
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left op right`` with op one of ``== < <= > >=`` (``!=`` is Not of ``==``)."""

    op: str
    left: Expr
    right: Expr
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Membership:
    """``operand in (values)`` or ``in~``; values are constants."""

    operand: Expr
    values: tuple[Literal, ...]
    is_insensitive: bool = False
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """``operand op patterns``, op one of ``: like like~ regex regex~``; any pattern may match."""

    op: str
    operand: Expr
    patterns: tuple[Literal, ...]
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The exact complement of its operand (two-valued; see eql semantics section 4)."""

    operand: Expr
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more terms; nested ``and`` is flattened."""

    terms: tuple[Expr, ...]
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more terms; nested ``or`` is flattened."""

    terms: tuple[Expr, ...]
    span: Span = field(default=NO_SPAN, compare=False)


Expr: TypeAlias = (
    Literal
    | Field
    | Call
    | Negate
    | Arithmetic
    | Comparison
    | Membership
    | PatternMatch
    | Not
    | And
    | Or
)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """``category where condition``; category None stands for ``any``."""

    category: str | None
    condition: Expr
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class SequenceTerm:
    """One step of a sequence: ``[query] by keys with runs=N``, or ``![query]`` (is_missing).

    ``keys`` holds the step's own keys only; those of ``sequence by`` come before them.
    """

    query: EventQuery
    keys: tuple[Field, ...] = ()
    runs: int = 1
    is_missing: bool = False
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """``sequence by keys with maxspan=... [step] [step] ... until [step]``; None: no maxspan."""

    terms: tuple[SequenceTerm, ...]
    keys: tuple[Field, ...] = ()
    maxspan_ms: int | None = None
    until: SequenceTerm | None = None
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """``sample by keys [a] [b]``: parsed, never run on a stream."""

    terms: tuple[SequenceTerm, ...]
    keys: tuple[Field, ...] = ()
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Pipe:
    """``| head count`` or ``| tail count``."""

    name: str
    count: int
    span: Span = field(default=NO_SPAN, compare=False)


Body: TypeAlias = EventQuery | Sequence | Sample


@dataclass(frozen=True, slots=True)
class Query:
    """A whole statement."""

    body: Body
    pipes: tuple[Pipe, ...] = ()
