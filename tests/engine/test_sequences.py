"""A partition's sequences: lateness to the millisecond, wrong clocks, silence, bounds."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.engine import sequences
from streamproc.engine.sequence_budget import SequenceBudget, SequenceLimits
from streamproc.engine.sequence_scope import Arrival
from streamproc.engine.sequences import PartitionSequences, SequenceMatch
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.nodes import Sequence
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import JOIN_KEYS_MAX, SequenceMachine

AB = "sequence by k with maxspan=1m [a where true] [b where true]"
NO_B = "sequence by k with maxspan=1m [a where true] [c where true] ![b where true]"
LATENESS_MS = 10_000
DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS


class Bench:
    """A partition whose events are written as (letter, seconds since NOW_MS)."""

    def __init__(
        self, *queries: str, budget: SequenceBudget | None = None, offset: int = 0, **limits: int
    ) -> None:
        self.machines = {f"rule{n}": _machine(query) for n, query in enumerate(queries or (AB,))}
        limit = SequenceLimits(**{"lateness_ms": LATENESS_MS, **limits})
        self.budget = budget or SequenceBudget(limit)
        self.sequences = PartitionSequences(self.machines, self.budget, self)
        self.offset = offset
        self.found: list[tuple[Any, ...]] = []

    @property
    def counts(self) -> Any:
        return self.budget.counts

    def send(
        self,
        letter: str,
        at_s: float,
        broker_s: float | None = None,
        *,
        host: str = "h",
        k: Any = 1,
        tie: Any = None,
    ) -> None:
        """Offer an event; its payload is the letter and the offset. Broker time as event time."""
        event = Event({"event.category": letter, "k": k})
        hits = {rule: found for rule, m in self.machines.items() if (found := m.hits(event))}
        at_ms = NOW_MS + round(at_s * 1000)
        broker_ms = at_ms if broker_s is None else NOW_MS + round(broker_s * 1000)
        payload = f"{letter}{self.offset}"
        arrival = Arrival(at_ms * 1_000_000, tie, self.offset, broker_ms, payload, hits)
        self.offset += 1
        self._note(self.sequences.offer(host, arrival))

    def hits(self, rule: str, payload: Any, timestamp_ns: int, queries: tuple[int, ...]) -> Any:
        """As the reader of events that were offered with prospects."""
        raise AssertionError("all hits are known")

    def pass_time(self, broker_s: float) -> None:
        self._note(self.sequences.advance(NOW_MS + round(broker_s * 1000)))

    def _note(self, matches: list[SequenceMatch]) -> None:
        self.found.extend(match.payloads for match in matches)


def _machine(query: str) -> SequenceMachine:
    body = parse_query(query).body
    assert isinstance(body, Sequence)
    return SequenceMachine(body, CompileOptions())


def test_a_sequence_is_told_once_the_lateness_has_passed():
    """By a later event of its host, to the millisecond, and not by another host's."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("b", 1)
    bench.send("a", 11, host="other")
    bench.send("a", 11)
    assert bench.found == []
    bench.send("a", 11.001)
    assert bench.found == [("a0", "b1")]


def test_a_sequence_is_told_when_broker_time_has_passed():
    """An idle partition: the lateness after the last event came, to the millisecond."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("b", 1, 3)
    bench.pass_time(13)
    assert bench.found == []
    bench.pass_time(13.001)
    assert bench.found == [("a0", "b1")]


@pytest.mark.parametrize(
    ("at_s", "broker_s", "late"),
    [
        (10, 20, 0),  # exactly the lateness behind in event time
        (9.998, 20, 1),
        (19, 30, 0),  # exactly the lateness behind in broker time
        (19, 30.001, 1),
    ],
)
def test_late_is_behind_what_was_released(at_s: float, broker_s: float, late: int):
    """An event that comes after a later one of its host was used is counted, and not used."""
    bench = Bench()
    bench.send("a", 10, k=2)
    bench.send("a", 9.999, 10, k=2)
    bench.send("a", 20)
    bench.send("b", at_s, broker_s, k=3)
    # Another host's clock has no part in it.
    bench.send("b", 0, 31, host="other")
    assert bench.counts.late_events == late


def test_a_late_event_is_not_used():
    """Neither as a step nor as an end."""
    bench = Bench()
    bench.send("a", 0)
    bench.pass_time(11)
    bench.send("a", -1, 12)
    bench.send("b", 1, 12)
    bench.pass_time(100)
    assert bench.found == [("a0", "b2")]
    assert bench.counts.late_events == 1


def test_events_of_one_time_go_by_tiebreaker_then_offset():
    """A null tiebreaker is last; text comes after numbers."""
    bench = Bench()
    bench.send("b", 0, tie=None)
    bench.send("b", 0, tie="x")
    bench.send("a", 0, tie=2)
    bench.send("b", 0, tie=1)
    bench.pass_time(100)
    assert bench.found == [("a2", "b1")]


def test_one_timestamp_in_the_far_future_makes_nothing_late():
    """A host's clock jumps for an event: its other events and other hosts go on."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("a", 365 * 86_400, 0.5)
    bench.send("a", 0.6, host="other")
    bench.pass_time(20)
    bench.send("a", 21)
    bench.send("b", 22)
    bench.send("b", 23, host="other")
    bench.pass_time(40)
    assert bench.found == [("a3", "b4"), ("a2", "b5")]
    assert bench.counts.late_events == 0


