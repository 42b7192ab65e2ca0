"""The sequence rules of a rule set, compiled, and what an event can do in them.

Law of the file: it says where an event belongs (which rules, which scope, which time) and keeps
no state; state is ``streamproc.engine.sequences``' part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from streamproc.engine.sequence_scope import Arrival
from streamproc.eql import nodes
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event
from streamproc.eql.sequence import NS_PER_MS, Hits, SequenceMachine
from streamproc.model import Record
from streamproc.ruleset.rule import Rule
from streamproc.ruleset.validate import event_queries, sequence_warning

SPAN_DEFAULT_MS = 24 * 3_600_000
"""Span of a sequence without ``maxspan``: the one thing in it that nothing else bounds."""


class SequenceRule(NamedTuple):
    """One sequence rule, compiled.

    Attributes:
        rule: The rule.
        name: Names its state; changes with the query, so that changed rules start anew.
        machine: Its state machine.
        is_by_host: Whether all events of one sequence come from one host.
        queries: The event query of every step and of ``until``, for the prefilter.
    """

    rule: Rule
    name: str
    machine: SequenceMachine
    is_by_host: bool
    queries: tuple[nodes.EventQuery, ...]


class Candidate(NamedTuple):
    """A sequence rule that an event may be part of.

    Attributes:
        position: The rule's, among the sequence rules.
        queries: Which of its ``queries`` the event may match.
    """

    position: int
    queries: tuple[int, ...]


class Offer(NamedTuple):
    """An event on its way to the sequence state of its partition."""

    scope: str
    arrival: Arrival


class SequenceRules:
    """All sequence rules of a rule set, by their position among the sequence rules."""

    def __init__(self, rules: Sequence[Rule], span_default_ms: int = SPAN_DEFAULT_MS) -> None:
        self.rules = tuple(_compile(rule, span_default_ms) for rule in rules)
        self.machines = {rule.name: rule.machine for rule in self.rules}
        self.by_name = {rule.name: rule for rule in self.rules}

    def offers(
        self,
        event: Event,
        record: Record,
        candidates: Iterable[Candidate],
        wall_ms: int | None,
        on_error: Callable[[Rule, Exception], None],
    ) -> Iterator[Offer]:
        """Yield what the event can do in the rules of ``candidates``; one offer per scope.

        An event without ``host.id`` takes no part in sequences that are joined by host, one
        without the rule's timestamp in none of that rule.

        Args:
            event: The event.
            record: Its record, which goes along to the alert.
            candidates: The rules that it may be part of.
            wall_ms: The wall clock, which no record's time may pass, milliseconds; None where
                records have no time of their own (files): the event's time counts then.
            on_error: Told of a rule whose evaluation failed; the other rules go on.
        """
        host_ids = event.values("host.id")
        lanes: dict[_Lane, dict[str, Hits]] = {}
        for position, queries in candidates:
            entry = self.rules[position]
            if entry.is_by_host and not host_ids:
                continue
            try:
                hits = entry.machine.hits(event, queries)
            except Exception as error:  # noqa: BLE001  # one rule's error must not stop the others
                on_error(entry.rule, error)
                continue
            if hits:
                rule = entry.rule
                owner = f"host {host_ids[0]}" if entry.is_by_host else f"rule {entry.name}"
                lane = _Lane(rule.timestamp_field, rule.tiebreaker_field or "", owner)
                lanes.setdefault(lane, {})[entry.name] = hits
        for lane, by_rule in lanes.items():
            arrival = _arrival(event, record, lane, by_rule, wall_ms)
            if arrival is not None:
                yield Offer(" ".join(lane), arrival)


def rule_id_of(name: str) -> str:
    """Return the rule's id in the name of its state; also for a rule that went away."""
    return name.rpartition(":")[0]


class _Lane(NamedTuple):
    """What events must have in common to be ordered by one clock; together a scope's name."""

    timestamp_field: str
    tiebreaker_field: str
    owner: str


def _arrival(
    event: Event, record: Record, lane: _Lane, by_rule: dict[str, Hits], wall_ms: int | None
) -> Arrival | None:
    """Return the event's place in time; None for one without a time."""
    stamps = event.values(lane.timestamp_field)
    timestamp_ns = parse_instant(stamps[0]) if stamps else None
    if timestamp_ns is None:
        return None
    tiebreakers = event.values(lane.tiebreaker_field) if lane.tiebreaker_field else ()
    if wall_ms is None:
        broker_ms = timestamp_ns // NS_PER_MS
    else:
        broker_ms = min(record.timestamp_ms or wall_ms, wall_ms)
    tiebreaker = tiebreakers[0] if tiebreakers else None
    return Arrival(timestamp_ns, tiebreaker, record.offset, broker_ms, record, by_rule)


def _compile(rule: Rule, span_default_ms: int) -> SequenceRule:
    sequence = rule.query.body
    if not isinstance(sequence, nodes.Sequence):
        raise TypeError(f"{rule.path}: not a sequence")
    if sequence.maxspan_ms is None:
        sequence = replace(sequence, maxspan_ms=span_default_ms)
    options = CompileOptions(
        event_category_field=rule.event_category_field, query_text=rule.query_text
    )
    content = f"{rule.query_text}\n{rule.event_category_field}\n{sequence.maxspan_ms}"
    return SequenceRule(
        rule=rule,
        name=f"{rule.rule_id}:{hashlib.sha256(content.encode()).hexdigest()[:16]}",
        machine=SequenceMachine(sequence, options, rule.matchers or None),
        is_by_host=sequence_warning(sequence) is None,
        queries=tuple(event_queries(sequence)),
    )
