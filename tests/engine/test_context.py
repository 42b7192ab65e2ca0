"""Context requests ask what the guide asks, filled in, at the event's time."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.alerts import Match
from streamproc.engine.context import DEFAULT_QUERIES, ContextWriter, Span, resolve
from streamproc.eql.event import Event
from streamproc.model import Record
from streamproc.ruleset import Investigation, Provider, rule_from_query
from streamproc.ruleset.datemath import iso_utc, time_ms

NOW = "2026-08-22T10:15:02.991Z"
NOW_MS = time_ms(NOW)
FULL = {
    "@timestamp": NOW,
    "host": {"id": "h1", "name": "EX01"},
    "user": {"id": "S-1-5-21-1", "name": "bob"},
    "process": {"entity_id": "e1", "pid": 44, "parent": {"entity_id": "p1", "args": ["a", "b"]}},
}
NO_ENTITY = {**FULL, "process": {"pid": 44}}
HOST = Provider("host.id", value="{{host.id}}")
ENTITY = Provider("process.entity_id", value="{{process.entity_id}}")
CHILD = Provider("process.parent.entity_id", value="{{process.entity_id}}")
PARENT = Provider("process.parent.entity_id", value="{{process.parent.entity_id}}")
FILE = Provider("event.category", value="file")


def ask(*groups, start="now-1h", end="now"):
    return Investigation("Label", "Words", tuple(tuple(group) for group in groups), start, end)


def answer(query, document=FULL, **options):
    return resolve(query, [Event(document)], Span(NOW_MS, NOW_MS), **options)


def clauses(answered):
    """Field and value of every match_phrase of a query of one group."""
    return [
        next(iter(clause["match_phrase"].items()))
        for clause in answered["query"]["bool"]["filter"]
        if "match_phrase" in clause
    ]


def test_a_request_has_every_field():
    """One record per query, keyed by alert and number."""
    block = {
        "label": "Alerts",
        "description": "",
        "providers": [[{"field": "host.id", "queryType": "phrase", "value": "{{host.id}}"}]],
        "relativeFrom": "now-48h/h",
        "relativeTo": "now",
    }
    note = "!{investigate" + orjson.dumps(block).decode() + "}"
    rule = rule_from_query("any where true", rule_id="r", name="R", severity="high", note=note)
    match = Match(rule, Event(FULL), Record(b"", "t", 0, 0, 0, []), 0)
    (request,) = ContextWriter().write(match, "abc")

    assert request.status == "resolved"
    assert request.output.key == b"abc:0"
    assert request.output.headers == [("host.id", b"h1"), ("rule.id", b"r"), ("severity", b"high")]
    assert orjson.loads(request.output.value) == {
        "id": "abc:0",
        "alert_id": "abc",
        "rule": {"id": "r", "name": "R", "version": 1},
        "host": {"id": "h1", "name": "EX01"},
        "label": "Alerts",
        "description": "",
        "status": "resolved",
        "missing": [],
        "from": "2026-08-20T10:00:00.000Z",
        "to": "2026-08-22T10:30:02.991Z",
        "relative_from": "now-48h/h",
        "relative_to": "now",
        "providers": [
            [
                {
                    "field": "host.id",
                    "queryType": "phrase",
                    "value": "h1",
                    "valueType": "string",
                    "excluded": False,
                }
            ]
        ],
        "query": {"bool": {"filter": [{"match_phrase": {"host.id": "h1"}}]}},
        "kql": 'host.id: "h1"',
    }


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("now-1h", "now", ("2026-08-22T09:15:02.991Z", "2026-08-22T10:30:02.991Z")),
        ("now", "now", ("2026-08-22T10:15:02.991Z", "2026-08-22T10:30:02.991Z")),
        ("now-1h/h", "now/h", ("2026-08-22T09:00:00.000Z", "2026-08-22T10:59:59.999Z")),
        ("now-2h", "now-1h", ("2026-08-22T08:15:02.991Z", "2026-08-22T09:15:02.991Z")),
        ("now-1h", "now+1h", ("2026-08-22T09:15:02.991Z", "2026-08-22T11:15:02.991Z")),
        (None, "now", (None, "2026-08-22T10:30:02.991Z")),
        (None, None, (None, None)),
        ("soon", "now-9999y", (None, None)),
    ],
)
def test_times_are_anchored_on_the_event(start, end, expected):
    """``now`` as an end reaches past the event; what is no time leaves the range open."""
    answered = answer(ask([HOST], start=start, end=end))

    assert (answered["from"], answered["to"]) == expected
    assert (answered["relative_from"], answered["relative_to"]) == (start, end)


def test_the_look_ahead_can_be_set():
    """In seconds, when the writer is made."""
    match = Match(rule_from_query("any where true"), Event(FULL), Record(b"", "t", 0, 0, 0, []), 0)
    requests = ContextWriter(look_ahead_s=60).write(match, "abc")

    assert orjson.loads(requests[0].output.value)["to"] == "2026-08-22T10:16:02.991Z"


def test_a_query_that_can_be_filled_is_resolved():
    """Every value in its place; the first of several; a pid stays a number in the query."""
    pid = Provider("process.parent.pid", value="{{ process.pid }}")
    args = Provider("process.args", value="{{process.parent.args}}")
    answered = answer(ask([FILE, HOST, pid, args]))

    assert (answered["status"], answered["missing"]) == ("resolved", [])
    assert clauses(answered) == [
        ("event.category", "file"),
        ("host.id", "h1"),
        ("process.parent.pid", 44),
        ("process.args", "a"),
    ]
    assert [shown["value"] for shown in answered["providers"][0]] == ["file", "h1", "44", "a"]


def test_without_an_entity_id_host_and_pid_stand_in():
    """Within five minutes of the event, and marked as partial."""
    answered = answer(ask([FILE, HOST, ENTITY]), NO_ENTITY)

    assert (answered["status"], answered["missing"]) == ("partial", ["process.entity_id"])
    assert clauses(answered) == [
        ("event.category", "file"),
        ("host.id", "h1"),
        ("process.pid", 44),
    ]
    assert answered["from"] == iso_utc(NOW_MS - 300_000)
    assert answered["to"] == iso_utc(NOW_MS + 300_000)
    assert answered["relative_from"] == "now-1h"
    assert answered["kql"] == 'event.category: "file" and host.id: "h1" and process.pid: 44'


def test_a_pid_is_never_asked_for_without_its_host():
    """The host is added where the query had none; children are found by their parent's pid."""
    answered = answer(ask([CHILD]), NO_ENTITY)

    assert clauses(answered) == [("host.id", "h1"), ("process.parent.pid", 44)]


