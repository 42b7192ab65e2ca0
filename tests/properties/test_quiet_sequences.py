"""Scopes that are quiet answer as scopes that never are, whatever comes and whenever.

Each example is a stream of several rules' events on two hosts, in any disorder: late ones, jumps of
the clocks, silence, moments that pass in between, other cuts into batches, and a restart from
snapshots with redelivery. What is found, when, and what is counted as late or early must be
the same. Tight streams have a lateness and pauses of a few milliseconds, so that times are equal,
tiebreakers decide, and nearly every event is at the edge of something.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.sequence_budget import SequenceBudget, SequenceLimits
from streamproc.engine.sequence_scope import Arrival, Prospect, Prospects, Scope
from streamproc.engine.sequence_snapshots import pack_scope, unpack_scope
from streamproc.engine.sequences import PartitionSequences
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import SequenceMachine
from streamproc.model import Record

START_MS = 1_700_000_000_000
LIMITS = SequenceLimits(lateness_ms=3_000, offline_ms=1 << 40, forget_ms=60_000)
TIGHT_MS = 4
QUERIES = {
    "pair": "sequence by k with maxspan=4s [a where v > 0] [b where v > 0]",
    "long": "sequence by k with maxspan=20s [a where v > 1] [c where true] [b where true]",
    "runs": "sequence by k with maxspan=9s [c where true] with runs=2 [d where v > 0]",
    "until": "sequence by k with maxspan=30s [d where v > 1] [c where true] until [b where v == 2]",
    "missing": "sequence by k with maxspan=5s [e where v > 1] ![f where true] [e where v > 0]",
}
LETTERS = {
    name: [term.query.category for term in terms]
    for name, terms in (
        (name, [*body.terms, *([body.until] if body.until else [])])
        for name, body in ((name, parse_query(text).body) for name, text in QUERIES.items())
    )
}


class Sent(NamedTuple):
    """What happens next: an event, and before it perhaps a moment, or the end of a batch."""

    letter: str
    passed_ms: int
    behind_ms: int
    host: str
    k: int
    v: int
    breaker: int | None
    moment: bool


class NeverQuiet(PartitionSequences):
    """Every event takes its turn as soon as it may."""

    def _judge(self, scope: Scope) -> None:
        pass


class Worker:
    """A partition's state, what it found, and its restarts."""

    def __init__(
        self, kind: type[PartitionSequences], put_off: int, limits: SequenceLimits
    ) -> None:
        self.kind, self.put_off, self.limits = kind, put_off, limits
        self.machines = {
            name: SequenceMachine(parse_query(text).body, CompileOptions())
            for name, text in QUERIES.items()
        }
        self.known: dict[str, Prospects] = {}
        self.found: list[tuple[Any, ...]] = []
        self.late = self.early = 0
        self._begin()

    def _begin(self) -> None:
        self.budget = SequenceBudget(self.limits)
        self.sequences = self.kind(self.machines, self.budget, self)
        self.sequences.turns_put_off = self.put_off

    def hits(self, rule: str, payload: Record, timestamp_ns: int, queries: tuple[int, ...]) -> Any:
        return self.machines[rule].hits(Event(orjson.loads(payload.value or b"")), queries)

    def prospects(self, letter: str) -> Prospects:
        """The same object for the same letter, as the prefilter's answers are."""
        if letter not in self.known:
            queries = {
                name: tuple(q for q, wanted in enumerate(letters) if wanted == letter)
                for name, letters in LETTERS.items()
                if self.machines[name].can_wait
            }
            self.known[letter] = tuple(Prospect(n, found) for n, found in queries.items() if found)
        return self.known[letter]

    def arrival(self, sent: Sent, offset: int, at_ms: int) -> Arrival:
        document = {"event.category": sent.letter, "k": sent.k, "v": sent.v}
        record = Record(orjson.dumps(document), "events", 0, offset, at_ms, [])
        missing = self.machines["missing"].hits(Event(document))
        return Arrival(
            (at_ms - sent.behind_ms) * 1_000_000, sent.breaker, offset, at_ms, record,
            {"missing": missing} if missing else {}, self.prospects(sent.letter),
        )  # fmt: skip

    def offer_all(self, offers: list[tuple[str, Arrival]]) -> None:
        self._note(self.sequences.offer_all(offers))

    def advance(self, broker_ms: int) -> None:
        self._note(self.sequences.advance(broker_ms))

    def _note(self, matches: Any) -> None:
        for rule, key, payloads in matches:
            self.found.append((rule, key, tuple(p and p.offset for p in payloads)))

    def restart(self) -> None:
        """Come back from snapshots of every host."""
        sequences = self.sequences
        snapshots = {name: pack_scope(sequences.scope(name)) for name in sequences.scopes()}
        self.late += self.budget.counts.late_events
        self.early += self.budget.counts.released_early
        sequences.close()
        assert self.budget.waiting == self.budget.starts == self.budget.keys == 0
        self._begin()
        self.sequences.restore({name: unpack_scope(item) for name, item in snapshots.items()})