@pytest.mark.parametrize("wrong_s", [-50 * 365 * 86_400, -7_200, 7_200, 50 * 365 * 86_400])
@pytest.mark.parametrize("query", [AB, NO_B])
def test_a_host_whose_clock_is_wrong_all_along_has_its_sequences(query: str, wrong_s: int):
    """In its own time; disorder is put right; nothing waits for longer than by a right clock."""
    bench = Bench(query)
    second = "b" if query == AB else "c"
    bench.send("a", wrong_s, 0)
    bench.send("a", wrong_s + 5, 3)
    bench.send(second, wrong_s + 4, 4)
    bench.send("a", 0, 4, host="right")
    bench.send(second, 1, 4, host="right")
    bench.pass_time(75)
    expected = [("a0", f"{second}2"), ("a3", f"{second}4")]
    expected = expected if query == AB else [(*match, None) for match in expected]
    assert sorted(bench.found) == expected
    assert bench.counts.late_events == 0


def test_a_clock_that_falls_back_for_good_is_believed_in_the_end():
    """Its events are late until that was so for long enough; older partials do not matter."""
    bench = Bench(AB, AB.replace("1m", "1d"), forget_ms=60_000)
    bench.send("a", 0)
    bench.pass_time(20)
    for second in range(20, 400, 10):
        bench.send("a", second - 3_600, second)
        bench.send("b", second - 3_599, second + 1)
        bench.pass_time(second + 1)
    # Offset 10 is of second 61.
    assert bench.counts.late_events == 9
    assert bench.found[:2] == [("a11", "b12")] * 2
    assert bench.found[-1] == ("a71", "b72")


def test_a_trailing_missing_event_is_awaited_until_stream_time_passes_the_span():
    """In an idle partition: the span and the lateness, to the millisecond."""
    bench = Bench(NO_B)
    bench.send("a", 0)
    bench.send("c", 2)
    bench.pass_time(70)
    assert bench.found == []
    bench.pass_time(70.001)
    assert bench.found == [("a0", "c1", None)]


def test_later_events_settle_a_trailing_missing_event():
    """When the host's own time has passed the span, without waiting for the broker's."""
    bench = Bench(NO_B)
    bench.send("a", 0, 1_000)
    bench.send("c", 2, 1_000)
    bench.send("a", 70, 1_000)
    assert bench.found == []
    bench.send("a", 70.001, 1_000)  # now an event at 60.000, which could discard it, is late
    assert bench.found == [("a0", "c1", None)]


@pytest.mark.parametrize(
    ("at_s", "broker_s", "found", "late"),
    [
        (2.001, 2.001, 0, 0),
        (60, 60, 0, 0),  # the last millisecond of the span
        (60.001, 60.001, 1, 0),
        (60, 70, 0, 0),  # as late as may be
        (60, 70.001, 1, 1),  # used too late: counted
        (2, 3, 1, 0),  # at the very time of the last event
    ],
)
def test_a_trailing_event_discards(at_s: float, broker_s: float, found: int, late: int):
    """When it lies after the last event and within the span, and comes in time."""
    bench = Bench(NO_B)
    bench.send("a", 0)
    bench.send("c", 2)
    bench.send("b", at_s, broker_s)
    bench.pass_time(500)
    assert len(bench.found) == found
    assert bench.counts.late_events == late


def test_what_a_host_sends_after_it_was_offline_counts():
    """Broker time does not end a partial sequence; the host's own events do."""
    bench = Bench(offline_ms=600_000)
    bench.send("a", 0)
    bench.pass_time(600)
    bench.send("b", 50, 601)
    bench.pass_time(1_000)
    assert bench.found == [("a0", "b1")]


