"""The detector: every record has one outcome, and no record or rule stops the others."""

from __future__ import annotations

import orjson
import pytest

from streamproc.engine.batch import RecordList
from streamproc.engine.sequence_budget import SequenceLimits
from tests.engine.programs import (
    NOW_MS,
    PAIR,
    PARTITION,
    SHELL,
    TOPIC,
    batch,
    detector,
    document,
    record,
    rule_id,
)

PLACE = (TOPIC, PARTITION)
FILE = {"event": {"category": ["file"], "id": "f"}, "file": {"name": "a.txt"}}
WHOLE = orjson.dumps(document())
DEEP = WHOLE[:-1] + b',"deep":' + b"[" * 2_000 + b"]" * 2_000 + b"}"


def headers(output):
    return {name: value.decode() for name, value in output.headers}


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        pytest.param(document(), "matched", None, id="match"),
        pytest.param(document(user={"name": "cmd.exe"}, process={}), "unmatched", None, id="none"),
        pytest.param(document(name="svchost.exe"), "filtered", None, id="prefilter"),
        pytest.param(None, "invalid", "empty", id="tombstone"),
        pytest.param(b"", "invalid", "empty", id="empty"),
        pytest.param(b" \n", "invalid", "empty", id="blank"),
        pytest.param([document()], "invalid", "not_object", id="array"),
        pytest.param(b'"cmd.exe"', "invalid", "not_object", id="text"),
        pytest.param(b"{'a': 1}", "filtered", None, id="no JSON and no candidate"),
        pytest.param(WHOLE[:-1] + b",}", "invalid", "json", id="no JSON"),
        pytest.param(WHOLE[:-1] + b',"a":"\xff"}', "invalid", "json", id="not UTF-8"),
        pytest.param(DEEP, "invalid", "json", id="2,000 levels"),
        pytest.param(b'{"a": "%s"}' % (b"x" * 20_000_000), "invalid", "too_large", id="20 MB"),
    ],
)
def test_every_record_has_one_outcome(value, outcome, reason):
    """Alone and between two others that match: its outcome is counted, theirs are not changed."""
    for values in ([value], [document(1), value, document(2)]):
        run, counters = detector(SHELL)
        found = run.process(batch(*values), NOW_MS)
        others = len(values) - 1
        expected = {"matched": others} if others else {}
        expected[outcome] = expected.get(outcome, 0) + 1
        assert dict(counters.outcomes) == expected
        assert len(found.alerts) == others + (outcome == "matched")
        assert [headers(letter)["reason"] for letter in found.dead_letters] == [reason] * bool(
            reason
        )
        assert (
            dict(counters.invalid) == dict(counters.dead_letters) == ({reason: 1} if reason else {})
        )


def test_counts_add_up():
    """Outcomes to the records, alerts to the matches, requests to their states."""
    run, counters = detector(SHELL, 'process where process.name : "CMD*"')
    values = [document(n, name) for n, name in enumerate(["cmd.exe", "a.exe", "cmdkey.exe"] * 50)]
    found = run.process(batch(*values, None), NOW_MS)
    assert sum(counters.outcomes.values()) == 151
    assert counters.rule_matches == {rule_id(0): 50, rule_id(1): 100}
    assert counters.alerts == {"high": 150}
    assert len(found.alerts) == 150
    assert sum(counters.context_requests.values()) == len(found.context_requests) > 0


def test_answers_do_not_depend_on_how_the_records_are_cut():
    """One batch of sixty, or sixty batches of one: the same outputs and counts."""
    values = [document(n, "cmd.exe" if n % 3 else "x.exe") | (FILE if n % 5 == 0 else {})
              for n in range(59)]  # fmt: skip
    answers = []
    for size in (60, 7, 1):
        run, counters = detector(SHELL, PAIR)
        found = []
        records = [
            record(value, n, NOW_MS - 90_000 + n) for n, value in enumerate([*values, b"[]"])
        ]
        for start in range(0, len(records), size):
            for outputs in run.process(RecordList(records[start : start + size]), NOW_MS):
                found.extend((output.key, output.headers) for output in outputs)
        found += [(o.key, o.headers) for o in run.finish(NOW_MS).alerts]
        answers.append((sorted(found, key=str), counters.outcomes, counters.rule_matches))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][2][rule_id(1)] > 0


