"""An alert's id hangs on the rule and on what the event is, and on nothing else."""

import pytest

from streamproc.engine.identity import alert_id, event_identity, raw_coordinates
from streamproc.eql.event import Event
from streamproc.model import Record

HEADERS = [
    ("streamproc-source-topic", b"raw"),
    ("streamproc-source-partition", b"3"),
    ("streamproc-source-offset", b"900"),
]


def record(headers=(), offset=5):
    return Record(b"{}", "events", 1, offset, 0, list(headers))


def identity(document, source=None):
    return event_identity(Event(document), source or record())


@pytest.mark.parametrize(
    ("document", "headers", "expected"),
    [
        ({"host": {"id": "h"}, "event": {"id": "e"}}, [], ("event", "h", "e")),
        ({"host.id": "h", "event.id": "e"}, HEADERS, ("event", "h", "e")),
        ({"host.id": ["h", "i"], "event.id": "e"}, [], ("event", "h", "e")),
        ({"event": {"id": "e"}}, [], ("record", "events", 1, 5)),
        ({"host": {"id": "h"}}, [], ("record", "events", 1, 5)),
        ({"host.id": " ", "event.id": "e"}, [], ("record", "events", 1, 5)),
        ({"host.id": "h"}, HEADERS, ("record", "raw", 3, 900)),
        ({}, HEADERS[:2], ("record", "events", 1, 5)),
        ({}, [*HEADERS[:2], (HEADERS[2][0], b"x")], ("record", "events", 1, 5)),
        ({}, [*HEADERS[:2], (HEADERS[2][0], None)], ("record", "events", 1, 5)),
    ],
)
def test_an_event_is_known_by_its_own_id_or_by_its_raw_record(document, headers, expected):
    """A normalized record carries the raw record's place; broken headers do not count."""
    assert identity(document, record(headers)) == expected


def test_an_id_is_repeated_for_a_redelivered_event_only():
    """64 hex digits that differ by rule and by identity; written down, because they are stored."""
    one = alert_id("rule", ("event", "h", "e"))

    assert one == alert_id(
        "rule", identity({"event.id": "e", "host": {"id": "h"}}, record(offset=9))
    )
    assert one == "1853926b061a456b58ee59094ccdeca86cab1090aaffc44684bb629ccfa847af"
    others = [("event", "h", "f"), ("event", "he", ""), ("record", "h", "e"), ("event", 1, "e")]
    assert (
        len({one, alert_id("other", ("event", "h", "e")), *(alert_id("rule", o) for o in others)})
        == 6
    )


def test_coordinates_are_written_as_a_place():
    """As ancestors name it."""
    assert str(raw_coordinates(record())) == "events:1:5"
