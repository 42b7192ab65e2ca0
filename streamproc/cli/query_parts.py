"""What a syntax tree is made of, for commands that show a query or look for its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from streamproc.eql import nodes
from streamproc.eql.printer import print_expression, print_query


def query_lines(query: nodes.Query) -> list[str]:
    """Return the normalized text, a line for each condition that an event query demands."""
    text = print_query(query)
    body = query.body
    if not isinstance(body, nodes.EventQuery) or not isinstance(body.condition, nodes.And):
        return text.splitlines()
    head, found, tail = text.partition(print_expression(body.condition))
    if not found:
        return [text]
    terms = [_print_term(term) for term in body.condition.terms]
    return [head.rstrip(), *(f"  {term} and" for term in terms[:-1]), f"  {terms[-1]}{tail}"]


def _print_term(term: nodes.Expr) -> str:
    """Return a term of an ``and`` as it must be written there."""
    text = print_expression(term)
    return f"({text})" if isinstance(term, nodes.Or) else text


def event_queries(body: nodes.Body) -> Iterator[tuple[str, nodes.EventQuery]]:
    """Yield each event query of a query with what to call it."""
    if isinstance(body, nodes.EventQuery):
        yield "", body
        return
    for number, term in enumerate(body.terms, 1):
        yield f"step {number}{' (missing)' * term.is_missing}", term.query
    if isinstance(body, nodes.Sequence) and body.until is not None:
        yield "until", body.until.query


def fields_read(node: Any) -> set[str]:
    """Return the path of every field in a syntax tree or a part of one."""
    if isinstance(node, nodes.Field):
        return {node.path}
    found: set[str] = set()
    if isinstance(node, tuple):
        for item in node:
            found |= fields_read(item)
    elif is_dataclass(node):
        for part in fields(node):
            found |= fields_read(getattr(node, part.name))
    return found
