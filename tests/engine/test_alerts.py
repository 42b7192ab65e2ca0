"""An alert is the document that Elastic Security would have written."""

import copy
import uuid

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.alerts import AlertWriter, Match, event_time_ms, rule_uuid
from streamproc.engine.source_fields import leaves, raw_values
from streamproc.eql.event import Event
from streamproc.model import Record
from streamproc.ruleset import rule_from_query
from streamproc.ruleset.datemath import time_ms

DETECTED_AT_MS = 1_787_393_703_120
THREAT = [
    {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": "TA0003", "name": "Persistence", "reference": "https://a/TA0003/"},
        "technique": [
            {
                "id": "T1505",
                "name": "Server Software Component",
                "reference": "https://a/T1505/",
                "subtechnique": [
                    {"id": "T1505.003", "name": "Web Shell", "reference": "https://a/T1505/003/"}
                ],
            }
        ],
    },
    {"framework": "MITRE ATT&CK", "tactic": {"id": "TA0002", "name": "Execution"}},
]
RULE = rule_from_query(
    "process where true",
    rule_id="rule-1",
    name="A rule",
    severity="high",
    risk_score=73,
    version=316,
    threat=THREAT,
    index=["logs-*"],
    tags=["T"],
    note="## Guide",
    author=["Elastic"],
    references=["https://r"],
)
SOURCE = {
    "@timestamp": "2026-08-22T10:15:02.991Z",
    "ecs": {"version": "8.11.0"},
    "event": {
        "kind": "event",
        "category": ["process"],
        "type": ["start"],
        "id": "E1",
        "severity": 3,
    },
    "data_stream": {"type": "logs", "dataset": "endpoint.events.process", "namespace": "default"},
    "host": {"id": "h1", "name": "EX01"},
    "process": {"name": "cmd.exe", "pid": 44, "parent": {"name": "w3wp.exe"}},
    "winlog": {"anything": [{"a": 1}, {"a": 2}]},
}
RECORD = Record(b"{}", "streamproc.events", 7, 48213, 1_787_393_000_000, [])


def write(document, rule=RULE, record=RECORD, **options):
    """The alert of a match, and its document read back."""
    writer = AlertWriter("digest", **options)
    alert = writer.write(Match(rule, Event(document), record, DETECTED_AT_MS))
    return alert, orjson.loads(alert.output.value)


def test_the_source_stays_as_it_came():
    """Nested objects, arrays and fields outside ECS; the document itself is not changed."""
    before = copy.deepcopy(SOURCE)
    _, document = write(SOURCE)

    assert before == SOURCE
    for key in ("ecs", "data_stream", "host", "process", "winlog"):
        assert document[key] == SOURCE[key]
    assert document["event"] == {"category": ["process"], "type": ["start"], "id": "E1"}


