"""Sequences over a disordered, interrupted stream are those of the definition over sorted events.

Each example builds a random query and stream for two hosts, a broker time for each event, calls
of ``advance`` in between, and crashes. Events that are not in time (by the definition in
``streamproc.engine.sequences``, spelt out in ``_is_in_time``) are taken out before, so that the
rest must be answered exactly. That goes for events whose hits are known when they are offered, and
for those that are asked about when their turn comes.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.sequence_budget import SequenceBudget, SequenceLimits
from streamproc.engine.sequence_scope import Arrival, Prospect, Prospects
from streamproc.engine.sequence_snapshots import pack_scope, unpack_scope
from streamproc.engine.sequences import PartitionSequences, SequenceMatch
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import SequenceMachine
from streamproc.model import Record
from tests.eql.sequence_reference import Definition, Happening, find_sequences
from tests.properties.sequence_cases import START_NS, definitions, document, query_text, streams

LATENESS_MS = 5_000
MS = 1_000_000
END_OF_TIME_MS = 1 << 50
RULE = "rule:1"


@dataclass
class Sent:
    """An event on the topic; ``happening.ident`` is its offset."""

    happening: Happening
    host: str
    broker_ms: int
    tiebreaker: Any

    def order(self) -> tuple[Any, ...]:
        is_null = self.tiebreaker is None
        return (self.happening.ns, is_null, self.tiebreaker or 0, self.happening.ident)


def _is_in_time(sent: Sent, earlier: list[Sent], has_trailing: bool) -> bool:
    for other in earlier:
        if other.host != sent.host:
            continue
        passed_ms = sent.broker_ms - other.broker_ms
        behind_ns = other.happening.ns - sent.happening.ns
        if other.order() > sent.order() and (
            behind_ns > LATENESS_MS * MS or passed_ms > LATENESS_MS
        ):
            return False
        if has_trailing and passed_ms * MS + behind_ns > LATENESS_MS * MS:
            return False
    return True


@st.composite
def topics(draw: st.DrawFn, definition: Definition) -> list[Sent]:
    """Events in offset order, all of them in time."""
    happenings = draw(streams())
    # How far the broker's time is from the events': hosts may be wrong by hours either way.
    skew_ms = draw(st.sampled_from([0, 40, 3_600_000, -7_200_000]))
    lags_ms = draw(
        st.lists(
            st.sampled_from([0, 0, 1, 100, 2_500, LATENESS_MS - 1, LATENESS_MS, 60_000]),
            min_size=len(happenings),
            max_size=len(happenings),
        )
    )
    hosts = draw(st.lists(st.sampled_from("AAAB"), min_size=len(lags_ms), max_size=len(lags_ms)))
    is_bulk = draw(st.booleans())  # all at one broker time, as when a file is loaded
    breakers = draw(
        st.lists(st.sampled_from([None, 1, 2]), min_size=len(lags_ms), max_size=len(lags_ms))
    )
    sent = [
        Sent(happening, host, happening.ns // MS + lag_ms + skew_ms, breaker)
        for happening, lag_ms, host, breaker in zip(
            happenings, lags_ms, hosts, breakers, strict=True
        )
    ]
    sent.sort(key=lambda item: item.broker_ms)
    has_trailing = definition.terms[-1].is_missing
    kept: list[Sent] = []
    for item in sent:
        if is_bulk:
            item.broker_ms = START_NS // MS + 10_000_000
        if _is_in_time(item, kept, has_trailing):
            item.happening.ident = len(kept)
            kept.append(item)
    return kept


class Worker:
    """One process: a partition's state, and what it has found."""

    def __init__(self, machine: SequenceMachine, limits: SequenceLimits, has_read: bool) -> None:
        self.machine = machine
        # Otherwise rules that can wait are asked when it is an event's turn.
        self.has_read = has_read or not machine.can_wait
        self.budget = SequenceBudget(limits)
        self.sequences = PartitionSequences({RULE: machine}, self.budget, self)
        # Any number gives the same answers; of so few events a small one tells more.
        self.sequences.turns_put_off = limits.starts_max % 4
        self.found: dict[str, set[tuple[int | None, ...]]] = {"A": set(), "B": set()}
        self.hosts: dict[int, str] = {}

    def take(self, sent: Sent) -> None:
        """Offer one event."""
        value = document(sent.happening)
        hits = self.machine.hits(Event(value)) if self.has_read else ()
        prospects = () if self.has_read else self.prospects(value)
        offset = sent.happening.ident
        self.hosts[offset] = sent.host
        if hits or prospects:
            record = Record(
                orjson.dumps(value), "events", 0, offset, sent.broker_ms, [("h", b"\xff")]
            )
            known = {RULE: hits} if hits else {}
            arrival = Arrival(
                sent.happening.ns, sent.tiebreaker, offset, sent.broker_ms, record, known, prospects
            )  # fmt: skip
            self._note(self.sequences.offer(sent.host, arrival))

    def prospects(self, value: dict[str, Any]) -> Prospects:
        """The queries that a prefilter would name: those that match, and some that do not."""
        queries = range(1 + max(self.machine.later))
        event = Event(value)
        may = [q for q in queries if value["id"] % 3 == q or self.machine.hits(event, [q])]
        return (Prospect(RULE, tuple(may)),) if may else ()

    def hits(self, rule: str, payload: Record, timestamp_ns: int, queries: tuple[int, ...]) -> Any:
        """Answer as the reader of records that were offered undecoded."""
        assert rule == RULE
        return self.machine.hits(Event(orjson.loads(payload.value or b"")), queries)

    def advance(self, broker_ms: int) -> None:
        self._note(self.sequences.advance(broker_ms))

    def snapshot(self, host: str) -> tuple[bytes | None, set[tuple[int | None, ...]]]:
        """What would be written for a host now, and what was found for it by then."""
        scope = self.sequences.scope(host)
        return (None if scope is None else pack_scope(scope)), set(self.found[host])

    def _note(self, matches: list[SequenceMatch]) -> None:
        for match in matches:
            assert match.rule == RULE
            ids = tuple(None if item is None else item.offset for item in match.payloads)
            (host,) = {self.hosts.get(i) or self._host(match, i) for i in ids if i is not None}
            self.found[host].add(ids)

    def _host(self, match: SequenceMatch, offset: int) -> str:
        """Restored payloads are records of events that this process never saw."""
        raise AssertionError(f"unknown event {offset} in {match}")


