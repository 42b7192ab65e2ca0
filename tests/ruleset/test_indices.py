"""A rule looks at an event when one of its patterns matches the event's index."""

import pytest

from streamproc.eql.event import Event
from streamproc.ruleset import IndexSelector, rule_from_query
from streamproc.ruleset.indices import INDEX_NAMES_MAX, index_name

SYSMON = "logs-windows.sysmon_operational-default"


def event_in(name):
    """An event of the data stream ``type-dataset-namespace``."""
    kind, dataset, namespace = name.split("-", 2)
    return Event(
        {"data_stream": {"type": kind, "dataset": dataset}, "data_stream.namespace": namespace}
    )


@pytest.mark.parametrize(
    ("patterns", "name", "applies"),
    [
        (["logs-windows.*"], SYSMON, True),
        (["logs-windows.sysmon_operational-*"], SYSMON, True),
        ([SYSMON], SYSMON, True),
        (["winlogbeat-*", "*-default"], SYSMON, True),
        (["logs-endpoint.events.*"], SYSMON, False),
        (["logs-windows"], SYSMON, False),
        (["LOGS-*"], SYSMON, False),
        (["logs.windows*"], SYSMON, False),
        (["logs-*", "-logs-windows.*"], SYSMON, False),
        (["-logs-windows.*"], "logs-system.auth-default", True),
        (["-logs-windows.*"], SYSMON, False),
        (["logs-*", "-*sysmon*", "logs-windows.*"], SYSMON, True),
        (["eu:logs-*"], SYSMON, True),
        (["*:logs-*"], SYSMON, True),
        ([], SYSMON, True),
    ],
)
def test_patterns_choose_rules(patterns, name, applies):
    """``*`` stands for any text, ``-`` takes away, a cluster's name says nothing."""
    selector = IndexSelector([rule_from_query("any where true", index=patterns)])

    assert selector.applicable(event_in(name)) == ({0} if applies else set())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data_stream": {"type": "logs", "dataset": "a"}},
        {"data_stream": {"type": "logs", "dataset": "a", "namespace": ""}},
        {"data_stream": {"type": "logs", "dataset": 5, "namespace": "default"}},
        {"data_stream": {"type": "logs", "dataset": "a" * 300, "namespace": "default"}},
        {"data_stream": "logs-a-default"},
    ],
)
def test_an_event_without_an_index_is_offered_to_every_rule(document):
    """A missing, wrong or impossible label is no way around a rule."""
    assert IndexSelector([]).applicable(Event(document)) is None


def test_many_names_are_answered_and_not_remembered():
    """Names come from events: a flood of new ones must not fill the memory."""
    selector = IndexSelector([rule_from_query("any where true", index=["logs-x1*"])])
    for number in range(INDEX_NAMES_MAX + 10):
        selector.positions(f"logs-x{number}-default")

    assert selector.positions(f"logs-x1{INDEX_NAMES_MAX}-default") == {0}
    assert len(selector._known) == INDEX_NAMES_MAX


def test_index_name_joins_the_three_parts():
    """Nested or dotted alike."""
    assert index_name(event_in(SYSMON)) == SYSMON
