"""The reason reads as Elastic's does."""

import pytest

from streamproc.engine.reason import reason_text
from streamproc.eql.event import Event
from streamproc.ruleset import rule_from_query

RULE = rule_from_query("any where true", name="A rule", severity="high")
END = "created high alert A rule."


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (
            {
                "event.category": ["process"],
                "process": {"name": "cmd.exe", "parent": {"name": "w3wp.exe"}},
                "user.name": "SYSTEM",
                "host.name": "EXCH01",
            },
            "process event with process cmd.exe, parent process w3wp.exe, by SYSTEM on EXCH01 ",
        ),
        (
            {"event.category": "process", "process": {"name": "bash", "parent.name": "nawk"}},
            "process event with process bash, parent process nawk, ",
        ),
        (
            {
                "event.category": ["network", "session"],
                "source": {"ip": "10.0.0.1", "port": 5},
                "destination": {"ip": "10.0.0.2"},
            },
            "network, session event with source 10.0.0.1:5, destination 10.0.0.2, ",
        ),
        ({"file.name": "a.aspx", "user.name": "u"}, "event with file a.aspx, by u "),
        ({"source.port": 5, "host.name": "h"}, "event on h "),
        ({}, "event "),
    ],
)
def test_parts_without_a_field_are_left_out(document, reason):
    """Without a process, file, source or destination there is no ``with``."""
    assert reason_text(RULE, Event(document)) == reason + END


def test_a_reason_is_bounded():
    """A name of a megabyte does not go into it whole."""
    assert len(reason_text(RULE, Event({"process.name": "x" * 1_000_000}))) < 1_000