def test_fault_of_ours_costs_one_record(monkeypatch):
    """An error for one of a hundred records: it goes to dead letters, the others are evaluated."""
    run, counters = detector(SHELL)
    evaluate = run._evaluate

    def fail_at_70(record, *rest):
        if record.offset == 70:
            raise MemoryError("injected")
        evaluate(record, *rest)

    monkeypatch.setattr(run, "_evaluate", fail_at_70)
    found = run.process(batch(*[document(n % 60) for n in range(100)]), NOW_MS)
    assert counters.outcomes == {"matched": 99, "failed": 1}
    assert len(found.alerts) == 99
    [letter] = found.dead_letters
    assert (letter.key, headers(letter)["reason"]) == (b"events:3:70", "failed")
    assert headers(letter)["error"] == "MemoryError: injected"


def test_a_rule_that_fails_stops_no_other_rule(monkeypatch):
    """Its error is counted by its id, the record goes to dead letters too, the alert is out."""
    run, counters = detector(SHELL, SHELL)

    def fail(event):
        raise ZeroDivisionError("injected")

    matchers = run._program.matchers
    monkeypatch.setattr(run._program, "matchers", (fail, matchers[1]))
    found = run.process(batch(document()), NOW_MS)
    assert counters.rule_errors == {(rule_id(0), "evaluation"): 1}
    assert counters.rule_matches == {rule_id(1): 1}
    assert counters.outcomes == {"failed": 1}
    assert len(found.alerts) == 1
    assert headers(found.dead_letters[0])["error"] == (
        f"rule {rule_id(0)}: ZeroDivisionError: injected"
    )


def test_a_sequence_rule_that_fails_stops_no_other_sequence(monkeypatch):
    """Of two equal sequence rules one fails at every event: the other finds its sequence."""
    run, counters = detector(PAIR, PAIR)

    def fail(event, queries):
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(run._program.sequences.rules[0].machine, "hits", fail)
    values = [document(0), document(1) | FILE, {"@timestamp": "2026-01-01T10:00:02Z"}]
    run.process(batch(*values), NOW_MS)
    found = run.finish(NOW_MS)
    assert counters.rule_errors == {(rule_id(0), "evaluation"): 1}  # no more than that is asked
    assert counters.rule_matches == {rule_id(1): 1}
    assert len(found.alerts) == 3  # two building blocks and a shell
    assert [letter.key for letter in found.dead_letters] == [b"events:3:1"]
    assert counters.outcomes == {"unmatched": 2, "filtered": 1}


def test_missing_fields_are_counted_and_evaluated():
    """Without host.id and with an unreadable time: counted, and matched at the record's time."""
    run, counters = detector(SHELL)
    bare = document() | {"@timestamp": "yesterday", "host": {"name": "only"}}
    found = run.process(batch(bare), NOW_MS)
    assert counters.incomplete == {"host.id": 1, "@timestamp": 1}
    assert counters.outcomes == {"matched": 1}
    alert = orjson.loads(found.alerts[0].value)
    assert alert["kibana.alert.original_time"] == "2027-01-15T07:59:00.000Z"


def test_event_without_host_takes_no_part_in_sequences_by_host():
    """Two steps without host.id are no sequence, whatever else they have."""
    run, counters = detector(PAIR)
    run.process(batch(document(0, host={}), document(1) | FILE | {"host": {}}), NOW_MS)
    run.finish(NOW_MS)
    assert not counters.rule_matches


