"""Sequence rules: to which scope and time an event belongs."""

from __future__ import annotations

import pytest

from streamproc.engine.program import record_clauses
from streamproc.engine.sequence_rules import SPAN_DEFAULT_MS, Candidate, SequenceRules
from streamproc.eql.event import Event
from streamproc.eql.sequence import NS_PER_MS
from tests.engine.programs import NOW_MS, PAIR, document, record, ruleset

BY_USER = """sequence by user.id with maxspan=1m
  [process where process.name == "cmd.exe"] [file where true]"""
NO_SPAN = "sequence by host.id [process where true] [file where true]"


def offers(rules, event, at_ms=NOW_MS - 1_000, wall_ms=NOW_MS, positions=None):
    errors = []
    found = rules.offers(
        Event(event),
        record(event, 7, at_ms),
        tuple(
            Candidate(position, tuple(range(len(rules.rules[position].queries))))
            for position in (range(len(rules.rules)) if positions is None else positions)
        ),
        wall_ms,
        lambda rule, error: errors.append((rule.rule_id, error)),
    )
    return list(found), errors


def test_rules_by_host_share_the_clock_of_the_host():
    """One offer for two rules that are joined by host; each other rule has a scope of its own."""
    rules = SequenceRules(ruleset(PAIR, PAIR, BY_USER, BY_USER).rules)
    found, errors = offers(rules, document(user={"id": "u"}))
    assert not errors
    assert [len(offer.arrival.prospects) for offer in found] == [2, 1, 1]
    assert len({offer.scope for offer in found}) == 3
    assert "host h1" in found[0].scope


def test_hosts_have_scopes_of_their_own():
    """Two hosts, two clocks."""
    rules = SequenceRules(ruleset(PAIR).rules)
    scopes = {offers(rules, document(host={"id": h}))[0][0].scope for h in ("a", "b")}
    assert len(scopes) == 2


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"host": {}}, 0),
        ({"host": {"id": None}}, 0),
        ({"@timestamp": "yesterday"}, 0),
        ({"process": {"name": "other.exe"}}, 1),  # the rule is asked when it is its turn
        ({}, 1),
    ],
)
def test_what_takes_no_part(change, count):
    """No host, or no readable time."""
    rules = SequenceRules(ruleset(PAIR).rules)
    assert len(offers(rules, document() | change)[0]) == count


@pytest.mark.parametrize(
    ("at_ms", "wall_ms", "broker_ms"),
    [
        (NOW_MS - 5, NOW_MS, NOW_MS - 5),
        (NOW_MS + 5, NOW_MS, NOW_MS),  # a producer's clock that runs ahead
        (0, NOW_MS, NOW_MS),  # a record without a time
        (NOW_MS - 5, None, 1_767_261_600_000),  # a file: the event's own time
    ],
)
def test_broker_time_never_passes_the_wall_clock(at_ms, wall_ms, broker_ms):
    """The event's own time where there is no broker."""
    rules = SequenceRules(ruleset(PAIR).rules)
    [offer] = offers(rules, document(), at_ms, wall_ms)[0]
    assert offer.arrival.broker_ms == broker_ms
    assert offer.arrival.timestamp_ns == 1_767_261_600_000 * NS_PER_MS
    assert offer.arrival.offset == 7


def test_only_the_candidate_rules_are_asked():
    """Positions that the prefilter left out cost nothing and offer nothing."""
    rules = SequenceRules(ruleset(PAIR, PAIR).rules)
    [offer] = offers(rules, document(), positions=[1])[0]
    assert offer.arrival.prospects == ((rules.rules[1].name, (0, 1)),)
    assert offer.arrival.hits == {}


def test_rule_without_a_span_gets_the_default():
    """Twenty-four hours, or what the settings say; the name of its state changes with it."""
    loaded = ruleset(NO_SPAN).rules
    usual, short = SequenceRules(loaded), SequenceRules(loaded, 5_000)
    assert usual.rules[0].machine.maxspan_ns == SPAN_DEFAULT_MS * NS_PER_MS
    assert short.rules[0].machine.maxspan_ns == 5_000 * NS_PER_MS
    assert usual.rules[0].name != short.rules[0].name


def test_name_changes_with_the_query_alone():
    """A rule whose query changed starts anew; another name or severity keeps its state."""
    first = SequenceRules(ruleset(PAIR).rules).rules[0].name
    assert SequenceRules(ruleset(PAIR, severity="low").rules).rules[0].name == first
    assert SequenceRules(ruleset(PAIR.replace("a.txt", "b.txt")).rules).rules[0].name != first


def test_single_event_rules_are_refused():
    """The program sorts them out before."""
    with pytest.raises(TypeError, match="not a sequence"):
        SequenceRules(ruleset("process where true").rules)


def test_only_the_queries_that_the_prefilter_names_are_asked():
    """The event is the second step of PAIR, which counts only where it may be."""
    rules = SequenceRules(ruleset(PAIR).rules)
    event = Event({**document(), "event": {"category": "process"}})
    everything = rules.rules[0].machine.hits(event)
    places = [rules.rules[0].machine.hits(event, (query,)) for query in range(2)]
    assert everything == places[0] + places[1] != ()
    assert () in places


def test_an_event_without_a_join_field_is_no_candidate():
    """Unless the field is optional; a value of null is one for the decoder to find."""
    query = """sequence by host.id with maxspan=1m
      [process where true] by container.id
      [file where true] by ?container.id until [network where true] by container.id"""
    rules = SequenceRules(ruleset(query).rules)
    needed = [
        {name for clause in record_clauses(rules.rules[0].rule, step) for name in clause.fields}
        for step in rules.rules[0].queries
    ]
    assert ["container.id" in names for names in needed] == [True, False, True]
