"""Whether a query can run on a stream: parsed, compiled, and refused by name if not.

Law of the file: a fault always carries an offset into the query text, so that the loader can
point at the line of the rule file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from streamproc.eql import nodes
from streamproc.eql.compiler import CompileOptions, Matcher, compile_event_query
from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.parser import parse_query

# Fields whose values belong to one host: events that share one share a partition, too.
_HOST_FIELDS = frozenset(
    {
        "host.id",
        "host.name",
        "host.hostname",
        "agent.id",
        "elastic.agent.id",
        "winlog.computer_name",
    }
)


class QueryFault(NamedTuple):
    """What is wrong with a query, and the offset of the first character at fault."""

    reason: str
    offset: int


class CheckedQuery(NamedTuple):
    """A query that can run: its tree, and the matcher of each of its event queries, in order."""

    query: nodes.Query
    matchers: tuple[Matcher, ...]


def check_query(text: str, options: CompileOptions) -> CheckedQuery | QueryFault:
    """Parse a query and compile it; return both results, or what keeps it from running."""
    try:
        query = parse_query(text)
        if isinstance(query.body, nodes.Sample):
            return QueryFault("`sample` is not run on a stream", query.body.span.start)
        for pipe in query.pipes:
            return QueryFault(f"`| {pipe.name}` is not run on a stream", pipe.span.start)
        options = replace(options, query_text=text)
        steps = event_queries(query.body)
        return CheckedQuery(query, tuple(compile_event_query(step, options) for step in steps))
    except EqlSyntaxError as error:
        return QueryFault(error.message, error.span.start)
    except ValueError as error:
        return QueryFault(str(error), 0)


def event_queries(body: nodes.Body) -> Iterable[nodes.EventQuery]:
    """Yield every event query of a statement: its own, or those of the steps and of until."""
    if isinstance(body, nodes.EventQuery):
        yield body
        return
    for term in body.terms:
        yield term.query
    if isinstance(body, nodes.Sequence) and body.until is not None:
        yield body.until.query


def sequence_warning(sequence: nodes.Sequence) -> str | None:
    """Say so if the steps of a sequence may lie on several partitions; else return None.

    Events are partitioned by host. A sequence stays on one partition if, at one position of its
    join keys, every step has a field that only one host's events share.
    """
    keys = [[*sequence.keys, *term.keys] for term in sequence.terms]
    if any(all(_is_by_host(field) for field in column) for column in zip(*keys, strict=False)):
        return None
    shown = ", ".join(dict.fromkeys(field.path for row in keys for field in row)) or "no key"
    return (
        f"the sequence is joined by {shown}, not by host: events on different partitions "
        "are not seen together"
    )


def _is_by_host(field: nodes.Field) -> bool:
    # An entity id is unique over all hosts, so events that share one come from one host.
    return field.path in _HOST_FIELDS or field.path.endswith(".entity_id")