def test_the_alert_fields_are_flat_and_whole():
    """What an alert of Elastic Security always has, as dotted keys at the top level."""
    alert, document = write(SOURCE)

    expected = {
        "@timestamp": "2026-08-22T10:15:03.120Z",
        "event.kind": "signal",
        "event.severity": 73,
        "event.risk_score": 73,
        "kibana.space_ids": ["default"],
        "kibana.alert.uuid": alert.alert_id,
        "kibana.alert.instance.id": alert.alert_id,
        "kibana.alert.original_time": "2026-08-22T10:15:02.991Z",
        "kibana.alert.original_event.kind": "event",
        "kibana.alert.original_event.category": ["process"],
        "kibana.alert.original_event.id": "E1",
        "kibana.alert.original_event.severity": 3,
        "kibana.alert.original_data_stream.dataset": "endpoint.events.process",
        "kibana.alert.ancestors": [
            {
                "id": "E1",
                "type": "event",
                "index": "logs-endpoint.events.process-default",
                "depth": 0,
            }
        ],
        "kibana.alert.depth": 1,
        "kibana.alert.status": "active",
        "kibana.alert.workflow_status": "open",
        "kibana.alert.workflow_tags": [],
        "kibana.alert.workflow_assignee_ids": [],
        "kibana.alert.severity": "high",
        "kibana.alert.risk_score": 73,
        "kibana.alert.reason": "process event with process cmd.exe, parent process w3wp.exe, "
        "on EX01 created high alert A rule.",
        "kibana.alert.intended_timestamp": "2026-08-22T10:15:03.120Z",
        "kibana.alert.rule.consumer": "siem",
        "kibana.alert.rule.producer": "siem",
        "kibana.alert.rule.category": "Event Correlation Rule",
        "kibana.alert.rule.rule_type_id": "siem.eqlRule",
        "kibana.alert.rule.execution.type": "scheduled",
        "kibana.alert.rule.rule_id": "rule-1",
        "kibana.alert.rule.uuid": rule_uuid(RULE),
        "kibana.alert.rule.name": "A rule",
        "kibana.alert.rule.type": "eql",
        "kibana.alert.rule.version": 316,
        "kibana.alert.rule.severity": "high",
        "kibana.alert.rule.risk_score": 73,
        "kibana.alert.rule.indices": ["logs-*"],
        "kibana.alert.rule.tags": ["T"],
        "kibana.alert.rule.note": "## Guide",
        "kibana.alert.rule.exceptions_list": [],
        "rule.id": "rule-1",
        "rule.name": "A rule",
        "rule.version": "316",
        "rule.uuid": rule_uuid(RULE),
        "threat.framework": "MITRE ATT&CK",
        "threat.tactic.id": ["TA0003", "TA0002"],
        "threat.tactic.name": ["Persistence", "Execution"],
        "threat.technique.id": ["T1505"],
        "threat.technique.subtechnique.id": ["T1505.003"],
        "streamproc.ruleset.digest": "digest",
        "streamproc.record.topic": "streamproc.events",
        "streamproc.record.partition": 7,
        "streamproc.record.offset": 48213,
    }
    assert {key: document.get(key) for key in expected} == expected
    assert document["kibana.alert.rule.threat"] == [THREAT[0], {**THREAT[1], "technique": []}]
    parameters = document["kibana.alert.rule.parameters"]
    assert parameters["query"] == "process where true"
    assert (parameters["language"], parameters["max_signals"]) == ("eql", 100)


def test_the_execution_is_the_rule_under_one_rule_set():
    """Redelivery repeats it, so it is no time; another rule or another rule set has its own."""

    def execution(digest, rule):
        match = Match(rule, Event(SOURCE), RECORD, DETECTED_AT_MS)
        document = orjson.loads(AlertWriter(digest).write(match).output.value)
        return document["kibana.alert.rule.execution.uuid"]

    other = rule_from_query("process where true", rule_id="rule-2")
    first = execution("digest", RULE)
    assert str(uuid.UUID(first)) == first == execution("digest", RULE)
    assert len({first, execution("digest", other), execution("other", RULE)}) == 3


def test_the_record_carries_id_and_headers():
    """Key: the alert id; host, rule and severity in headers, the host empty if unknown."""
    alert, _ = write(SOURCE)
    unknown, _ = write({"event": {"id": "E1"}})

    assert alert.output.key == alert.alert_id.encode()
    assert alert.output.headers == [
        ("host.id", b"h1"),
        ("rule.id", b"rule-1"),
        ("severity", b"high"),
    ]
    assert unknown.output.headers[0] == ("host.id", b"")


def test_the_id_is_repeated_on_redelivery_and_differs_by_rule():
    """Neither the time of detection nor the record's place nor the rule's version matters."""
    again = RECORD._replace(offset=9, timestamp_ms=1)
    newer = rule_from_query("any where true", rule_id="rule-1", version=317)
    other = rule_from_query("any where true", rule_id="rule-2")

    first = write(SOURCE)[0].alert_id
    assert first == write(SOURCE, record=again)[0].alert_id == write(SOURCE, newer)[0].alert_id
    assert first != write(SOURCE, other)[0].alert_id


