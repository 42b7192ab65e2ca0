"""The alerts of a sequence: a building block for each event, a shell, and requests once."""

import copy

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.alerts import AlertWriter, Match, rule_uuid
from streamproc.engine.context import ContextWriter
from streamproc.engine.source_fields import leaves, raw_values
from streamproc.eql.event import Event
from streamproc.model import Record
from streamproc.ruleset import rule_from_query

DETECTED_AT_MS = 1_787_393_703_120
QUERY = "sequence by host.id with maxspan=1m [process where true] [network where true]"
RULE = rule_from_query(QUERY, rule_id="rule-1", name="A rule", severity="high", risk_score=73)
PROCESS = {
    "@timestamp": "2026-08-22T10:15:02.991Z",
    "event": {"kind": "event", "category": ["process"], "type": ["start", "info"], "id": "E1"},
    "data_stream": {"type": "logs", "dataset": "endpoint.events.process", "namespace": "default"},
    "host": {"id": "h1", "name": "EX01", "ip": ["10.0.0.1", "10.0.0.2"]},
    "process": {"name": "cmd.exe", "pid": 44, "entity_id": "e1", "command_line": "cmd /c x"},
    "rule": {"name": "vendor's", "id": "7"},
}
NETWORK = {
    "@timestamp": "2026-08-22T10:15:32.991Z",
    "event": {"kind": "event", "category": ["network"], "type": "start", "id": "E2"},
    "data_stream": {"type": "logs", "dataset": "endpoint.events.network", "namespace": "default"},
    "host.id": "h1",
    "host": {"name": "EX01", "ip": ["10.0.0.2", "10.0.0.3"]},
    "process": {"name": "cmd.exe", "pid": 44, "entity_id": "e1"},
    "destination": {"ip": "1.2.3.4", "port": 443},
    "rule": {"name": "vendor's", "id": "8"},
}
KEY = ("h1",)


def record(offset, timestamp_ms=1_787_393_000_000):
    return Record(b"{}", "streamproc.events", 7, offset, timestamp_ms, [])


def steps_of(*documents):
    return [(Event(document), record(offset)) for offset, document in enumerate(documents)]


def write(*documents, rule=RULE, key=KEY, bytes_max=None):
    """The sequence alert of some events, and its documents read back."""
    writer = AlertWriter("digest", bytes_max=bytes_max)
    alert = writer.write_sequence(rule, steps_of(*documents), key, DETECTED_AT_MS)
    return alert, [orjson.loads(output.value) for output in alert.outputs]


def ids(alert):
    return [output.key.decode() for output in alert.outputs]


def test_blocks_are_alerts_of_one_event_with_a_group():
    """Each is what a rule of one event would have written, but for its id and the group."""
    before = copy.deepcopy([PROCESS, NETWORK])
    alert, (*blocks, shell) = write(PROCESS, NETWORK)

    assert before == [PROCESS, NETWORK]
    for index, (event, source) in enumerate(steps_of(PROCESS, NETWORK)):
        single = AlertWriter("digest").write(Match(RULE, event, source, DETECTED_AT_MS))
        expected = orjson.loads(single.output.value) | {
            "kibana.alert.uuid": ids(alert)[index],
            "kibana.alert.instance.id": ids(alert)[index],
            "kibana.alert.building_block_type": "default",
            "kibana.alert.group.id": alert.alert_id,
            "kibana.alert.group.index": index,
        }
        assert blocks[index] == expected
        assert alert.outputs[index].headers == single.output.headers
    assert len(blocks) == 2
    assert shell["kibana.alert.uuid"] == alert.alert_id == ids(alert)[-1]


def test_the_shell_holds_what_the_events_have_in_common():
    """Nested and dotted keys are one field; arrays are intersected; nothing else is there."""
    _, (*_, shell) = write(PROCESS, NETWORK)

    source = {
        key: value
        for key, value in shell.items()
        if not key.startswith(("kibana.", "streamproc.", "rule.", "event."))
    }
    assert source == {
        "@timestamp": "2026-08-22T10:15:03.120Z",
        "event": {"type": ["start"]},
        "data_stream": {"type": "logs", "namespace": "default"},
        "host": {"id": "h1", "name": "EX01", "ip": ["10.0.0.2"]},
        "process": {"name": "cmd.exe", "pid": 44, "entity_id": "e1"},
    }
    originals = {key: shell[key] for key in shell if "original" in key}
    assert originals == {
        "kibana.alert.original_time": "2026-08-22T10:15:32.991Z",
        "kibana.alert.original_event.kind": "event",
        "kibana.alert.original_event.type": ["start"],
        "kibana.alert.original_data_stream.type": "logs",
        "kibana.alert.original_data_stream.namespace": "default",
        "streamproc.original.rule.name": "vendor's",
    }
    assert shell["streamproc.record.partition"] == 7
    assert "streamproc.record.offset" not in shell


