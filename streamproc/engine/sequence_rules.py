"""The sequence rules of a rule set, compiled, and what an event can do in them.

Law of the file: it says where an event belongs (which rules, which scope, which time), asks as
few rules as it can, and keeps no state; state is ``streamproc.engine.sequences``' part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from streamproc.engine.batch import Reference
from streamproc.engine.sequence_head import read_head
from streamproc.engine.sequence_scope import Arrival, Prospect, Prospects
from streamproc.eql import nodes
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event
from streamproc.eql.sequence import NS_PER_MS, Hits, SequenceMachine
from streamproc.model import Record
from streamproc.ruleset.rule import DEFAULT_TIMESTAMP_FIELD, Rule
from streamproc.ruleset.validate import event_queries, sequence_warning

SPAN_DEFAULT_MS = 24 * 3_600_000
"""Span of a sequence without ``maxspan``: the one thing in it that nothing else bounds."""
_GROUPS_MAX = 8_192
_HOST_SCOPES_MAX = 16_384


class SequenceRule(NamedTuple):
    """One sequence rule, compiled.

    Attributes:
        rule: The rule.
        name: Names its state; changes with the query, so that changed rules start anew.
        machine: Its state machine.
        is_by_host: Whether all events of one sequence come from one host.
        queries: The event query of every step and of ``until``, for the prefilter: with the join
            fields without which an event is no step.
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


class Clock(NamedTuple):
    """What events must have in common, beside the host, to be ordered by one clock.

    Attributes:
        timestamp_field: The event's time.
        tiebreaker_field: Orders events of one time; empty for none.
        rule: Name of the rule, if it is not joined by host; empty otherwise.
    """

    timestamp_field: str
    tiebreaker_field: str
    rule: str


class Group(NamedTuple):
    """Candidates whose events are ordered by one clock.

    Attributes:
        clock: What orders them.
        prospects: The rules that need not be asked before the event's turn.
        asked: The others: rules with missing events.
    """

    clock: Clock
    prospects: Prospects
    asked: tuple[Candidate, ...]


class _Known(NamedTuple):
    """What was found out about candidates.

    Attributes:
        candidates: They, kept alive.
        groups: By what orders their events.
        places: For each group the scope ("": the host's) and the prospects, if host and time are
            all that these want; None: the record has to be decoded.
    """

    candidates: tuple[Candidate, ...]
    groups: tuple[Group, ...]
    places: tuple[tuple[str, Prospects], ...] | None


class SequenceRules:
    """All sequence rules of a rule set, by their position among the sequence rules."""

    def __init__(self, rules: Sequence[Rule], span_default_ms: int = SPAN_DEFAULT_MS) -> None:
        self.rules = tuple(_compile(rule, span_default_ms) for rule in rules)
        self.machines = {rule.name: rule.machine for rule in self.rules}
        self.by_name = {rule.name: rule for rule in self.rules}
        self.positions = {rule.name: position for position, rule in enumerate(self.rules)}
        self._groups: dict[int, _Known] = {}
        self._host_scopes: dict[str, str] = {}

    def groups(self, candidates: tuple[Candidate, ...]) -> tuple[Group, ...]:
        """Return candidates by what orders their events. The same object is answered faster."""
        return self._known_groups(candidates).groups

    def _known_groups(self, candidates: tuple[Candidate, ...]) -> _Known:
        known = self._groups.get(id(candidates))
        if known is not None and known.candidates is candidates:
            return known
        if len(self._groups) >= _GROUPS_MAX:
            self._groups.clear()
        by_clock: dict[Clock, tuple[list[Prospect], list[Candidate]]] = {}
        for candidate in candidates:
            entry = self.rules[candidate.position]
            prospects, asked = by_clock.setdefault(_clock(entry), ([], []))
            if entry.machine.can_wait:
                prospects.append(Prospect(entry.name, candidate.queries))
            else:
                asked.append(candidate)
        groups = tuple(
            Group(clock, tuple(prospects), tuple(asked))
            for clock, (prospects, asked) in by_clock.items()
        )
        places = None
        if not any(asked or clock[:2] != _USUAL[:2] for clock, _, asked in groups):
            places = tuple(
                (_scope(clock, "") if clock.rule else "", prospects)
                for clock, prospects, _ in groups
            )
        known = self._groups[id(candidates)] = _Known(candidates, groups, places)
        return known

    def offer_unread(
        self,
        record: Record | Reference,
        value: bytes,
        candidates: tuple[Candidate, ...],
        wall_ms: int | None,
        head: tuple[Any, int] | None,
        offers: list[tuple[str, Arrival]],
    ) -> bool:
        """Append what a record can do in sequences, as far as its host and time tell, to offers.

        Args:
            record: The record, which goes along to the alert.
            value: Its value.
            candidates: The rules that it may be part of.
            wall_ms: As in ``offers``.
            head: Its host and time, if they were read for others.
            offers: Each an arrival after the name of its scope, as an ``Offer``.

        Returns:
            False when more has to be known: the record has to be decoded for ``offers``.
        """
        known = self._groups.get(id(candidates))
        if known is None or known.candidates is not candidates:
            known = self._known_groups(candidates)
        places = known.places
        if places is None:
            return False
        if head is None:
            head = read_head(value)
            if head is None:
                return False
        host_id, timestamp_ns = head
        broker_ms = _broker_ms(record, timestamp_ns, wall_ms)
        for scope, prospects in places:
            name = scope or self._host_scopes.get(host_id) or self._host_scope(host_id)
            arrival = Arrival(
                timestamp_ns, None, record.offset, broker_ms, record, _NO_HITS, prospects
            )
            offers.append((name, arrival))
        return True

    def _host_scope(self, host_id: Any) -> str:
        """Return the name of a host's scope, the same object each time."""
        name = f"{_USUAL_HOST}{host_id}"
        if type(host_id) is str:  # 1 and true are equal, and other hosts
            if len(self._host_scopes) >= _HOST_SCOPES_MAX:
                self._host_scopes.clear()
            self._host_scopes[host_id] = name
        return name

    def offers(
        self,
        event: Event,
        record: Record,
        candidates: tuple[Candidate, ...],
        wall_ms: int | None,
        on_error: Callable[[Rule, Exception], None],
        applies: Callable[[int], bool] | None = None,
    ) -> Iterator[Offer]:
        """Yield what the event can do in the rules of ``candidates``; one offer per scope.

        An event without ``host.id`` takes no part in sequences that are joined by host, one
        without the rule's timestamp in none of that rule. Only rules with missing events are
        asked now; the others when it is the event's turn, if ever.

        Args:
            event: The event.
            record: Its record, which goes along to the alert.
            candidates: The rules that it may be part of.
            wall_ms: The wall clock, which no record's time may pass, milliseconds; None where
                records have no time of their own (files): the event's time counts then.
            on_error: Told of a rule whose evaluation failed; the other rules go on.
            applies: Whether a rule, by position, looks at the event's index; None: all do.
        """
        host_ids = event.values("host.id")
        for group in self.groups(candidates):
            if not group.clock.rule and not host_ids:
                continue
            hits: dict[str, Hits] = {}
            for position, queries in group.asked:
                entry = self.rules[position]
                if applies is not None and not applies(position):
                    continue
                try:
                    found = entry.machine.hits(event, queries)
                except Exception as error:  # noqa: BLE001  # it must not stop the other rules
                    on_error(entry.rule, error)
                    continue
                if found:
                    hits[entry.name] = found
            if hits or group.prospects:
                arrival = _arrival(event, record, group, hits, wall_ms)
                if arrival is not None:
                    host_id = "" if group.clock.rule else host_ids[0]
                    yield Offer(_scope(group.clock, host_id), arrival)


