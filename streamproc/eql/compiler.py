"""Conditions compiled to matchers: functions from an event to true or false.

Law of the file: an event matches or it does not. A leaf is true when any value of its field (any
combination of values of its fields) satisfies it, so it is false where there is no value; ``not``
is the exact complement. Leaves are pure, so ``and``/``or`` try the cheap ones first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from itertools import islice, product
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from streamproc.eql.event import Event, FieldPath, Values, field_path
from streamproc.eql.field_tests import FieldTest, Source, affix_test, network_test
from streamproc.eql.functions import Nullable
from streamproc.eql.nodes import (
    And,
    Call,
    Comparison,
    EventQuery,
    Expr,
    Field,
    Literal,
    Membership,
    Not,
    Or,
    PatternMatch,
)
from streamproc.eql.scripts import Columns, cidr_blocks, compile_script, test_of
from streamproc.eql.simplify import Simplifier, faults_at, fields_of
from streamproc.eql.types import FieldType, field_type

Matcher: TypeAlias = Callable[[Event], bool]

COMBINATIONS_MAX = 100_000
"""Combinations of values that one leaf over several fields tries on one event.

Two arrays of 300 values stay below it. Without a bound one crafted event with three arrays of
1,000 values would hold a worker for a quarter of an hour; beyond it the leaf does not match.
"""

_SCRIPT_COST = 12
# Constants of these hardly ever tell events apart that the prefilter has let through: they come
# after whatever does, at any cost.
_GUARDS = frozenset(
    {"event.action", "event.category", "event.kind", "event.type", "host.os.type", "host.os.family"}
)
# An ``or`` of so many conditions on one field is looked up instead of tried one by one.
_BRANCHES_MIN = 3
_LOOKUP_COST = 2
_READERS: Mapping[Source, Callable[[Event, FieldPath], tuple[Any, ...]]] = {
    Source.VALUES: Event.read,
    Source.TEXTS: Event.texts,
    Source.FOLDED: Event.folded,
}
_KNOWN_AS: Mapping[Source, Callable[[FieldPath], str]] = {
    Source.VALUES: attrgetter("text"),
    Source.TEXTS: attrgetter("texts_key"),
    Source.FOLDED: attrgetter("folded_key"),
}
_AFFIXES = frozenset({"startsWith", "endsWith", "stringContains"})


class Lookup(NamedTuple):
    """A condition that some value of a field, in the form that ``source`` names, is in a set."""

    path: FieldPath
    source: Source
    values: frozenset[Any]


class Leaf(NamedTuple):
    """A matcher and about what it costs; 1 is one field and a set look-up.

    ``lookups`` are conditions without which it cannot match. What ``is_guard`` is hardly ever false
    where the rest of an ``and`` is true.
    """

    matcher: Matcher
    cost: int
    lookups: tuple[Lookup, ...] = ()
    is_guard: bool = False


@dataclass(frozen=True)
class CompileOptions:
    """How queries are compiled.

    Attributes:
        event_category_field: The field that holds the word before ``where``.
        field_types: Field to Elasticsearch type, beyond the built-in ECS ones.
        mapped_fields: The fields that exist; None: all do. An optional field outside it is the
            literal null.
        leaf_cache: Shared by the queries of one rule set: equal leaves become one matcher.
        query_text: The query's text, which errors show; "" when it is not at hand.
    """

    event_category_field: str = "event.category"
    field_types: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    mapped_fields: frozenset[str] | None = None
    leaf_cache: MutableMapping[Any, Leaf] | None = None
    query_text: str = ""


def compile_event_query(query: EventQuery, options: CompileOptions) -> Matcher:
    """The matcher of ``category where condition``.

    Raises:
        EqlSyntaxError: A constant is wrong for its place (network, date, regular expression).
    """
    condition = _simplify(query.condition, options)
    if query.category is None:
        return _compile(condition, options).matcher
    category = Comparison("==", Field(options.event_category_field), Literal(query.category))
    if isinstance(condition, Literal):
        is_true = condition.value is True
        return _compile(category if is_true else condition, options).matcher
    terms = condition.terms if isinstance(condition, And) else (condition,)
    return _compile(And((category, *terms)), options).matcher


def compile_expression(expr: Expr, options: CompileOptions) -> Matcher:
    """The matcher of a condition alone.

    Raises:
        EqlSyntaxError: As ``compile_event_query``.
    """
    return _compile(_simplify(expr, options), options).matcher


def compile_values(expr: Expr, options: CompileOptions) -> Callable[[Event], tuple[Nullable, ...]]:
    """What an operand computes to on an event, over all values of its fields; each once.

    For people: a leaf does not collect results, it stops at the first that makes it true.

    Raises:
        EqlSyntaxError: As ``compile_event_query``.
    """
    value = Simplifier(options.mapped_fields, options.query_text).value(expr)
    kinds = {path: field_type(path, options.field_types) for path in fields_of(value)}
    paths = tuple(field_path(path) for path in kinds)
    with faults_at(expr.span, options.query_text):
        script = compile_script(value, Columns(tuple(kinds), kinds))

    def compute(event: Event) -> tuple[Nullable, ...]:
        results = map(script, _rows(event, paths))
        return tuple({(type(result), result): result for result in results}.values())

    return compute


def _simplify(expr: Expr, options: CompileOptions) -> Expr:
    return Simplifier(options.mapped_fields, options.query_text).condition(expr)


def _compile(expr: Expr, options: CompileOptions) -> Leaf:
    match expr:
        case Literal(value):
            is_true = value is True
            return Leaf(lambda event: is_true, 0)
        case Not(operand):
            inner = _compile(operand, options)
            return Leaf(_compile_not(inner.matcher), inner.cost)
        case And(terms):
            leaves = _compile_terms(terms, options)
            return _compile_all(sorted(leaves, key=attrgetter("is_guard", "cost")))
        case Or(terms):
            leaves = _compile_terms(terms, options)
            return _compile_any(sorted(leaves, key=attrgetter("cost")))
    return _compile_shared(expr, options)


def _compile_terms(terms: tuple[Expr, ...], options: CompileOptions) -> list[Leaf]:
    return [_compile(term, options) for term in terms]


def _compile_not(matcher: Matcher) -> Matcher:
    return lambda event: not matcher(event)


def _compile_all(leaves: list[Leaf]) -> Leaf:
    cost = sum(leaf.cost for leaf in leaves)
    lookups = tuple(lookup for leaf in leaves for lookup in leaf.lookups)
    first, second, *rest = [leaf.matcher for leaf in leaves]
    if not rest:
        return Leaf(lambda event: first(event) and second(event), cost, lookups)
    others = tuple(rest)

    def matches_all(event: Event) -> bool:
        if not first(event) or not second(event):
            return False
        for matcher in others:  # noqa: SIM110 - all() with a generator costs twice as much
            if not matcher(event):
                return False
        return True

    return Leaf(matches_all, cost, lookups)


def _compile_any(leaves: list[Leaf]) -> Leaf:
    """One of the leaves matches. Those that look up the same field become one look-up."""
    fields = Counter(
        place for leaf in leaves for place in {(item.path, item.source) for item in leaf.lookups}
    )
    (path, source), count = max(fields.items(), key=itemgetter(1), default=((None, None), 0))
    if path is None or source is None or count < _BRANCHES_MIN:
        return _compile_each(leaves)
    branches: dict[Any, list[Matcher]] = {}
    others = []
    for leaf in leaves:
        sets = [item.values for item in leaf.lookups if (item.path, item.source) == (path, source)]
        for value in min(sets, key=len, default=()):
            branches.setdefault(value, []).append(leaf.matcher)
        if not sets:
            others.append(leaf)
    merged = _compile_lookup(path, source, branches)
    return _compile_each([merged, *others]) if others else merged


def _compile_lookup(path: FieldPath, source: Source, branches: dict[Any, list[Matcher]]) -> Leaf:
    """Some value of the field has a branch that matches."""
    read = _READERS[source]

    def matches_branch(event: Event) -> bool:
        for value in read(event, path):
            for matcher in branches.get(value, ()):
                if matcher(event):
                    return True
        return False

    return Leaf(matches_branch, _LOOKUP_COST)


def _compile_each(leaves: list[Leaf]) -> Leaf:
    cost = sum(leaf.cost for leaf in leaves)
    first, second, *rest = [leaf.matcher for leaf in leaves]
    if not rest:
        return Leaf(lambda event: first(event) or second(event), cost)
    others = tuple(rest)

    def matches_any(event: Event) -> bool:
        if first(event) or second(event):
            return True
        for matcher in others:  # noqa: SIM110 - any() with a generator costs twice as much
            if matcher(event):
                return True
        return False

    return Leaf(matches_any, cost)


def _compile_shared(expr: Expr, options: CompileOptions) -> Leaf:
    """The leaf from the cache, or compiled and put there."""
    bare = _bare_field(expr)
    paths = fields_of(expr) if bare is None else (bare.path,)
    kinds = {path: field_type(path, options.field_types) for path in paths}
    if options.leaf_cache is None:
        return _compile_leaf(expr, kinds, options)
    key = (_key(expr), tuple(kinds.items()))
    leaf = options.leaf_cache.get(key)
    if leaf is None:
        leaf = options.leaf_cache[key] = _compile_leaf(expr, kinds, options)
    return leaf


def _key(expr: Expr) -> tuple[Any, ...]:
    """What makes two leaves the same. Nodes alone will not do: Literal(1) == Literal(True).

    Texts equal nothing but texts, so the types of the other constants tell the rest.
    """
    return (expr, *_constant_types(expr))


def _constant_types(expr: Any) -> list[str]:
    """The types of all constants but texts, in order; floats with their text (-0.0)."""
    if isinstance(expr, Literal):
        if isinstance(expr.value, str):
            return []
        is_float = isinstance(expr.value, float)
        return [repr(expr.value) if is_float else type(expr.value).__name__]
    if isinstance(expr, Field):
        return []
    if isinstance(expr, PatternMatch) and _are_texts(expr.patterns):
        return _constant_types(expr.operand)
    if isinstance(expr, tuple):
        return [name for part in expr for name in _constant_types(part)]
    names = ("operand", "left", "right", "args", "values", "patterns", "terms")
    return [name for part in names for name in _constant_types(getattr(expr, part, ()))]


def _are_texts(constants: tuple[Literal, ...]) -> bool:
    for constant in constants:  # noqa: SIM110 - half the cost of all()
        if not isinstance(constant.value, str):
            return False
    return True


def _compile_leaf(expr: Expr, kinds: Mapping[str, FieldType], options: CompileOptions) -> Leaf:
    with faults_at(expr.span, options.query_text):
        bare = _bare_field(expr)
        if bare is None:
            return _compile_script_leaf(expr, kinds)
        path = field_path(bare.path)
        if isinstance(expr, Comparison) and expr.right == Literal(None):
            return Leaf(lambda event: not event.read(path), 1)
        is_guard = bare.path in _GUARDS
        test = _bare_test(expr, Columns((bare.path,), kinds))
        exact = test.exact
        lookups = () if exact is None else (Lookup(path, test.source, frozenset(exact)),)
        return Leaf(_compile_field_leaf(path, test), test.cost, lookups, is_guard)


def _bare_field(expr: Expr) -> Field | None:
    """The one field of a leaf that asks about its values directly, with constants only."""
    match expr:
        case Comparison("==", Field() as operand, Literal()):
            return operand
        case Comparison(_, Field() as operand, Literal(value)) if value is not None:
            return operand
        case Membership(operand=Field() as operand) | PatternMatch(operand=Field() as operand):
            return operand
        case Call("cidrMatch", (Field() as operand, *_)):
            return operand
        case Call(name, (Field() as operand, Literal(str()))) if name in _AFFIXES:
            return operand
    return None


def _bare_test(expr: Expr, columns: Columns) -> FieldTest:
    match expr:
        case Comparison() | Membership() | PatternMatch():
            return test_of(expr, columns)
        case Call("cidrMatch"):
            return network_test(cidr_blocks(expr))
        case Call(name, (_, Literal(str(constant))), is_insensitive):
            return affix_test(name, constant, is_insensitive)
    raise AssertionError(f"{type(expr).__name__} is no leaf on a bare field")


def _compile_field_leaf(path: FieldPath, test: FieldTest) -> Matcher:
    """Any value of the field passes the test."""
    read = _READERS[test.source]
    if test.exact is not None:
        is_disjoint = test.exact.isdisjoint
        key = _KNOWN_AS[test.source](path)

        def is_among(event: Event) -> bool:
            # The commonest leaf by far: what the event knows is taken without a call.
            found = event.known.get(key)
            return not is_disjoint(read(event, path) if found is None else found)

        return is_among
    holds = test.test

    def matches(event: Event) -> bool:
        for value in read(event, path):  # noqa: SIM110 - half the cost of any()
            if holds(value):
                return True
        return False

    return matches


def _compile_script_leaf(expr: Expr, kinds: Mapping[str, FieldType]) -> Leaf:
    """Any combination of one value per field (none: null) computes to true."""
    paths = tuple(field_path(path) for path in kinds)
    script = compile_script(expr, Columns(tuple(kinds), kinds))
    if len(paths) == 1:
        only = paths[0]

        def matches_one(event: Event) -> bool:
            for value in event.read(only) or (None,):  # noqa: SIM110 - half the cost of any()
                if script((value,)) is True:
                    return True
            return False

        return Leaf(matches_one, _SCRIPT_COST)

    def matches_many(event: Event) -> bool:
        return any(script(row) is True for row in _rows(event, paths))

    return Leaf(matches_many, _SCRIPT_COST * len(paths))


def _rows(event: Event, paths: tuple[FieldPath, ...]) -> Iterator[tuple[Nullable, ...]]:
    """Every combination of one value per field, up to COMBINATIONS_MAX."""
    columns = [_distinct(event.read(path)) for path in paths]
    return islice(product(*columns), COMBINATIONS_MAX)


def _distinct(values: Values) -> Values | tuple[None]:
    """Each value once; a null where there is none. 1, 1.0 and True are kept apart."""
    if len(values) < 2:
        return values or (None,)
    return tuple({(type(value), value): value for value in values}.values())