def test_a_silent_host_is_forgotten():
    """After its span, the lateness and the patience with hosts that are offline."""
    bench = Bench(offline_ms=600_000)
    bench.send("a", 0)
    bench.pass_time(10.001)
    bench.pass_time(670.001)
    assert bench.sequences.keys == 1
    bench.pass_time(680.002)
    assert bench.sequences.keys == bench.budget.keys == 0
    assert bench.counts.evicted_keys.total() == 0


def test_outdated_keys_go_as_the_host_moves_on():
    """Also when broker time stands still, as when a file is loaded: state stays small."""
    bench = Bench()
    for second in range(1_000):
        bench.send("a", second, 5_000, k=second)
    bench.pass_time(1_000)
    # Of seconds 989 to 999; the keys of 928 to 988, the last that was released.
    assert bench.budget.waiting == 11
    assert bench.sequences.keys == 61


def test_a_key_is_kept_to_the_end_of_its_span():
    """Events of other keys do not drop it before."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("a", 60, k=2)
    bench.send("b", 60)
    bench.pass_time(100)
    assert bench.found == [("a0", "b2")]


def test_a_rule_has_a_limit_of_keys():
    """The key touched longest ago goes, whichever host it is of; counted by rule."""
    bench = Bench(AB, AB.replace("1m", "2m"), rule_keys_max=3, offline_ms=DAY_MS)
    for number in range(5):
        bench.send("a", number, host=f"h{number}", k=number)
    bench.pass_time(60)
    for number in range(5):
        bench.send("b", number + 50, 61, host=f"h{number}", k=number)
    bench.pass_time(100)
    assert sorted(set(bench.found)) == [("a2", "b7"), ("a3", "b8"), ("a4", "b9")]
    assert bench.counts.evicted_keys == {"rule0": 2, "rule1": 2}
    assert bench.budget.keys == 0


def test_a_worker_has_a_limit_of_keys():
    """The largest partition gives first."""
    budget = SequenceBudget(SequenceLimits(lateness_ms=LATENESS_MS, keys_max=6))
    small, large = Bench(budget=budget), Bench(budget=budget)
    small.send("a", 0)
    small.pass_time(11)
    for number in range(9):
        large.send("a", number, k=number)
    large.pass_time(30)
    assert (small.sequences.keys, large.sequences.keys) == (1, 5)
    assert budget.counts.evicted_keys == {"rule0": 4}
    large.sequences.close()
    assert budget.keys == 1


@pytest.mark.parametrize("limit", ["buffer_max", "waiting_max"])
def test_waiting_events_have_a_limit(limit: str):
    """The earliest goes before its time, counted; an earlier one is late then."""
    bench = Bench(**{limit: 3})
    for number in range(5):
        bench.send("a", 1 + number / 10)
    assert bench.budget.waiting == 3
    assert bench.counts.released_early == 2
    bench.send("a", 1.05)
    assert bench.counts.late_events == 1
    bench.send("b", 1.5)
    bench.pass_time(20)
    assert bench.found == [("a4", "b6")]


def test_waiting_matches_have_a_limit():
    """A key on which a trailing missing event is awaited again and again."""
    bench = Bench("sequence by k with maxspan=1m [a where true] ![b where true]", settling_max=2)
    for number in range(5):
        bench.send("a", number)
    bench.pass_time(500)
    assert bench.found == [("a3", None), ("a4", None)]
    assert bench.counts.evicted_keys == {"rule0": 3}


def test_an_event_with_too_many_join_keys_is_counted():
    """It acts for as many as are followed."""
    bench = Bench()
    many = list(range(JOIN_KEYS_MAX + 5))
    bench.send("a", 0, k=many)
    bench.send("b", 1, k=many)
    bench.pass_time(20)
    assert len(bench.found) == JOIN_KEYS_MAX
    assert bench.counts.cut_join_keys == 2


def test_an_empty_scope_keeps_its_offset_until_that_is_committed():
    """A redelivered event must not begin a sequence again; then the scope goes entirely."""
    bench = Bench(forget_ms=60_000)
    bench.send("a", 0)
    bench.send("b", 1)
    bench.pass_time(100)
    bench.sequences.changed.clear()
    bench.pass_time(1_000)
    scope = bench.sequences.scope("h")
    assert scope is not None
    assert scope.is_empty()
    assert scope.offset == 1
    bench.sequences.committed(1)
    bench.pass_time(2_000)
    assert bench.sequences.scope("h") is not None
    bench.sequences.committed(2)
    bench.pass_time(3_000)
    assert bench.sequences.scope("h") is None
    assert bench.sequences.changed == {"h"}


def test_a_redelivered_event_changes_nothing():
    """Its offset is part of the state."""
    bench = Bench()
    bench.send("a", 0)
    bench.send("b", 1)
    bench.offset = 0
    bench.send("a", 0)
    bench.send("b", 1)
    bench.pass_time(100)
    assert bench.found == [("a0", "b1")]


def test_restored_state_of_rules_that_went_away_is_left_out():
    """A rule that changed has another name: its partial sequences begin anew."""
    before = Bench(AB, NO_B)
    before.send("a", 0)
    before.send("c", 1)
    before.pass_time(20)
    before.send("a", 21)
    after = Bench(AB, offset=3)
    scope = before.sequences.scope("h")
    assert scope is not None
    after.sequences.restore({"h": scope})
    assert after.sequences.keys == 1
    assert after.budget.waiting == 1
    after.send("b", 22)
    after.pass_time(200)
    assert after.found == [("a2", "b3")]


def test_restored_state_is_bounded_too():
    """A worker with a smaller limit takes over."""
    before = Bench()
    for number in range(5):
        before.send("a", number, k=number)
    before.pass_time(20)
    after = Bench(rule_keys_max=2, offset=5)
    scope = before.sequences.scope("h")
    assert scope is not None
    after.sequences.restore({"h": scope})
    assert after.sequences.keys == 2
    assert after.counts.evicted_keys == {"rule0": 3}


def test_a_machine_without_a_span_is_refused():
    """Its state would grow without end."""
    with pytest.raises(ValueError, match="no span"):
        Bench("sequence by k [a where true] [b where true]")


def test_other_rules_are_adopted_and_the_same_ones_go_on():
    """What they have begun, what waits, and their trailing spans; other hosts' state, too."""
    bench = Bench(AB, NO_B, AB.replace("1m", "2m"))
    bench.send("a", 0)
    bench.send("a", 0, host="other", k=2)
    bench.send("c", 5, k=1)
    bench.pass_time(16)
    bench.send("b", 17, host="other", k=2)
    bench.machines = {rule: bench.machines[rule] for rule in ("rule0", "rule1")} | {
        "rule3": _machine("sequence by k with maxspan=1m [b where true] [c where true]")
    }
    bench.sequences.adopt(bench.machines, bench)
    bench.send("c", 20, 21, host="other", k=2)
    bench.pass_time(200)
    expected = [("a0", "c2", None), ("a1", "b3"), ("a1", "c4", None)]
    assert sorted(bench.found, key=str) == expected
    assert bench.budget.keys == bench.sequences.keys


