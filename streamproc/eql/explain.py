"""Why an event matches a query or does not: each clause true or false, and the values it saw.

Law of the file: no meaning of its own. Whether a clause is true is asked of the matcher that
the compiler makes of this very clause, and what a function computed of the script that runs; the
tree only says which clauses there are. So the tree's truth is the matcher's.

One thing looks odd and is Elasticsearch's: where ``mapped_fields`` is given, a condition on an
optional field that is mapped nowhere is null, and then both it and its ``not`` are false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

from streamproc.eql.compiler import (
    CompileOptions,
    compile_event_query,
    compile_expression,
    compile_values,
)
from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.event import Event
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
    Sample,
    Sequence,
    SequenceTerm,
)
from streamproc.eql.printer import print_expression
from streamproc.eql.simplify import fields_of

Explainer: TypeAlias = Callable[[Event], "Explanation"]


class Junction(Enum):
    """How the truth of a clause hangs on those below it; CLAUSE: there are none."""

    ALL = "all of"
    ANY = "any of"
    NOT = "not"
    CLAUSE = "clause"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a clause looked at.

    Attributes:
        name: A field, or an operand that is computed, as text.
        values: The field's values, or all results; empty: no value.
    """

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A clause of a query and what became of it on one event.

    Attributes:
        text: The clause in normal form; of a whole query only its head, ``process where``.
        is_true: What the matcher of this clause says.
        junction: How ``children`` make it true.
        children: The clauses below it, in the order of the query.
        seen: The values that a clause without children looked at.
        met: Of the constants of a list, those that an event met; empty unless the clause is true
            and has several.
        expression: The syntax tree of the clause; None for a whole query or a step.
    """

    text: str
    is_true: bool
    junction: Junction = Junction.CLAUSE
    children: tuple[Explanation, ...] = ()
    seen: tuple[Seen, ...] = ()
    met: tuple[str, ...] = ()
    expression: Expr | None = None

    def __str__(self) -> str:
        return "\n".join(_lines(self, 0))


def compile_explainer(
    body: EventQuery | Sequence | Sample, options: CompileOptions | None = None
) -> Explainer:
    """Compile a query for explaining it, one event at a time.

    The explanation of a sequence has one child for each step (and for ``until``): true when the
    event matches the step's query and has its join keys; it is true itself when any step is.

    Raises:
        EqlSyntaxError: A constant is wrong for its place.
    """
    options = options or CompileOptions()
    # Every subtree is compiled once more: equal leaves are to be compiled once.
    options = replace(options, leaf_cache={})
    if isinstance(body, EventQuery):
        return _compile_query(body, options)
    head = "sequence" if isinstance(body, Sequence) else "sample"
    terms = [
        _compile_step(f"step {number}{' (missing)' * term.is_missing}: ", term, body, options)
        for number, term in enumerate(body.terms, 1)
    ]
    if isinstance(body, Sequence) and body.until is not None:
        terms.append(_compile_step("until: ", body.until, body, options))

    def explain(event: Event) -> Explanation:
        children = tuple(term(event) for term in terms)
        is_true = any(child.is_true for child in children)
        return Explanation(head, is_true, Junction.ANY, children)

    return explain


def compile_clause(expr: Expr, options: CompileOptions) -> Explainer:
    """Compile a condition for explaining it.

    Raises:
        EqlSyntaxError: A constant is wrong for its place.
    """
    matches = compile_expression(expr, options)
    text = print_expression(expr)
    junction, parts = _parts(expr)
    if junction is Junction.CLAUSE:
        see, meet = _compile_seen(expr, options), _compile_met(expr, options)

        def explain_leaf(event: Event) -> Explanation:
            is_true = matches(event)
            met = meet(event) if is_true else ()
            return Explanation(text, is_true, seen=see(event), met=met, expression=expr)

        return explain_leaf
    inner = [compile_clause(part, options) for part in parts]

    def explain(event: Event) -> Explanation:
        children = tuple(clause(event) for clause in inner)
        return Explanation(text, matches(event), junction, children, expression=expr)

    return explain


def _parts(expr: Expr) -> tuple[Junction, tuple[Expr, ...]]:
    match expr:
        case And(terms):
            return Junction.ALL, terms
        case Or(terms):
            return Junction.ANY, terms
        case Not(Comparison("==", Field(), Literal(None))):
            return Junction.CLAUSE, ()  # ``field != null`` is one thing to say
        case Not(operand):
            return Junction.NOT, (operand,)
    return Junction.CLAUSE, ()


def _compile_query(
    query: EventQuery, options: CompileOptions, title: str = "", keys: tuple[Field, ...] = ()
) -> Explainer:
    """``category where condition``, and that each of ``keys`` has a value."""
    clauses: list[Expr] = []
    if query.category is not None:
        field = Field(options.event_category_field)
        clauses.append(Comparison("==", field, Literal(query.category)))
    condition = query.condition
    clauses += condition.terms if isinstance(condition, And) else [condition]
    keyed: list[Expr] = [Not(Comparison("==", key, Literal(None))) for key in keys]
    explainers = [compile_clause(clause, options) for clause in (*clauses, *keyed)]
    matches = compile_event_query(query, options)
    has_keys = [compile_expression(clause, options) for clause in keyed]
    head = f"{title}{'any' if query.category is None else query.category} where"

    def explain(event: Event) -> Explanation:
        is_true = matches(event) and all(has_key(event) for has_key in has_keys)
        children = tuple(explainer(event) for explainer in explainers)
        return Explanation(head, is_true, Junction.ALL, children)

    return explain


def _compile_step(
    title: str, term: SequenceTerm, body: Sequence | Sample, options: CompileOptions
) -> Explainer:
    keys = tuple(key for key in (*body.keys, *term.keys) if not key.is_optional)
    return _compile_query(term.query, options, title, keys)


def _compile_seen(expr: Expr, options: CompileOptions) -> Callable[[Event], tuple[Seen, ...]]:
    """The fields of a leaf, and what its computed operands come to."""
    paths = fields_of(expr)
    computed = [
        (print_expression(operand), compile_values(operand, options))
        for operand in _operands(expr)
        if isinstance(operand, Call | Arithmetic | Negate) and fields_of(operand)
    ]

    def see(event: Event) -> tuple[Seen, ...]:
        fields = [Seen(path, event.values(path)) for path in paths]
        results = [
            Seen(text, tuple(value for value in compute(event) if value is not None))
            for text, compute in computed
        ]
        return (*fields, *results)

    return see


def _operands(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Comparison(_, left, right):
            yield from (left, right)
        case Membership() | PatternMatch():
            yield expr.operand
        case Call(_, args):
            yield from args


def _compile_met(expr: Expr, options: CompileOptions) -> Callable[[Event], tuple[str, ...]]:
    """Which constants of a list are met: each is compiled as a list of its own, when needed."""
    single: list[Expr]
    match expr:
        case PatternMatch(patterns=constants) if len(constants) > 1:
            single = [replace(expr, patterns=(constant,)) for constant in constants]
        case Membership(values=constants) if len(constants) > 1:
            single = [replace(expr, values=(constant,)) for constant in constants]
        case _:
            return lambda event: ()
    # A cache would keep a matcher of each of thousands of constants for one answer.
    alone = replace(options, leaf_cache=None)

    def meet(event: Event) -> tuple[str, ...]:
        met = []
        for constant, clause in zip(constants, single, strict=True):
            try:
                is_met = compile_expression(clause, alone)(event)
            except EqlSyntaxError:
                continue  # regular expressions are joined, and may be none each by itself
            if is_met:
                met.append(print_expression(constant))
        return tuple(met)

    return meet


def _lines(explanation: Explanation, depth: int) -> Iterator[str]:
    """The tree as indented text, with everything that was seen."""
    mark = "true " if explanation.is_true else "false"
    text = explanation.text if not explanation.children else _head(explanation)
    saw = "; ".join(
        f"{seen.name} = {', '.join(map(repr, seen.values)) or 'no value'}"
        for seen in explanation.seen
    )
    yield f"{mark}  {'  ' * depth}{text}{f'   saw {saw}' if saw else ''}"
    for child in explanation.children:
        yield from _lines(child, depth + 1)


def _head(explanation: Explanation) -> str:
    if explanation.expression is None:
        return explanation.text
    return explanation.junction.value