def _machine(definition: Definition) -> SequenceMachine:
    body = parse_query(query_text(definition)).body
    return SequenceMachine(body, CompileOptions())


def _expected(definition: Definition, topic: list[Sent]) -> dict[str, set[Any]]:
    return {
        host: set(
            find_sequences(
                definition,
                [s.happening for s in sorted(topic, key=Sent.order) if s.host == host],
            )
        )
        for host in "AB"
    }


def _advance_between(worker: Worker, draw: Any, before_ms: int, after_ms: int) -> None:
    """Some moment between two records; now and then none."""
    choice = draw(st.sampled_from([None, None, 0, 1, 2]))
    if choice is not None:
        worker.advance(before_ms + (max(0, after_ms - before_ms) * choice) // 2)


# Nothing is dropped for silence here: a topic may pause for longer than any sensible time.
PATIENT = SequenceLimits(lateness_ms=LATENESS_MS, offline_ms=1 << 40)
FORGETFUL = SequenceLimits(lateness_ms=LATENESS_MS, offline_ms=1 << 40, forget_ms=20_000)


def limits(limits: SequenceLimits) -> st.SearchStrategy[SequenceLimits]:
    """A bound of undecoded starts changes when they are asked about, but not the answers."""
    return st.sampled_from([1, 3, 20_000]).map(lambda most: replace(limits, starts_max=most))


@settings(max_examples=300, deadline=None)
@given(st.data(), definitions(needs_span=True))
def test_disorder_within_the_lateness_changes_nothing(data: st.DataObject, definition: Definition):
    """However ``advance`` is called between the records; nothing counts as late."""
    topic = data.draw(topics(definition))
    worker = Worker(_machine(definition), data.draw(limits(PATIENT)), data.draw(st.booleans()))
    previous_ms = topic[0].broker_ms
    for sent in topic:
        _advance_between(worker, data.draw, previous_ms, sent.broker_ms)
        worker.take(sent)
        previous_ms = sent.broker_ms
    worker.advance(END_OF_TIME_MS)
    worker.advance(2 * END_OF_TIME_MS)  # all that is held is silent by now

    assert worker.found == _expected(definition, topic)
    assert worker.budget.counts.late_events == 0
    assert worker.budget.waiting == worker.budget.starts == 0
    assert worker.budget.keys == worker.sequences.keys


@settings(max_examples=300, deadline=None)
@given(st.data(), definitions(needs_span=True))
def test_a_crash_loses_nothing_and_invents_nothing(data: st.DataObject, definition: Definition):
    """Snapshots of different ages, redelivery from the committed offset, forgotten scopes.

    A snapshot is written after what was found by then was delivered; so what counts is what was
    found before it, and what the next process finds.
    """
    topic = data.draw(topics(definition))
    machine = _machine(definition)
    crash = data.draw(st.integers(0, len(topic)))
    committed = data.draw(st.integers(0, crash))
    snapshot_at = {host: data.draw(st.integers(committed, crash)) for host in "AB"}
    commits = data.draw(st.booleans())  # whether the first process forgets what is committed
    written: dict[str, tuple[bytes | None, set[Any]]] = {}
    has_read = data.draw(st.booleans())
    first = Worker(machine, data.draw(limits(FORGETFUL)), has_read)
    previous_ms = topic[0].broker_ms if topic else 0
    for position in range(crash + 1):
        if commits and position == committed:
            first.sequences.committed(committed)
        for host in "AB":
            if snapshot_at[host] == position:
                written[host] = first.snapshot(host)
        if position < crash:
            _advance_between(first, data.draw, previous_ms, topic[position].broker_ms)
            first.take(topic[position])
            previous_ms = topic[position].broker_ms

    second = Worker(machine, data.draw(limits(FORGETFUL)), has_read)
    second.hosts = dict(first.hosts)
    second.sequences.restore(
        {host: unpack_scope(packed) for host, (packed, _) in written.items() if packed is not None}
    )
    previous_ms = 0
    for sent in topic[committed:]:
        if previous_ms:
            _advance_between(second, data.draw, previous_ms, sent.broker_ms)
        second.take(sent)
        previous_ms = sent.broker_ms
    second.advance(END_OF_TIME_MS)
    second.advance(2 * END_OF_TIME_MS)

    expected = _expected(definition, topic)
    for host in "AB":
        assert first.found[host] <= expected[host]
        assert written[host][1] | second.found[host] == expected[host]
    assert second.budget.keys == second.sequences.keys
    assert second.budget.waiting == second.budget.starts == 0


@settings(max_examples=100, deadline=None)
@given(st.data(), definitions(needs_span=True))
def test_a_snapshot_comes_back_equal(data: st.DataObject, definition: Definition):
    """At every point, and packing what came back gives the same bytes."""
    worker = Worker(_machine(definition), PATIENT, data.draw(st.booleans()))
    for sent in data.draw(topics(definition)):
        worker.take(sent)
        for name in worker.sequences.scopes():
            scope = worker.sequences.scope(name)
            packed = pack_scope(scope)
            scope = deepcopy(scope)
            scope.end_quiet()  # as it comes back
            assert unpack_scope(packed) == scope
            assert pack_scope(unpack_scope(packed)) == packed