def test_the_shell_s_alert_fields():
    """Ancestors: every event followed by its block, as in Elastic's own documents."""
    alert, (*_, shell) = write(PROCESS, NETWORK)

    def pair(event_id, dataset, index):
        name = f"logs-{dataset}-default"
        block = ids(alert)[index]
        return [
            {"id": event_id, "type": "event", "index": name, "depth": 0},
            {"id": block, "type": "signal", "index": "", "depth": 1, "rule": rule_uuid(RULE)},
        ]

    expected = {
        "kibana.alert.uuid": alert.alert_id,
        "kibana.alert.instance.id": alert.alert_id,
        "kibana.alert.group.id": alert.alert_id,
        "kibana.alert.depth": 2,
        "kibana.alert.ancestors": pair("E1", "endpoint.events.process", 0)
        + pair("E2", "endpoint.events.network", 1),
        "kibana.alert.severity": "high",
        "kibana.alert.risk_score": 73,
        "kibana.alert.status": "active",
        "kibana.alert.workflow_tags": [],
        "kibana.space_ids": ["default"],
        "kibana.alert.rule.rule_id": "rule-1",
        "event.kind": "signal",
        # The events' categories differ, so the reason names none.
        "kibana.alert.reason": "event with process cmd.exe, on EX01 created high alert A rule.",
    }
    assert {path: shell.get(path) for path in expected} == expected
    assert "kibana.alert.group.index" not in shell
    assert "kibana.alert.building_block_type" not in shell
    assert alert.outputs[-1].headers == [
        ("host.id", b"h1"),
        ("rule.id", b"rule-1"),
        ("severity", b"high"),
    ]


def test_a_building_block_rule_hides_its_shell_too():
    """That the shell is a building block is then the rule's own wish."""
    rule = rule_from_query(QUERY, rule_id="rule-1", building_block_type="default")
    _, documents = write(PROCESS, NETWORK, rule=rule)

    assert [one["kibana.alert.building_block_type"] for one in documents] == ["default"] * 3


def test_ids_hang_on_rule_events_and_join_key_alone():
    """Redelivery and a new version repeat them; another rule, key, order or event does not."""
    alert, _ = write(PROCESS, NETWORK)
    again = AlertWriter("other digest").write_sequence(
        rule_from_query("sequence [any where true] [any where true]", rule_id="rule-1", version=9),
        [(Event(PROCESS), record(400, 1)), (Event(NETWORK), record(900, 2))],
        KEY,
        DETECTED_AT_MS + 5,
    )
    others = [
        write(PROCESS, NETWORK, key=("10.0.0.1",))[0],
        write(PROCESS, NETWORK, key=(("bool", True),))[0],
        write(PROCESS, NETWORK, key=(None,))[0],
        write(NETWORK, PROCESS)[0],
        write(PROCESS, NETWORK, NETWORK)[0],
        write(PROCESS, {**NETWORK, "event": {"id": "E3"}})[0],
        write(PROCESS, NETWORK, rule=rule_from_query(QUERY, rule_id="rule-2"))[0],
    ]

    assert ids(alert) == ids(again)
    every = ids(alert) + [one for other in others for one in ids(other)]
    assert len(set(every)) == len(every)


def test_events_without_an_id_are_known_by_their_place():
    """The same coordinates give the same ids, others do not."""
    writer = AlertWriter("digest")

    def shell_id(first, second):
        steps = [(Event({}), record(first)), (Event({}), record(second))]
        return writer.write_sequence(RULE, steps, KEY, DETECTED_AT_MS).alert_id

    assert shell_id(1, 2) == shell_id(1, 2) != shell_id(1, 3)


