"""The states of a worker's partitions: given up whole, kept only when outputs are queued."""

from __future__ import annotations

import pytest

from streamproc.engine.sequence_budget import SequenceLimits
from streamproc.engine.sequence_rules import Candidate, SequenceRules
from streamproc.engine.sequence_states import SequenceStates
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.event import Event
from streamproc.eql.parser import parse_query
from streamproc.eql.sequence import SequenceMachine
from tests.engine.programs import NOW_MS, PAIR, document, reader, record, ruleset

ONE, TWO = ("events", 1), ("events", 2)
CANDIDATE = Candidate(0, (0, 1))


@pytest.fixture
def rules():
    return SequenceRules(ruleset(PAIR).rules)


@pytest.fixture
def states(rules):
    return SequenceStates(rules.machines, SequenceLimits(lateness_ms=30_000), reader(rules))


def feed(states, rules, partition, *hosts):
    for offset, host in enumerate(hosts):
        event = document(host={"id": host})
        item = record(event, offset)
        for offer in rules.offers(Event(event), item, (CANDIDATE,), NOW_MS, pytest.fail):
            states.of(partition).offer(offer.scope, offer.arrival)


def test_what_is_given_up_is_given_back(states, rules):
    """Waiting events of a closed partition count no more; those of the other do."""
    feed(states, rules, ONE, "a", "b")
    feed(states, rules, TWO, "c")
    assert states.budget.waiting == 3
    states.close(ONE)
    states.close(ONE)
    assert states.budget.waiting == 1
    assert not states.holds(ONE)
    assert [partition for partition, _ in states.items()] == [TWO]


def test_restore_replaces_what_is_there(states, rules):
    """The snapshots count, not what a moment without them has made."""
    feed(states, rules, ONE, "a", "b")
    kept = {name: states.of(ONE).scope(name) for name in list(states.of(ONE).scopes())[:1]}
    states.restore(ONE, kept)
    assert set(states.of(ONE).scopes()) == set(kept)
    assert states.budget.waiting == 1


def test_state_is_unsettled_while_its_outputs_are_not_queued(states):
    """Also for two at once, and for ever when an exception ends it; until it is given up."""
    with states.moving(ONE):
        with states.moving(ONE):
            assert not states.is_settled()
        assert not states.is_settled()
    assert states.is_settled()
    with pytest.raises(LookupError), states.moving(ONE):
        raise LookupError
    assert not states.is_settled()
    states.close(ONE)
    assert states.is_settled()


def test_a_block_that_outlives_its_partition_settles_nothing_else(states):
    """Given up and taken over again in the meantime: the new state has moves of its own."""
    with states.moving(ONE):
        states.close(ONE)
        with pytest.raises(LookupError), states.moving(ONE):
            raise LookupError
    assert not states.is_settled()


def test_partition_that_begins_anew_forgets_its_scopes(states, rules):
    """Their snapshots have to go, too: every name counts as changed."""
    feed(states, rules, ONE, "a", "b")
    names = set(states.of(ONE).scopes())
    assert states.begin_anew(ONE) == 2
    assert not list(states.of(ONE).scopes())
    assert states.of(ONE).changed == names
    assert states.budget.waiting == 0


def test_changes_are_seen(states, rules):
    """Any partition's."""
    assert not states.has_changes()
    feed(states, rules, TWO, "a")
    assert states.has_changes()


def test_other_rules_are_adopted_by_every_partition(states, rules):
    """Those that are assigned later, too; and the same rules go on with what waits."""
    feed(states, rules, ONE, "a")
    changed = SequenceRules(ruleset(PAIR, PAIR.replace("1m", "2m")).rules)
    states.adopt(changed.machines, reader(changed))
    found = []
    for state in (states.of(ONE), states.of(TWO)):
        for offset, event in ((7, document()), (8, document(1, file={"name": "a.txt"}))):
            event["event"]["category"] = ["process", "file"]
            item = record(event, offset)
            candidates = (Candidate(0, (0, 1)), Candidate(1, (0, 1)))
            for offer in changed.offers(Event(event), item, candidates, NOW_MS, pytest.fail):
                found += state.offer(offer.scope, offer.arrival)
        found += state.advance(NOW_MS + 60_000)
    assert len(found) == 4


def test_a_machine_without_a_span_is_refused_as_a_whole(states, rules):
    """Before anything has changed."""
    feed(states, rules, ONE, "a")
    body = parse_query(PAIR.replace("with maxspan=1m", "")).body
    with pytest.raises(ValueError, match="no span"):
        states.adopt({"endless": SequenceMachine(body, CompileOptions())}, reader(rules))
    feed(states, rules, TWO, "b")
    assert states.budget.waiting == 2
