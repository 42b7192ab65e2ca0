"""EQL as a library: compile a query, search a list of events.

Law of the file: a search sorts its events by timestamp and tiebreaker as Elasticsearch does, so
that ``head`` and ``tail`` mean the same; an event without a timestamp sorts after all others, and
to a sequence it is farther than any ``maxspan`` from those that have one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from streamproc.eql.compiler import CompileOptions, Matcher, compile_event_query
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event, FieldPath, field_path
from streamproc.eql.explain import Explainer, Explanation, compile_explainer
from streamproc.eql.nodes import EventQuery, Pipe, Query, Sample, Sequence
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import SequenceMachine, Step, run_sequence
from streamproc.eql.sequence_trace import SequenceTrace, trace_sequence

Found: TypeAlias = tuple[dict[str, Any] | None, ...]
# (has no timestamp, nanoseconds, (kind of tiebreaker, tiebreaker)): sorts nulls last.
_Place: TypeAlias = tuple[bool, int, tuple[int, Any]]
# The time that a sequence gives to an event without one: longer after any date than any span.
_NO_TIME_NS = 1 << 100


class EventOrder(NamedTuple):
    """By which fields events are ordered; ``tiebreaker`` None: by arrival."""

    timestamp: FieldPath
    tiebreaker: FieldPath | None

    def place(self, event: Event) -> _Place:
        """A key that sorts by (timestamp, tiebreaker), missing ones last."""
        instant = _first_instant(event, self.timestamp)
        if self.tiebreaker is None:
            return (instant is None, instant or 0, (0, 0))
        return (instant is None, instant or 0, _rank(event, self.tiebreaker))


class CompiledQuery:
    """A query ready to search; see ``compile_query``."""

    def __init__(self, query: Query, options: CompileOptions, order: EventOrder) -> None:
        self.query = query
        self._options = options
        self._order = order
        body = query.body
        self._machine = SequenceMachine(body, options) if isinstance(body, Sequence) else None
        # A sample is compiled too, so that a wrong constant shows at once.
        self._matchers: tuple[Matcher, ...] = tuple(
            compile_event_query(event_query, options) for event_query in _event_queries(body)
        )

    def search(self, events: Iterable[dict[str, Any]]) -> list[Found]:
        """The matches among ``events``, in the order of their last event.

        Returns:
            For an event query tuples of one event; for a sequence its events in order, None in
            the position of a missing event.

        Raises:
            NotImplementedError: The query is a sample.
        """
        if isinstance(self.query.body, Sample):
            raise NotImplementedError("sample queries cannot be searched")
        if self._machine is not None:
            return apply_pipes(self._search_sequence(self._machine, events), self.query.pipes)
        matches = self._matchers[0]
        found = [event for event in map(Event, events) if matches(event)]
        found.sort(key=self._order.place)
        return apply_pipes([(event.document,) for event in found], self.query.pipes)

    def explain(self, event: dict[str, Any]) -> Explanation:
        """Why the query matches one event, or does not; of a sequence, each of its steps."""
        return self._explainer(Event(event))

    def trace(self, events: Iterable[dict[str, Any]]) -> SequenceTrace:
        """What a sequence does with each event, in the order in which it sees them.

        Raises:
            TypeError: The query is no sequence.
        """
        if not isinstance(self.query.body, Sequence):
            raise TypeError("only a sequence can be traced")
        placed = []
        for number, event in enumerate(map(Event, events)):
            place = self._order.place(event)
            placed.append((place, number, event))
        placed.sort(key=lambda item: item[0])
        steps = [(number, _timestamp_ns(place), event) for place, number, event in placed]
        return trace_sequence(self.query.body, self._options, steps)

    @cached_property
    def _explainer(self) -> Explainer:
        return compile_explainer(self.query.body, self._options)

    def _search_sequence(
        self, machine: SequenceMachine, events: Iterable[dict[str, Any]]
    ) -> list[Found]:
        placed: list[tuple[_Place, Step]] = []
        for event in map(Event, events):
            hits = machine.hits(event)
            if hits:
                place = self._order.place(event)
                placed.append((place, Step(_timestamp_ns(place), hits, event.document)))
        placed.sort(key=lambda item: item[0])
        matches = run_sequence(machine, (step for _, step in placed))
        return [machine.results(match) for match in matches]


def compile_query(
    text: str,
    *,
    event_category_field: str = "event.category",
    timestamp_field: str = "@timestamp",
    tiebreaker_field: str | None = None,
    field_types: Mapping[str, str] | None = None,
    mapped_fields: Collection[str] | None = None,
) -> CompiledQuery:
    """Compile a query for searching lists of events.

    Args:
        text:
            The query.
        event_category_field:
            The field that holds the word before ``where``.
        timestamp_field:
            Orders the events: ISO 8601 text or epoch milliseconds.
        tiebreaker_field:
            Orders events of one timestamp; without it, or where it is missing, arrival does.
        field_types:
            Field to Elasticsearch type (``date``, ``ip``, ``version``), beyond the built-in ECS
            ones. Other types mean: go by the JSON value.
        mapped_fields:
            The fields that exist; None: all do. An optional field outside it is the literal null.

    Raises:
        EqlSyntaxError: The query is wrong; says where.
    """
    options = CompileOptions(
        event_category_field=event_category_field,
        field_types=dict(field_types or {}),
        mapped_fields=None if mapped_fields is None else frozenset(mapped_fields),
        query_text=text,
    )
    tiebreaker = None if tiebreaker_field is None else field_path(tiebreaker_field)
    order = EventOrder(field_path(timestamp_field), tiebreaker)
    return CompiledQuery(parse_query(text), options, order)


def apply_pipes(found: list[Found], pipes: Iterable[Pipe]) -> list[Found]:
    """Apply ``head`` and ``tail`` in order."""
    for pipe in pipes:
        if pipe.name == "head":
            found = found[: pipe.count]
        else:
            found = found[max(0, len(found) - pipe.count) :]
    return found


def _event_queries(body: EventQuery | Sequence | Sample) -> list[EventQuery]:
    """The event queries that the machine of a sequence does not compile."""
    if isinstance(body, EventQuery):
        return [body]
    return [term.query for term in body.terms] if isinstance(body, Sample) else []


def _timestamp_ns(place: _Place) -> int:
    lacks_time, timestamp_ns, _ = place
    return _NO_TIME_NS if lacks_time else timestamp_ns


def _first_instant(event: Event, path: FieldPath) -> int | None:
    for value in event.read(path):
        instant = parse_instant(value)
        if instant is not None:
            return instant
    return None


def _rank(event: Event, path: FieldPath) -> tuple[int, Any]:
    """Numbers before text before nothing; values of one kind compare as themselves."""
    values = event.read(path)
    if not values:
        return (2, 0)
    return (1, values[0]) if isinstance(values[0], str) else (0, values[0])