@pytest.mark.parametrize(
    "parent",
    [
        {"kibana.alert.rule.uuid": rule_uuid(RULE)},
        {"kibana.alert.depth": 2, "kibana.alert.ancestors": [{"rule": rule_uuid(RULE)}]},
    ],
)
def test_an_own_alert_among_the_events_drops_the_sequence(parent):
    """Else a rule would alert on its own alerts without end."""
    signal = {**NETWORK, **parent, "event": {**NETWORK["event"], "kind": "signal"}}
    steps = steps_of(PROCESS, signal)

    assert AlertWriter("digest").write_sequence(RULE, steps, KEY, DETECTED_AT_MS) is None


def test_alerts_of_other_rules_hand_on_their_ancestors():
    """Depth counts from the deepest; a crafted crowd of ancestors does not pass the limit."""
    crowd = [{"id": str(number), "type": "event", "index": "", "depth": 0} for number in range(99)]
    parent = {
        "kibana.alert.rule.uuid": "other",
        "kibana.alert.uuid": "A",
        "kibana.alert.depth": 4,
        "kibana.alert.ancestors": crowd,
    }
    _, (first, _, shell) = write({**PROCESS, **parent}, NETWORK)

    assert first["kibana.alert.depth"] == 5
    assert shell["kibana.alert.depth"] == 6
    ancestors = shell["kibana.alert.ancestors"]
    assert len(ancestors) == 50 + 1 + 2
    assert ancestors[48]["id"] == "98"
    assert (ancestors[49]["id"], ancestors[49]["depth"], ancestors[49]["rule"]) == ("A", 4, "other")


@pytest.mark.parametrize("bytes_max", [6_000, 20_000])
def test_every_alert_keeps_the_limit(bytes_max):
    """Blocks and shell alike, key and headers included; ids and group are never cut."""
    long = {"a": "x" * 9_000, "b": ["y" * 100] * 90}
    documents = [{**PROCESS, "vendor": long}, {**NETWORK, "vendor": long}]
    whole, _ = write(*documents)
    cut, (*blocks, shell) = write(*documents, bytes_max=bytes_max)

    assert ids(cut) == ids(whole)
    for output, full in zip(cut.outputs, whole.outputs, strict=True):
        size = len(output.key) + len(output.value)
        size += sum(len(name) + len(value) for name, value in output.headers)
        assert size <= bytes_max < len(full.value)
    assert [one["kibana.alert.group.index"] for one in blocks] == [0, 1]
    assert {one["kibana.alert.group.id"] for one in (*blocks, shell)} == {cut.alert_id}
    assert shell["streamproc.truncated"] is True


_keys = st.sampled_from(["a", "b", "a.b", "event", "event.kind", "kind", "rule", "host", "id"])
_scalars = st.sampled_from([0, 1, "x", "y", "event", None])
_trees = st.recursive(
    _scalars | st.lists(_scalars, max_size=2),
    # An array holds scalars or objects: Elasticsearch itself refuses one of both.
    lambda inner: (
        st.dictionaries(_keys, inner, max_size=3)
        | st.lists(st.dictionaries(_keys, inner, max_size=2), max_size=2)
    ),
    max_leaves=8,
)
_documents = st.dictionaries(_keys, _trees, max_size=4)
# Which the rule or the moment decides, or the sequence as a whole.
_SET = (
    "@timestamp",
    "kibana.",
    "rule.",
    "streamproc.",
    "event.kind",
    "event.severity",
    "event.risk",
)


@settings(deadline=None, max_examples=150)
@given(st.lists(_documents, min_size=1, max_size=3))
def test_shells_of_any_events(documents):
    """No path stands twice, dotted and nested; every value stands in every block."""
    _, (*blocks, shell) = write(*documents)

    assert len(blocks) == len(documents)
    paths = [path for key, value in shell.items() for path in {p for p, _ in leaves(value, key)}]
    assert len(paths) == len(set(paths))
    assert not any(path.startswith(f"{other}.") for path in paths for other in paths)
    for path, value in leaves({k: v for k, v in shell.items() if not k.startswith(_SET)}):
        for item in value if isinstance(value, list) else [value]:
            for block in blocks:
                held = [found for key, one in leaves(block) if key == path
                        for found in (one if isinstance(one, list) else [one])]  # fmt: skip
                assert item in held, (path, raw_values(block, path))


