"""What waits quietly is answered as what never does: each case is tried on both, step by step.

That the cases reach a quiet scope at all is asserted, too.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamproc.engine.sequence_budget import SequenceBudget, SequenceCounts, SequenceLimits
from streamproc.engine.sequence_scope import Arrival, Prospect, Prospects, Scope
from streamproc.engine.sequence_snapshots import pack_scope, unpack_scope
from streamproc.engine.sequences import PartitionSequences
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import SequenceMachine
from streamproc.model import Record

NOW_MS = 1_700_000_000_000
HOST = "h"
QUERIES = {
    "pair": "sequence by k with maxspan=1m [a where true] [b where true]",
    "three": "sequence by k with maxspan=1m [x where true] [y where true] [z where true]",
    "gap": "sequence by k with maxspan=1m [p where true] ![g where true] [q where true]",
    "silence": "sequence by k with maxspan=2s [t where true] [u where true] ![w where true]",
}
# They are asked at once.
WITH_MISSING = ("gap", "silence")
# Of each letter the same object, as the prefilter's answers are; "n" is of no rule.
PROSPECTS: dict[str, Prospects] = {
    **{letter: (Prospect("pair", (query,)),) for query, letter in enumerate("ab")},
    **{letter: (Prospect("three", (query,)),) for query, letter in enumerate("xyz")},
    **dict.fromkeys("pgqtuw", ()),
    "n": (Prospect("gone", (0,)),),
}


class NeverQuiet(PartitionSequences):
    """Every event takes its turn as soon as it may."""

    def _judge(self, scope: Scope) -> None:
        pass


class Bench:
    """A partition of one host; times are milliseconds after ``NOW_MS``."""

    def __init__(self, kind: type[PartitionSequences], **limits: int) -> None:
        self.kind = kind
        self.limits = SequenceLimits(**{"lateness_ms": 1_000, **limits})
        self.machines = {
            name: SequenceMachine(parse_query(text).body, CompileOptions())
            for name, text in QUERIES.items()
        }
        self.offset = 0
        self.found: list[tuple[int | None, ...]] = []
        self._begin()

    def _begin(self) -> None:
        self.budget = SequenceBudget(self.limits)
        self.sequences = self.kind(self.machines, self.budget, self)
        self.sequences.turns_put_off = 1

    def hits(self, rule: str, payload: Record, timestamp_ns: int, queries: tuple[int, ...]) -> Any:
        return self.machines[rule].hits(Event(orjson.loads(payload.value or b"")), queries)

    def send(self, letter: str, at_ms: int, arrived_ms: int, tiebreaker: int | None = None) -> None:
        document = {"event.category": letter, "k": 1}
        value, broker_ms = orjson.dumps(document), NOW_MS + arrived_ms
        hits = {rule: self.machines[rule].hits(Event(document)) for rule in WITH_MISSING}
        arrival = Arrival(
            (NOW_MS + at_ms) * 1_000_000,
            tiebreaker,
            self.offset,
            broker_ms,
            Record(value, "events", 0, self.offset, broker_ms, []),
            {rule: found for rule, found in hits.items() if found},
            PROSPECTS[letter],
        )
        self.offset += 1
        self._note(self.sequences.offer(HOST, arrival))

    def pass_time(self, at_ms: int) -> None:
        self._note(self.sequences.advance(NOW_MS + at_ms))

    @property
    def counts(self) -> SequenceCounts:
        """What is counted once everything that came is looked at."""
        self.sequences.scope(HOST)
        return self.budget.counts

    def in_the_end(self) -> list[tuple[int | None, ...]]:
        """What is found when all that waits has taken its turn."""
        self.pass_time(9_000)
        return self.found

    def judge_anew(self) -> None:
        """The next event tells whether the host is quiet: nothing is known of those before it."""
        self.sequences.adopt(self.machines, self)

    def restart(self) -> None:
        snapshot = pack_scope(self.scope())
        self._begin()
        self.sequences.restore({HOST: unpack_scope(snapshot)})

    def scope(self) -> Scope:
        scope = self.sequences.scope(HOST)
        assert scope is not None
        return scope

    def assert_quiet(self, *, waiting: int) -> None:
        """Where it may be: so many events wait in short."""
        if self.kind is not NeverQuiet:
            assert self.scope().quiet.room
            assert len(self.scope().quiet.waiting) == waiting

    def _note(self, matches: Any) -> None:
        self.found += [tuple(item and item.offset for item in match.payloads) for match in matches]


@pytest.fixture(params=[PartitionSequences, NeverQuiet])
def kind(request: pytest.FixtureRequest) -> type[PartitionSequences]:
    return request.param


@pytest.fixture
def bench(kind: type[PartitionSequences]) -> Bench:
    return Bench(kind)


def test_what_follows_a_start_whose_turn_is_over_is_not_put_off(bench: Bench):
    bench.send("a", 0, 0)
    bench.pass_time(2_000)
    bench.judge_anew()
    bench.send("n", 2_000, 2_000)
    bench.assert_quiet(waiting=1)
    bench.send("b", 2_100, 2_100)
    assert bench.in_the_end() == [(0, 2)]


def test_what_follows_a_partial_sequence_is_not_put_off(bench: Bench):
    bench.send("x", 0, 0)
    bench.send("y", 10, 10)
    bench.pass_time(2_000)
    assert "three" in bench.scope().states
    assert not bench.scope().starts
    bench.judge_anew()
    bench.send("n", 2_000, 2_000)
    bench.assert_quiet(waiting=1)
    bench.send("z", 2_100, 2_100)
    assert bench.in_the_end() == [(0, 1, 3)]


def test_what_follows_what_waits_is_not_put_off(bench: Bench):
    bench.send("a", 0, 0)
    bench.assert_quiet(waiting=1)
    bench.send("b", 10, 10)
    assert bench.in_the_end() == [(0, 1)]


def test_a_start_after_what_may_follow_it_ends_the_quiet(bench: Bench):
    """The start came last, but is the earlier one."""
    bench.send("b", 10, 0)
    bench.assert_quiet(waiting=1)
    bench.send("a", 0, 10)
    assert bench.in_the_end() == [(1, 0)]


@pytest.mark.parametrize(
    "starts",
    [
        pytest.param([(600, 600, None), (500, 601, None)], id="time"),
        pytest.param([(0, 0, 2), (0, 1, 1)], id="tiebreaker"),
        pytest.param([(0, 0, None), (0, 1, 1)], id="without a tiebreaker the last of its time"),
    ],
)
def test_turns_are_taken_in_order(bench: Bench, starts: list[tuple[int, int, int | None]]):
    """The latest start counts, not the one that came last."""
    for start in starts:
        bench.send("a", *start)
    bench.pass_time(3_000)
    bench.assert_quiet(waiting=0)
    bench.send("b", 3_000, 3_000)
    assert bench.in_the_end() == [(0, 2)]


def test_tiebreakers_of_what_waited_before_the_quiet_count(bench: Bench):
    bench.send("a", 0, 0, 2)
    bench.send("a", 0, 1, 1)
    for arrived_ms in (2, 3):  # out of the lateness: the quiet ends, and begins again
        bench.send("n", -5_000, arrived_ms)
    bench.assert_quiet(waiting=2)
    bench.pass_time(3_000)
    bench.assert_quiet(waiting=0)
    bench.send("b", 3_000, 3_000)
    assert bench.in_the_end() == [(0, 4)]


def test_what_precedes_an_event_that_waited_long_enough_goes_with_it(bench: Bench):
    bench.send("a", 500, 500)
    bench.send("a", 499, 1_400)
    bench.pass_time(1_600)
    assert bench.budget.waiting == 0
    bench.send("b", 1_600, 1_600)
    assert bench.in_the_end() == [(0, 2)]


def test_what_belongs_before_a_turn_that_was_taken_quietly_is_late(bench: Bench):
    bench.send("a", 600, 600)
    bench.send("a", 700, 700)
    bench.pass_time(1_601)
    bench.assert_quiet(waiting=1)
    bench.send("a", 600, 1_602)  # at the same time, but after it
    bench.send("a", 599, 1_603)
    assert bench.counts.late_events == 1


def test_what_belongs_before_a_turn_that_is_put_off_is_late(bench: Bench):
    """An event more than the lateness behind may be in time, or not: it is looked at."""
    bench.sequences.turns_put_off = 9
    for at_ms in (4_000, 6_000, 10_000):
        bench.send("a", at_ms, 10_000)
    bench.assert_quiet(waiting=3)
    bench.send("a", 5_999, 10_000)
    bench.send("a", 6_001, 10_000)
    assert bench.counts.late_events == 1


def test_an_event_ends_the_wait_of_those_that_waited_long_enough(bench: Bench):
    """Though no moment passed in between."""
    bench.sequences.turns_put_off = 9
    bench.send("a", 600, 600)
    bench.send("a", 700, 1_601)
    bench.send("a", 599, 1_601)
    assert bench.counts.late_events == 1


def test_an_event_ends_the_wait_of_the_first_after_a_silence(bench: Bench):
    bench.sequences.turns_put_off = 9
    bench.send("a", 0, 0)
    bench.pass_time(2_000)
    bench.assert_quiet(waiting=0)
    bench.send("a", 3_000, 3_000)
    bench.assert_quiet(waiting=1)
    bench.send("a", 3_500, 4_001)
    bench.send("a", 2_999, 4_001)
    assert bench.counts.late_events == 1


def test_the_first_after_a_silence_takes_its_turn_in_time(bench: Bench):
    bench.send("a", 0, 0)
    bench.pass_time(2_000)
    bench.send("a", 3_000, 3_000)
    bench.assert_quiet(waiting=1)
    bench.sequences.changed.clear()
    bench.pass_time(4_000)
    assert (bench.budget.waiting, bench.budget.starts) == (1, 1)
    assert not bench.sequences.changed
    bench.pass_time(4_001)
    assert (bench.budget.waiting, bench.budget.starts) == (0, 2)
    assert bench.sequences.changed == {HOST}


def test_a_tiebreaker_below_that_of_a_turn_at_the_same_time_is_late(bench: Bench):
    bench.send("a", 600, 600, 2)
    bench.pass_time(2_000)
    bench.assert_quiet(waiting=0)
    bench.send("a", 600, 2_000, 2)
    assert bench.counts.late_events == 0
    bench.send("a", 600, 2_000, 1)
    assert bench.counts.late_events == 1


def test_a_clock_that_is_ahead_does_not_let_others_be_late(bench: Bench):
    """By more than the lateness: it waits apart."""
    bench.send("a", 0, 0)
    bench.send("a", 50_000, 1)
    bench.pass_time(2_000)
    bench.send("a", 2_000, 2_000)
    bench.send("b", 2_001, 2_001)
    bench.pass_time(9_000)
    assert (bench.found, bench.counts.late_events) == ([(2, 3)], 0)


def test_a_clock_that_is_ahead_a_little_does_not_let_others_be_late(bench: Bench):
    bench.send("a", 0, 0)
    bench.send("a", 900, 1)
    for at_ms in (-500, -600):
        bench.send("a", at_ms, 2)
    bench.assert_quiet(waiting=4)
    assert bench.counts.late_events == 0


def test_what_waits_apart_takes_its_turn_in_time(bench: Bench):
    bench.send("a", 50_000, 0)
    bench.pass_time(1_001)
    assert bench.budget.waiting == 0
    bench.send("b", 50_001, 1_001)
    bench.pass_time(2_002)
    assert bench.found == [(0, 1)]


@pytest.mark.parametrize("quiet_before", [True, False])
def test_rules_that_are_asked_at_once_are_not_forgotten(bench: Bench, quiet_before: bool):
    if quiet_before:
        bench.send("n", 0, 0)
        bench.assert_quiet(waiting=1)
    first = bench.offset
    bench.send("p", 10, 10)
    bench.send("q", 11, 11)
    bench.pass_time(3_000)
    assert bench.found == [(first, None, first + 1)]


def test_matches_that_wait_for_silence_are_settled_in_time(bench: Bench):
    bench.send("t", 0, 0)
    bench.send("u", 10, 10)
    for at_ms in range(1_200, 1_900, 100):
        bench.send("n", at_ms, at_ms)
    assert "silence" in bench.scope().states
    bench.pass_time(3_000)
    assert bench.found == []
    bench.pass_time(5_200)
    assert bench.found == [(0, 1, None)]


def test_what_waits_quietly_begins_nothing_of_a_rule_that_went_away(bench: Bench):
    bench.send("a", 0, 0)
    bench.assert_quiet(waiting=1)
    bench.sequences.adopt({"three": bench.machines["three"]}, bench)
    bench.pass_time(3_000)
    assert (bench.budget.waiting, bench.budget.starts) == (0, 0)
    assert not bench.scope().starts


def test_starts_whose_span_is_over_are_dropped_quietly(bench: Bench):
    bench.send("a", 0, 0)
    bench.pass_time(2_000)
    bench.send("a", 60_002, 60_002)
    bench.assert_quiet(waiting=1)
    bench.pass_time(70_000)
    assert bench.budget.starts == 1


def test_only_the_first_event_of_a_file_lets_time_start_again(bench: Bench):
    bench.sequences.turns_put_off = 9
    for at_ms in (6_000, 10_000):
        bench.send("a", at_ms, 10_000)
    bench.assert_quiet(waiting=2)
    bench.sequences.begin_file()
    bench.send("a", 9_900, 10_000)
    bench.send("a", 5_000, 10_000)
    assert bench.counts.late_events == 1
    bench.sequences.begin_file()
    bench.send("a", 5_000, 10_000)
    assert bench.counts.late_events == 1


def test_turns_are_in_time_after_a_restart(bench: Bench):
    bench.send("a", 600, 600)
    bench.send("a", 500, 601)
    bench.assert_quiet(waiting=2)
    bench.restart()
    bench.pass_time(1_601)
    assert bench.budget.waiting == 0
    bench.send("b", 1_601, 1_601)
    assert bench.in_the_end() == [(0, 2)]


@pytest.mark.parametrize("buffer_max", [1, 3, 40])
def test_no_more_wait_quietly_than_may_wait(kind: type[PartitionSequences], buffer_max: int):
    """Beyond the bound the earliest take their turns early, and are counted."""
    bench = Bench(kind, buffer_max=buffer_max)
    for place in range(100):
        bench.send("a", place, place)
        assert bench.scope().waiting() <= buffer_max
    assert bench.counts.released_early == 100 - buffer_max
    bench.send("a", 98 - buffer_max, 100)
    assert bench.counts.late_events == 1