def test_beside_other_groups_the_stand_in_has_a_range_of_its_own():
    """The others keep the whole time; the pid must not find a later process."""
    answered = answer(ask([HOST, ENTITY], [HOST, FILE]), NO_ENTITY)
    by_pid, other = answered["query"]["bool"]["should"]

    assert answered["from"] == "2026-08-22T09:15:02.991Z"
    assert by_pid["bool"]["filter"][-1] == {
        "range": {
            "@timestamp": {"gte": iso_utc(NOW_MS - 300_000), "lte": iso_utc(NOW_MS + 300_000)}
        }
    }
    assert len(other["bool"]["filter"]) == 2
    assert '@timestamp >= "2026-08-22T10:10:02.991Z"' in answered["kql"]


@pytest.mark.parametrize(
    ("query", "document", "missing"),
    [
        (ask([HOST]), {}, ["host.id"]),
        (ask([HOST]), {"host.id": "  "}, ["host.id"]),
        (ask([HOST]), {"host": {"id": []}}, ["host.id"]),
        (ask([HOST]), {"host": {"id": "x" * 40_000}}, ["host.id"]),
        (ask([HOST, ENTITY]), {"host.id": "h"}, ["process.entity_id"]),
        (ask([ENTITY]), {"process.pid": 5}, ["process.entity_id"]),
        (ask([HOST, PARENT]), NO_ENTITY, ["process.parent.entity_id"]),
        (ask([ENTITY, PARENT]), NO_ENTITY, ["process.entity_id", "process.parent.entity_id"]),
        (ask([Provider("a", value="{{}}")]), FULL, [""]),
        (ask([Provider("a", value="{{host.id")]), FULL, ["{{host.id"]),
        (ask([Provider("a", value="{{host.id}} {{b}}")]), FULL, ["b"]),
        (ask([Provider("a", "phrase", " ")]), FULL, []),
        (ask([Provider("a", "range", "x")]), FULL, []),
    ],
)
def test_what_cannot_be_filled_has_no_query(query, document, missing):
    """An empty match would fetch everything."""
    answered = answer(query, document)

    assert answered["status"] == "unresolvable"
    assert answered["missing"] == missing
    assert answered["query"] is answered["kql"] is None
    assert answered["providers"] == []


def test_a_group_that_cannot_be_filled_leaves_the_others():
    """What is left is partial."""
    answered = answer(ask([HOST, PARENT], [HOST]), NO_ENTITY)

    assert answered["status"] == "partial"
    assert answered["missing"] == ["process.parent.entity_id"]
    assert answered["kql"] == 'host.id: "h1"'


def test_values_cannot_break_out_of_a_list():
    """A placeholder inside JSON is filled after the JSON is read."""
    query = ask([Provider("user.name", "phrases", '["{{user.name}}", "root"]')])
    answered = answer(query, {"user": {"name": '", "*'}})

    assert answered["kql"] == 'user.name: ("\\", \\"*" or "root")'
    assert answered["providers"][0][0]["value"] == '["\\", \\"*","root"]'