@pytest.mark.parametrize(
    "event",
    [
        {"event": {"kind": "event", "category": "process"}},
        {"event.kind": "event", "event.category": "process"},
        {"event": {"kind": "event"}, "event.kind": "event", "event.category": "process"},
        {"event": [{"kind": "event"}, {"category": "process"}]},
        {"event": {"kind": "event"}},
    ],
)
def test_event_kind_stands_once(event):
    """Whatever form it had, and whatever else the event holds."""
    _, document = write(event)

    assert raw_values(document, "event.kind") == ["signal"]
    assert document["event.kind"] == "signal"
    assert document["kibana.alert.original_event.kind"] in ("event", ["event", "event"], ["event"])
    assert document.get("event") != {}


def test_rule_and_threat_of_the_source_give_way_and_are_kept():
    """An alert's rule is the one that made it; the sensor's own is moved aside."""
    source = {
        "rule": {"name": "ET SCAN", "category": "scan"},
        "threat": {"tactic": {"id": "TA0043"}, "indicator": {"ip": "10.0.0.1"}},
        "event.severity": 2,
        "rule.author": "them",
    }
    _, document = write(source)

    assert raw_values(document, "rule.name") == ["A rule"]
    assert document["streamproc.original.rule.name"] == "ET SCAN"
    assert document["streamproc.original.rule.category"] == "scan"
    assert document["streamproc.original.rule.author"] == "them"
    assert raw_values(document, "rule.author") == [["Elastic"]]
    assert raw_values(document, "threat.tactic.id") == [["TA0003", "TA0002"]]
    assert document["streamproc.original.threat.tactic.id"] == "TA0043"
    assert document["threat"] == {"indicator": {"ip": "10.0.0.1"}}
    assert raw_values(document, "event.severity") == [73]
    assert document["kibana.alert.original_event.severity"] == 2


def test_an_alert_on_an_alert_keeps_the_line_of_descent():
    """Its ancestors come first, then itself as a signal; nothing else of its alert fields stays."""
    _, parent = write(SOURCE)
    other = rule_from_query("any where true", rule_id="rule-2")
    _, child = write(parent, other)

    assert [item["type"] for item in child["kibana.alert.ancestors"]] == ["event", "signal"]
    assert child["kibana.alert.ancestors"][1] == {
        "id": parent["kibana.alert.uuid"],
        "type": "signal",
        "index": "logs-endpoint.events.process-default",
        "depth": 1,
        "rule": rule_uuid(RULE),
    }
    assert child["kibana.alert.depth"] == 2
    assert child["kibana.alert.rule.rule_id"] == "rule-2"
    assert child["kibana.alert.original_event.kind"] == "signal"
    assert child["process"] == SOURCE["process"]


def test_a_rule_never_alerts_on_its_own_alerts():
    """Nor on an alert that was made of one: it would never end."""
    _, parent = write(SOURCE)
    _, child = write(parent, rule_from_query("any where true", rule_id="rule-2"))
    nested = {
        "event": {"kind": "signal"},
        "kibana": {"alert": {"depth": 1, "rule": {"uuid": rule_uuid(RULE)}}},
    }
    writer = AlertWriter("digest")

    for document in (parent, child, nested):
        assert writer.write(Match(RULE, Event(document), RECORD, DETECTED_AT_MS)) is None


@pytest.mark.parametrize(
    ("stamp", "original_time"),
    [
        ("2026-08-22T12:15:02.991+02:00", "2026-08-22T12:15:02.991+02:00"),
        (1_787_393_702_991, "2026-08-22T10:15:02.991Z"),
        ("yesterday", "2026-08-22T10:03:20.000Z"),
        (None, "2026-08-22T10:03:20.000Z"),
    ],
)
def test_the_original_time_is_the_events_or_the_records(stamp, original_time):
    """A text stays as it came; what is no time gives way to the record's."""
    _, document = write({"@timestamp": stamp})

    assert document["kibana.alert.original_time"] == original_time
    assert document["@timestamp"] == "2026-08-22T10:15:03.120Z"