def requests_of(*documents, rule=RULE, **options):
    writer = ContextWriter(**options)
    found = writer.write_sequence(rule, steps_of(*documents), "abc")
    return [(request, orjson.loads(request.output.value)) for request in found]


def asking(*groups, start="now-1h", end="now"):
    """A rule whose guide asks for the fields of each group."""
    block = {
        "label": "L",
        "description": "",
        "providers": [
            [{"field": name, "queryType": "phrase", "value": "{{" + name + "}}"} for name in group]
            for group in groups
        ],
        "relativeFrom": start,
        "relativeTo": end,
    }
    note = "!{investigate" + orjson.dumps(block).decode() + "}"
    return rule_from_query(QUERY, rule_id="r", name="R", severity="high", note=note)


def test_requests_are_made_once_for_the_shell():
    """As many as the rule has queries, keyed by the shell's id, whatever the number of events."""
    found = requests_of(PROCESS, NETWORK, NETWORK)

    assert [request.output.key for request, _ in found] == [b"abc:0", b"abc:1", b"abc:2", b"abc:3"]
    assert {answer["alert_id"] for _, answer in found} == {"abc"}
    assert found[0][1]["host"] == {"id": "h1", "name": "EX01"}
    assert found[0][0].output.headers[0] == ("host.id", b"h1")


def test_placeholders_are_filled_from_the_common_fields_then_from_the_last_event():
    """Common: host and process; arrays: a common value; else who has the field last."""
    rule = asking(["host.id", "host.ip", "process.command_line", "event.id", "destination.ip"])
    ((request, answer),) = requests_of(PROCESS, NETWORK, rule=rule)

    filled = {item["field"]: item["value"] for item in answer["providers"][0]}
    assert request.status == "resolved"
    assert filled == {
        "host.id": "h1",
        "host.ip": "10.0.0.2",
        "process.command_line": "cmd /c x",
        "event.id": "E2",
        "destination.ip": "1.2.3.4",
    }


def test_a_field_that_no_event_has_leaves_its_group_out():
    """As with one event; blank is no value."""
    documents = [{**PROCESS, "user": {"name": " "}}, NETWORK]
    ((request, answer),) = requests_of(*documents, rule=asking(["user.name"], ["host.id"]))

    assert (request.status, answer["missing"]) == ("partial", ["user.name"])
    assert len(answer["providers"]) == 1


@pytest.mark.parametrize("order", [(PROCESS, NETWORK), (NETWORK, PROCESS)])
def test_the_range_runs_from_the_first_event_to_the_last(order):
    """By their times; ``now`` as an end is a look-ahead past the last one."""
    ((_, answer),) = requests_of(*order, rule=asking(["host.id"]), look_ahead_s=60)

    assert answer["from"] == "2026-08-22T09:15:02.991Z"
    assert answer["to"] == "2026-08-22T10:16:32.991Z"


def test_a_pid_is_looked_for_around_the_whole_sequence():
    """Five minutes before the first event to five minutes after the last."""
    bare = [{**one, "process": {"pid": 44}} for one in (PROCESS, NETWORK)]
    ((_, answer),) = requests_of(*bare, rule=asking(["process.entity_id"]))

    assert {item["field"]: item["value"] for item in answer["providers"][0]} == {
        "host.id": "h1",
        "process.pid": "44",
    }
    assert answer["from"] == "2026-08-22T10:10:02.991Z"
    assert answer["to"] == "2026-08-22T10:20:32.991Z"


def test_sysmon_s_own_account_is_not_asked_for():
    """Unless one of the events means it."""
    sysmon = {"user": {"id": "S-1-5-18", "name": "bob"}, "event": {"provider": "Sysmon"}}
    system = {"user": {"id": "S-1-5-18", "name": "SYSTEM"}}
    rule = asking(["user.id"])

    assert requests_of(sysmon, NETWORK, rule=rule)[0][0].status == "unresolvable"
    assert requests_of(sysmon, system, rule=rule)[0][0].status == "resolved"


def test_a_sequence_of_one_event_is_asked_about_as_that_event():
    """One writer, one answer."""
    steps = steps_of(PROCESS)
    match = Match(RULE, *steps[0], DETECTED_AT_MS)

    assert ContextWriter().write(match, "abc") == ContextWriter().write_sequence(RULE, steps, "abc")