def rule_id_of(name: str) -> str:
    """Return the rule's id in the name of its state; also for a rule that went away."""
    return name.rpartition(":")[0]


def _clock(entry: SequenceRule) -> Clock:
    rule = entry.rule
    owner = "" if entry.is_by_host else entry.name
    return Clock(rule.timestamp_field, rule.tiebreaker_field or "", owner)


def _scope(clock: Clock, host_id: Any) -> str:
    owner = f"rule {clock.rule}" if clock.rule else f"host {host_id}"
    return f"{clock.timestamp_field} {clock.tiebreaker_field} {owner}"


# The clock of nearly every rule, and the only one that the head of a record has enough for.
_USUAL: Final = Clock(DEFAULT_TIMESTAMP_FIELD, "", "")
_USUAL_HOST: Final = _scope(_USUAL, "")
_NO_HITS: Final[Mapping[str, Hits]] = MappingProxyType({})


def head_of(event: Event) -> tuple[Any, int] | None:
    """Return what ``read_head`` reads, of any type; None for an event that lacks one of both."""
    stamps, host_ids = event.values("@timestamp"), event.values("host.id")
    timestamp_ns = parse_instant(stamps[0]) if stamps else None
    return None if timestamp_ns is None or not host_ids else (host_ids[0], timestamp_ns)


def _arrival(
    event: Event, record: Record, group: Group, hits: Mapping[str, Hits], wall_ms: int | None
) -> Arrival | None:
    """Return the event's place in time; None for one without a time."""
    stamps = event.values(group.clock.timestamp_field)
    timestamp_ns = parse_instant(stamps[0]) if stamps else None
    if timestamp_ns is None:
        return None
    field = group.clock.tiebreaker_field
    tiebreakers = event.values(field) if field else ()
    tiebreaker = tiebreakers[0] if tiebreakers else None
    broker_ms = _broker_ms(record, timestamp_ns, wall_ms)
    return Arrival(
        timestamp_ns, tiebreaker, record.offset, broker_ms, record, hits, group.prospects
    )


def _broker_ms(record: Record | Reference, timestamp_ns: int, wall_ms: int | None) -> int:
    if wall_ms is None:
        return timestamp_ns // NS_PER_MS
    return min(record.timestamp_ms or wall_ms, wall_ms)


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
        queries=tuple(_queries(sequence)),
    )


def _queries(sequence: nodes.Sequence) -> Iterator[nodes.EventQuery]:
    """Yield what an event of every step and of ``until`` matches: it has its join fields, too."""
    terms = [*sequence.terms, *([sequence.until] if sequence.until is not None else [])]
    for term, query in zip(terms, event_queries(sequence), strict=True):
        has_keys = [
            nodes.Not(nodes.Comparison("==", key, nodes.Literal(None)))
            for key in (*sequence.keys, *term.keys)
            if not key.is_optional
        ]
        yield replace(query, condition=nodes.And((query.condition, *has_keys)))