def test_what_a_rule_that_went_away_has_begun_is_dropped_little_by_little(monkeypatch):
    """No walk over its keys when the rules change; those that went away are let go in the end."""
    monkeypatch.setattr(sequences, "_RETIRED_AT_ONCE", 3)
    bench = Bench(AB, AB.replace("1m", "2m"), offline_ms=DAY_MS)
    for number in range(4):
        bench.send("a", number, k=number, host=f"h{number % 2}")
    bench.pass_time(20)
    bench.sequences.changed.clear()
    bench.sequences.adopt({"rule0": bench.machines["rule0"]}, bench)
    assert bench.budget.keys == 8
    bench.pass_time(21)
    assert bench.budget.keys == 5
    bench.pass_time(22)
    assert bench.budget.keys == bench.sequences.keys == 4
    assert bench.sequences.changed == {"h0", "h1"}
    bench.pass_time(23)
    assert bench.sequences.keys_of("rule0") == 4


def test_a_rule_that_returns_begins_anew():
    """It has not seen what came in between."""
    bench = Bench(AB, NO_B)
    bench.send("a", 0)
    bench.send("c", 1)
    bench.pass_time(15)
    both = bench.machines
    bench.sequences.adopt({}, bench)
    bench.sequences.adopt(both, bench)
    bench.send("b", 20)
    bench.pass_time(DAY_MS)
    assert bench.found == []
    assert bench.budget.keys == 0


def test_a_trailing_span_of_a_rule_that_went_away_ends_in_silence():
    """Its deadline is still noted with the host."""
    bench = Bench(NO_B)
    bench.send("a", 0)
    bench.send("c", 1)
    bench.pass_time(15)
    bench.sequences.adopt({}, bench)
    bench.send("a", 200)
    bench.pass_time(DAY_MS)
    assert bench.found == []
    assert bench.budget.keys == 0
