"""Whom a sequence rule is asked about, and when: as few events as can be."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.engine.sequence_budget import SequenceBudget, SequenceLimits
from streamproc.engine.sequence_scope import Arrival, Prospect
from streamproc.engine.sequences import PartitionSequences
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import SequenceMachine

ABC = "sequence by k with maxspan=1m [a where v] [b where v] [c where v]"
RULE = "rule"
NOW_MS = 1_700_000_000_000


class Bench:
    """A partition with one rule; the letter of an event names the query it may match."""

    def __init__(self, query: str = ABC, **limits: int) -> None:
        self.machine = SequenceMachine(parse_query(query).body, CompileOptions())
        self.budget = SequenceBudget(SequenceLimits(**{"lateness_ms": 0, **limits}))
        self.sequences = PartitionSequences({RULE: self.machine}, self.budget, self)
        self.asked: list[int] = []
        self.found: list[tuple[int, ...]] = []
        self.offset = 0

    def hits(self, rule: str, payload: Any, timestamp_ns: int, queries: tuple[int, ...]) -> Any:
        offset, document = payload
        self.asked.append(offset)
        return self.machine.hits(Event(document), queries)

    def send(
        self,
        letter: str,
        at_s: float,
        *,
        is_match: bool = True,
        host: str = "h",
        broker_s: float | None = None,
    ) -> None:
        broker_ms = NOW_MS + round((at_s if broker_s is None else broker_s) * 1000)
        ns = (NOW_MS + round(at_s * 1000)) * 1_000_000
        payload = self.offset, {"event.category": letter, "k": 1, "v": is_match}
        prospects = (Prospect(RULE, ("abc".index(letter),)),)
        arrival = Arrival(ns, None, self.offset, broker_ms, payload, {}, prospects)
        self.offset += 1
        self._note(self.sequences.offer(host, arrival))

    def pass_time(self, at_s: float) -> None:
        self._note(self.sequences.advance(NOW_MS + round(at_s * 1000)))

    def _note(self, matches: Any) -> None:
        self.found += [tuple(payload[0] for payload in match.payloads) for match in matches]


def test_later_steps_are_nothing_while_nothing_has_begun():
    """Neither asked about nor kept; what another host has begun does not count."""
    bench = Bench()
    bench.send("a", 0, host="other")
    for letter in "bc" * 5:
        bench.send(letter, 1)
    bench.pass_time(2)
    assert bench.asked == []
    assert (bench.budget.waiting, bench.budget.starts) == (0, 1)


def test_turns_are_put_off_until_an_event_may_follow():
    """Then all take them at once, in order, as soon as they may."""
    bench = Bench(lateness_ms=1_000)
    for second in range(20):
        bench.send("a", second, broker_s=100)
    assert (bench.budget.waiting, bench.budget.starts) == (20, 0)
    bench.send("b", 20, broker_s=100)
    assert (bench.budget.waiting, bench.budget.starts) == (2, 19)
    bench.send("a", 22, broker_s=100)
    assert bench.asked == [20, *range(20)]
    bench.send("c", 24, broker_s=100)
    bench.send("a", 26, broker_s=100)
    assert bench.found == [(19, 20, 22)]
    assert bench.budget.counts.late_events == 0


def test_no_more_turns_are_put_off_than_there_is_room_for():
    bench = Bench(lateness_ms=1_000)
    bench.sequences.turns_put_off = 4
    most = 0
    for second in range(40):
        bench.send("a", second, broker_s=100)
        most = max(most, bench.budget.waiting)
    assert 4 <= most <= 8
    assert bench.budget.waiting + bench.budget.starts == 40


def test_late_is_who_was_late_while_turns_are_put_off():
    """An event that belongs before one that might have taken its turn is late."""
    bench = Bench(lateness_ms=1_000)
    for second in range(10):
        bench.send("a", second, broker_s=100)
    bench.send("a", 6.5, broker_s=100)
    bench.sequences.scope("h")  # what has come is looked at
    assert bench.budget.counts.late_events == 1
    bench.send("a", 7.5, broker_s=100)
    assert bench.budget.counts.late_events == 1


def test_starts_are_asked_about_when_a_later_step_is_hit():
    """Not before, not again, and only those whose span is not over."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("a", 50, is_match=False)
    bench.send("a", 55)
    bench.send("b", 70, is_match=False)
    bench.pass_time(71)
    assert bench.asked == [3]
    bench.send("b", 72)
    bench.pass_time(73)
    assert bench.asked == [3, 4, 1, 2]
    bench.send("c", 80)
    bench.pass_time(81)
    assert bench.found == [(2, 4, 5)]
    assert (bench.budget.starts, bench.budget.keys) == (0, 0)


def test_a_step_needs_the_one_before_it():
    """While only the first step is there nobody asks about the third."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("c", 1)
    bench.send("b", 2)
    bench.send("c", 3)
    bench.pass_time(4)
    assert bench.asked == [2, 0, 3]
    assert bench.found == [(0, 2, 3)]


def test_beyond_the_bound_starts_take_their_turn():
    """The oldest of the scope; nothing is lost by it."""
    bench = Bench(starts_max=2)
    for number in range(4):
        bench.send("a", number, is_match=number == 1)
    bench.pass_time(5)
    assert bench.asked == [0, 1]
    assert (bench.budget.starts, bench.budget.keys) == (2, 1)
    bench.send("b", 6)
    bench.send("c", 7)
    bench.pass_time(8)
    assert bench.found == [(1, 4, 5)]


@pytest.mark.parametrize(("at_s", "starts"), [(70.001, 1), (70.002, 0)])
def test_starts_of_a_silent_host_are_dropped(at_s: float, starts: int):
    """After the span and the time that a host may be offline, by broker time."""
    bench = Bench(offline_ms=10_000)
    bench.send("a", 0)
    bench.pass_time(0.001)
    bench.pass_time(at_s)
    assert bench.budget.starts == starts


def test_starts_of_a_rule_that_goes_away_are_dropped():
    """And given back, as are those of a partition. What waits for its turn may still begin."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("a", 1)
    bench.sequences.changed.clear()
    bench.sequences.adopt({}, bench)
    assert bench.budget.starts == 0
    assert bench.sequences.changed == {"h"}
    bench.sequences.adopt({RULE: bench.machine}, bench)
    bench.send("a", 2)
    bench.send("a", 3)
    bench.sequences.scope("h")  # what has come is looked at
    assert bench.budget.starts == 2
    bench.sequences.close()
    assert (bench.budget.starts, bench.budget.waiting) == (0, 0)