@pytest.mark.parametrize(
    ("dataset", "matches"), [("endpoint.events.process", 1), ("system.auth", 0)]
)
def test_rules_look_at_the_events_of_their_indices(dataset, matches):
    """By data_stream: an event of another index is not for the rule, in singles and sequences."""
    run, counters = detector(SHELL, PAIR, more='index = ["logs-endpoint.events.*"]')
    stream = {"type": "logs", "dataset": dataset, "namespace": "default"}
    run.process(
        batch(document(0, data_stream=stream), document(1, data_stream=stream) | FILE), NOW_MS
    )
    run.finish(NOW_MS)
    assert dict(counters.rule_matches) == ({rule_id(0): 1, rule_id(1): 1} if matches else {})


def test_no_output_is_larger_than_its_topic_takes():
    """A huge event: alert, requests and dead letter stay below the limit."""
    run, _ = detector(SHELL, output_bytes_max=50_000, dead_letter_bytes_max=40_000)
    huge = document(process={"name": "cmd.exe", "command_line": "x" * 500_000})
    found = run.process(batch(huge, WHOLE[:-1] + b"," + b" " * 500_000 + b"}"), NOW_MS)
    assert len(found.alerts) == 1
    assert len(found.dead_letters) == 1
    for outputs in found:
        for output in outputs:
            size = len(output.key or b"") + len(output.value)
            size += sum(len(name) + len(value) for name, value in output.headers)
            assert size <= 50_000


def test_sequence_waits_for_the_lateness_and_then_comes_with_time():
    """Nothing at once; all of it when the clock of an idle partition has passed the lateness."""
    run, counters = detector(PAIR, limits=SequenceLimits(lateness_ms=30_000))
    found = run.process(batch(document(0), document(1) | FILE), NOW_MS)
    assert not found.alerts
    assert counters.sequence_waiting == 2
    assert not run.advance(PLACE, NOW_MS - 60_000 + 30_000, NOW_MS).alerts
    found = run.advance(PLACE, NOW_MS - 60_000 + 30_001, NOW_MS)
    assert counters.sequence_waiting == 0
    assert len(found.alerts) == 3
    assert len(found.context_requests) > 0
    assert counters.rule_matches == {rule_id(0): 1}


def test_sequences_survive_a_change_of_the_rules():
    """The other detector goes on where this one ends: with what waits, for rules that stay."""
    limits = SequenceLimits(lateness_ms=30_000)
    old, _ = detector(PAIR, limits=limits)
    old.process(batch(document(0)), NOW_MS)
    other = "sequence by host.id with maxspan=1m [file where true] [process where true]"
    new, counters = detector(PAIR, other, limits=limits)
    new.take_over(old)
    assert new.sequences is old.sequences
    new.process(RecordList([record(document(1) | FILE, 1)]), NOW_MS)
    found = new.advance(PLACE, NOW_MS, NOW_MS)
    assert len(found.alerts) == 3
    assert counters.rule_matches == {rule_id(0): 1}


def test_a_sequence_alert_that_fails_goes_to_dead_letters(monkeypatch):
    """The last event's record, with the rule's name; the next sequence comes out."""
    run, counters = detector(PAIR)
    write = run._alerts.write_sequence
    calls = []

    def fail_once(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("injected")
        return write(*arguments)

    monkeypatch.setattr(run._alerts, "write_sequence", fail_once)
    values = [document(0), document(1) | FILE, document(2), document(3) | FILE]
    found = run.process(batch(*values), NOW_MS)
    rest = run.finish(NOW_MS)
    assert counters.rule_errors == {(rule_id(0), "output"): 1}
    letters = found.dead_letters + rest.dead_letters
    assert [letter.key for letter in letters] == [b"events:3:1"]
    assert len(found.alerts) + len(rest.alerts) == 3


def test_a_rehearsal_counts_nothing_and_moves_no_sequence():
    """Its only effect is that the program has met the records."""
    run, counters = detector(SHELL, PAIR)
    events = batch(*(document(number, "cmd.exe") for number in range(3)))
    run.rehearsal()(events, NOW_MS)
    assert run._program._splits
    assert not counters.outcomes
    assert not list(run.sequences.items())
    assert len(run.process(events, NOW_MS).alerts) == 3