def test_an_event_without_an_id_has_its_record_for_an_ancestor():
    """By the raw record's place."""
    _, document = write({"host.id": "h"})

    assert document["kibana.alert.ancestors"] == [
        {
            "id": "streamproc.events:7:48213",
            "type": "event",
            "index": "kafka:streamproc.events:7:48213",
            "depth": 0,
        }
    ]


def test_values_that_no_index_takes_are_named():
    """So that an analyst knows that something was there."""
    _, document = write({"process": "x", "source.ip": "nowhere"})

    assert "process" not in document
    assert document["streamproc.dropped_fields"] == ["process", "source.ip"]


def test_the_whole_record_keeps_to_the_limit():
    """Key, headers and framing count."""
    source = {**SOURCE, "message": "m" * 50_000, "host.id": "h" * 5_000}
    alert, document = write(source, bytes_max=12_000)
    headers = sum(len(name) + len(value) for name, value in alert.output.headers)

    assert len(alert.output.key) + len(alert.output.value) + headers <= 12_000
    assert document["streamproc.truncated"] is True
    assert document["kibana.alert.uuid"] == alert.alert_id


def test_a_building_block_rule_marks_its_alerts():
    """Such alerts are hidden from the default view."""
    rule = rule_from_query("any where true", building_block_type="default")
    _, document = write(SOURCE, rule)

    assert document["kibana.alert.building_block_type"] == "default"


def test_event_time_falls_back_to_the_records_time():
    """Counted elsewhere; the anchor of context requests must be some time."""
    assert event_time_ms(RULE, Event(SOURCE), RECORD) == 1_787_393_702_991
    assert event_time_ms(RULE, Event({}), RECORD) == RECORD.timestamp_ms


WORDS = st.sampled_from(["event", "kind", "rule", "id", "name", "threat", "tactic", "kibana", "x"])
PATHS = st.lists(WORDS, min_size=1, max_size=3).map(".".join)
DOCUMENTS = st.dictionaries(
    PATHS,
    st.recursive(
        st.sampled_from(["v", 1, True]),
        lambda inner: st.dictionaries(PATHS, inner, min_size=1, max_size=3),
        max_leaves=6,
    ),
    max_size=6,
)


@settings(deadline=None)
@given(DOCUMENTS)
def test_no_path_stands_in_an_alert_twice(source):
    """Whatever forms the source has for the fields that the alert sets."""
    _, document = write(source)
    _own = {key: document.pop(key) for key in list(document) if key.startswith("kibana.")}
    paths = [path for path, _ in leaves(document)]

    assert len(paths) == len(set(paths))
    assert not [path for path in paths if any(other.startswith(f"{path}.") for other in paths)]
    assert raw_values(document, "event.kind") == ["signal"]


def test_a_stray_field_of_an_alert_is_no_way_around_a_rule():
    """An event that does not call itself a signal is an event, whatever else it claims."""
    forged = {"event": {"kind": "event"}, "kibana.alert.rule.uuid": rule_uuid(RULE)}

    assert AlertWriter("d").write(Match(RULE, Event(forged), RECORD, DETECTED_AT_MS)) is not None


def test_the_rules_own_timestamp_field_is_the_events_time():
    """Then ``@timestamp``, then the record's time; a value that is no time counts as missing."""
    rule = rule_from_query(
        "any where true", rule_id="r", name="R", severity="low", timestamp_field="event.ingested"
    )
    ingested, stamp = "2026-08-22T10:15:04.000Z", "2026-08-22T10:15:02.000Z"
    documents = (
        ({"event.ingested": ingested, "@timestamp": stamp}, time_ms(ingested)),
        ({"event.ingested": "soon", "@timestamp": stamp}, time_ms(stamp)),
        ({}, RECORD.timestamp_ms),
    )

    for document, expected in documents:
        assert event_time_ms(rule, Event(document), RECORD) == expected