def test_excluded_and_ranged_providers_are_kept():
    """A negated condition stays negated; bounds may be filled."""
    query = ask(
        [HOST, Provider("process.pid", "range", '{"gt": "{{process.pid}}"}', is_excluded=True)]
    )
    answered = answer(query)

    assert answered["kql"] == 'host.id: "h1" and not process.pid > 44'
    assert answered["providers"][0][1]["excluded"] is True


SYSMON = {"event": {"module": "sysmon"}}


@pytest.mark.parametrize(
    ("marks", "user", "status"),
    [
        (SYSMON, {"id": "S-1-5-18", "name": "vagrant"}, "unresolvable"),
        (SYSMON, {"id": "S-1-5-18"}, "resolved"),  # nothing contradicts it
        (SYSMON, {"id": "S-1-5-18", "name": "Système"}, "resolved"),
        (SYSMON, {"id": "S-1-5-18", "name": "SYSTEM"}, "resolved"),
        (SYSMON, {"id": "S-1-5-21-1", "name": "vagrant"}, "resolved"),
        ({}, {"id": "S-1-5-18", "name": "vagrant"}, "resolved"),
        (
            {"data_stream.dataset": "windows.sysmon_operational"},
            {"id": "S-1-5-18", "name": "x"},
            "unresolvable",
        ),
        (
            {"winlog": {"channel": "Microsoft-Windows-Sysmon/Operational"}},
            {"id": "S-1-5-18", "name": "x"},
            "unresolvable",
        ),
    ],
)
def test_sysmons_own_account_is_not_taken_for_the_user(marks, user, status):
    """``user.id`` of a Sysmon event is the service's: it would bring every host's alerts."""
    query = ask([Provider("user.id", value="{{user.id}}")])
    answered = answer(query, {**marks, "user": user})

    assert answered["status"] == status
    assert answered["missing"] == ([] if status == "resolved" else ["user.id"])


def test_rules_without_queries_get_the_default_set():
    """Process and children, same parent, host's alerts, user's alerts; or none, if so set."""
    match = Match(rule_from_query("any where true"), Event(FULL), Record(b"", "t", 0, 0, 0, []), 0)
    requests = [orjson.loads(found.output.value) for found in ContextWriter().write(match, "abc")]

    assert [request["id"] for request in requests] == [f"abc:{n}" for n in range(4)]
    assert [request["kql"] for request in requests] == [
        '(host.id: "h1" and process.entity_id: "e1")'
        ' or (host.id: "h1" and process.parent.entity_id: "e1")',
        'event.category: "process" and host.id: "h1" and process.parent.entity_id: "p1"',
        'event.kind: "signal" and host.id: "h1"',
        'event.kind: "signal" and user.id: "S-1-5-21-1"',
    ]
    assert ContextWriter(use_defaults=False).write(match, "abc") == []


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["host.id", "user.id", "process.entity_id", "process.pid", "event.module"]),
        st.sampled_from(["x", "", "{{x}}", 5, "S-1-5-18", None]),
    )
)
def test_no_template_is_ever_left_in_a_query(document):
    """Nor is there a query without a condition; the status says which it is."""
    for query in DEFAULT_QUERIES:
        answered = answer(query, document)
        left = {value for value in document.values() if isinstance(value, str) and "{{" in value}
        text = orjson.dumps([answered["query"], answered["providers"]]).decode()
        for value in left:
            text = text.replace(value, "")

        assert "{{" not in text
        assert (answered["query"] is None) == (answered["status"] == "unresolvable")
        assert (answered["kql"] is None) == (answered["query"] is None)
        assert bool(answered["missing"]) == (answered["status"] != "resolved")
        assert all(group for group in answered["providers"])


def test_a_request_that_is_too_long_keeps_all_but_its_query():
    """A query cut short would be another query; the fields that make it long are named."""
    rule = rule_from_query("any where true", rule_id="r", name="R", severity="high")
    document = {**FULL, "process": {**FULL["process"], "entity_id": "e" * 30_000}}
    match = Match(rule, Event(document), Record(b"", "t", 0, 0, 0, []), 0)
    requests = ContextWriter(bytes_max=20_000).write(match, "abc")
    bodies = [orjson.loads(request.output.value) for request in requests]
    long = [body for body in bodies if "process.entity_id" in body["missing"]]

    assert all(len(request.output.value) <= 20_000 for request in requests)
    assert [body["status"] for body in long] == ["unresolvable"]
    assert [(body["query"], body["kql"], body["providers"]) for body in long] == [(None, None, [])]
    assert {request.status for request in requests} == {"resolved", "unresolvable"}
