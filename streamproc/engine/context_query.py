r"""Filled providers -> the same condition as Elasticsearch query DSL and as KQL.

Law of the file: both forms say the providers and nothing else (the time range stands beside
them), and no value can break out of its place: DSL carries values as JSON, KQL quotes them.

A phrase becomes ``match_phrase``, not ``term``, as in Kibana: on keyword, numeric and ip fields
the two are the same, and on an analysed text field ``term`` would never match.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from streamproc.eql.event import Value

_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"', "\t": "\\t", "\r": "\\r", "\n": "\\n"})
_FIELD_SPECIAL = re.compile(r'([\\():<>"*{}\s])')
_RANGE_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Condition(NamedTuple):
    """One filled provider.

    Attributes:
        field: The field compared.
        query_type: ``phrase``, ``phrases``, ``exists``, ``range`` or ``boolean``.
        values: What to compare with: one value for ``phrase`` and ``boolean``, any number for
            ``phrases``, none for ``exists``.
        bounds: For ``range``: ``gt``, ``gte``, ``lt``, ``lte`` to value; else empty.
        is_excluded: Whether the condition is negated.
    """

    field: str
    query_type: str
    values: tuple[Value, ...] = ()
    bounds: tuple[tuple[str, Value], ...] = ()
    is_excluded: bool = False


class UnreadableValueError(ValueError):
    """A provider's value does not have the form that its query type asks for."""


def read_condition(field: str, query_type: str, value: Any, *, is_excluded: bool) -> Condition:
    """Make a condition of a provider whose placeholders are filled.

    Raises:
        UnreadableValueError: The value is no list of scalars for ``phrases``, no object for
            ``range``, no truth value for ``boolean``, or blank for ``phrase``.
    """
    if query_type == "exists":
        return Condition(field, query_type, is_excluded=is_excluded)
    if query_type == "phrase":
        if isinstance(value, str) and not value.strip():
            raise UnreadableValueError("a phrase must not be blank")
        return Condition(field, query_type, (value,), is_excluded=is_excluded)
    if query_type == "boolean":
        truth = {"true": True, "false": False}.get(str(value).strip().lower())
        if truth is None:
            raise UnreadableValueError(f"{value!r} is neither true nor false")
        return Condition(field, query_type, (truth,), is_excluded=is_excluded)
    if query_type == "phrases" and isinstance(value, list) and value and _are_scalars(value):
        return Condition(field, query_type, tuple(value), is_excluded=is_excluded)
    if query_type == "range" and isinstance(value, dict):
        bounds = tuple((key, value[key]) for key in _RANGE_SIGNS if value.get(key) is not None)
        if bounds and _are_scalars([bound for _, bound in bounds]):
            return Condition(field, query_type, bounds=bounds, is_excluded=is_excluded)
    raise UnreadableValueError(f"the value does not fit the query type {query_type}")


def to_dsl(groups: list[list[Condition]]) -> dict[str, Any]:
    """Return the query DSL of groups: ANDed inside, ORed between; there is at least one."""
    clauses = [{"bool": {"filter": [_dsl_clause(item) for item in group]}} for group in groups]
    if len(clauses) == 1:
        return clauses[0]
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def to_kql(groups: list[list[Condition]]) -> str:
    """Return the KQL of groups: ANDed inside, ORed between; there is at least one."""
    texts = [" and ".join(_kql_clause(item) for item in group) for group in groups]
    return texts[0] if len(texts) == 1 else " or ".join(f"({text})" for text in texts)


def _are_scalars(values: list[Any]) -> bool:
    return all(isinstance(value, str | int | float) for value in values)


def _dsl_clause(condition: Condition) -> dict[str, Any]:
    field = condition.field
    clause: dict[str, Any]
    if condition.query_type == "exists":
        clause = {"exists": {"field": field}}
    elif condition.query_type == "range":
        clause = {"range": {field: dict(condition.bounds)}}
    elif condition.query_type == "phrases":
        phrases = [{"match_phrase": {field: value}} for value in condition.values]
        clause = {"bool": {"should": phrases, "minimum_should_match": 1}}
    else:
        clause = {"match_phrase": {field: condition.values[0]}}
    return {"bool": {"must_not": [clause]}} if condition.is_excluded else clause


def _kql_clause(condition: Condition) -> str:
    field = _kql_field(condition.field)
    if condition.query_type == "exists":
        clause = f"{field}: *"
    elif condition.query_type == "range":
        bounds = [f"{field} {_RANGE_SIGNS[key]} {_kql(value)}" for key, value in condition.bounds]
        clause = bounds[0] if len(bounds) == 1 else f"({' and '.join(bounds)})"
    elif condition.query_type == "phrases":
        clause = f"{field}: ({' or '.join(_kql(value) for value in condition.values)})"
    else:
        clause = f"{field}: {_kql(condition.values[0])}"
    return f"not {clause}" if condition.is_excluded else clause


@lru_cache(maxsize=4_096)
def _kql_field(field: str) -> str:
    return _FIELD_SPECIAL.sub(r"\\\1", field)


def _kql(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return f'"{value.translate(_QUOTED)}"'