def _stream(random: Random, length: int) -> list[Sent]:
    """Stretches of what may begin, or what may follow, in good order; now and then anything."""
    letters = "a"
    breakers = [None, None, None, random.choice([None, 1, 2])]
    pauses = [0, 0, 10, 40, 200, random.choice([600, 3_001, 9_000])]
    delays = [0, 0, 0, 5, 700, random.choice([0, 2_999, 3_500, 60_000, -400, -5_000])]
    sent = []
    for _ in range(length):
        if not random.randrange(12):
            letters = random.choice(["a", "a", "aad", "d", "b", "c", "bc", "abcdef"])
        if not random.randrange(60):
            sent.append(Sent("abcdef"[random.randrange(6)], 70_000, 0, "x", 1, 2, None, True))
        sent.append(
            Sent(
                letter=random.choice("abcdef" if not random.randrange(30) else letters),
                passed_ms=random.choice(pauses),
                behind_ms=random.choice(delays),
                host=random.choice("xxxy"),
                k=random.choice([1, 1, 1, 2]),
                v=random.choice([2, 2, 2, 1, 0]),
                breaker=random.choice(breakers),
                moment=not random.randrange(6),
            )
        )
    return sent


def _tight_stream(random: Random, length: int) -> list[Sent]:
    """Few events of one key, a few milliseconds apart, in stretches that are short."""
    letters = "a"
    pauses, delays = [0, 0, 0, 1, 2], [0, 0, 0, 1, 2, TIGHT_MS]
    breakers = random.choice([[None], [None, 1, 2], [1, 2]])
    sent = []
    for _ in range(length):
        if not random.randrange(4):
            letters = random.choice(["a", "a", "d", "ad", "b", "c"])
        is_odd = not random.randrange(15)
        sent.append(
            Sent(
                letter=random.choice(letters),
                passed_ms=random.choice([TIGHT_MS, 6, 9, 40] if is_odd else pauses),
                behind_ms=random.choice([5, 6, 9, -3, -6] if is_odd else delays),
                host="x",
                k=1,
                v=2,
                breaker=random.choice(breakers),
                moment=not random.randrange(3),
            )
        )
    return sent


@settings(max_examples=150, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.integers(20, 250),
    st.sampled_from([1, 2, 5, 32]),
    st.integers(1, 60),
    st.lists(st.integers(0, 250), max_size=3),
)
def test_quiet_is_not_to_be_told_from_busy(
    random: Random, length: int, put_off: int, cut: int, restarts: list[int]
):
    """In what is found, in which order and at which moment, and in what is late."""
    _compare(_stream(random, length), LIMITS, put_off, cut, restarts, [])


@settings(max_examples=250, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.integers(20, 120),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([4, 10_000, 10_000]),
    st.sampled_from([1, 1, 2, 7]),
    st.lists(st.integers(0, 120), max_size=2),
    st.lists(st.integers(0, 120), max_size=4),
)
def test_quiet_is_not_to_be_told_from_busy_where_all_is_tight(
    seed: int,
    length: int,
    put_off: int,
    buffer_max: int,
    cut: int,
    restarts: list[int],
    adoptions: list[int],
):
    """Also with a small buffer, and where the rules in force are put in force again.

    Of a seed, not of single choices: those tend to be alike, and meet few edges.
    """
    limits = replace(LIMITS, lateness_ms=TIGHT_MS, forget_ms=60, buffer_max=buffer_max)
    _compare(_tight_stream(Random(seed), length), limits, put_off, cut, restarts, adoptions)


def _compare(
    stream: list[Sent],
    limits: SequenceLimits,
    put_off: int,
    cut: int,
    restarts: list[int],
    adoptions: list[int],
) -> None:
    workers = [
        Worker(PartitionSequences, put_off, limits),
        Worker(NeverQuiet, put_off, limits),
    ]
    now_ms = START_MS
    batches: tuple[list[Any], list[Any]] = ([], [])
    for offset, sent in enumerate(stream):
        now_ms += sent.passed_ms
        for worker, batch in zip(workers, batches, strict=True):
            batch.append((sent.host, worker.arrival(sent, offset, now_ms)))
            if sent.moment or len(batch) >= cut or offset in restarts:
                worker.offer_all(batch)
                # Redelivered: they are part of it already.
                again = [(host, worker.arrival(sent, offset, now_ms)) for host, _ in batch[-1:]]
                worker.offer_all(again)
                batch.clear()
            if sent.moment:
                worker.advance(now_ms)
            if offset in adoptions:
                worker.sequences.adopt(worker.machines, worker)
            if offset in restarts:
                worker.restart()
        assert workers[0].found == workers[1].found
    for worker, batch in zip(workers, batches, strict=True):
        worker.offer_all(batch)
        worker.advance(now_ms + 100_000)
        worker.restart()
        worker.advance(1 << 50)
    assert workers[0].found == workers[1].found
    assert workers[0].late == workers[1].late
    assert workers[0].early == workers[1].early
