"""Heads of records: what is read is what the decoded event says, or nothing is."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.sequence_head import Head, read_head
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event

STAMP = "2026-01-01T10:00:00.1234567Z"
STAMP_NS = 1_767_261_600_123_456_700
LONE = rb'{"@timestamp":"2026-01-01T10:00:00Z","host":{"id":"a"},"x":"\ud800"}'


@pytest.mark.parametrize(
    "document",
    [
        {"@timestamp": STAMP, "host": {"id": "a", "os": {"type": "linux"}}, "x": [{"y": 1}]},
        {"host": {"name": "b", "id": "a"}, "@timestamp": STAMP},
        {"host.id": "a", "@timestamp": STAMP, "host": {"name": "b"}},
        {"host.id": "a", "@timestamp": STAMP, "host": None},
    ],
)
def test_head_of_usual_records(document):
    """Nested or dotted, in any order."""
    assert read_head(orjson.dumps(document)) == Head("a", STAMP_NS)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b'{"@timestamp":"2026-01-01T10:00:00Z","host":{"id":"a"}',
        LONE,
        b'{"@timestamp":"2026-01-01T10:00:00Z","host":{"id":"\xff"}}',
        b'{"@timestamp":"yesterday","host":{"id":"a"}}',
        b'{"@timestamp":1767261600000,"host":{"id":"a"}}',
        b'{"@timestamp":["2026-01-01T10:00:00Z"],"host":{"id":"a"}}',
        b'{"@timestamp":"2026-01-01T10:00:00Z","host":[{"id":"a"}]}',
        b'{"@timestamp":"2026-01-01T10:00:00Z","host":{"id":["a"]}}',
        b'{"@timestamp":"2026-01-01T10:00:00Z","host":{"id":"a"},"host.id":"b"}',
        b'{"@timestamp":"2026-01-01T10:00:00Z"}',
        b'{"@timestamp":"2026-01-01T10:00:00Z","host":{"id":"a"},"x":'
        + b"[" * 9_999
        + b"]" * 9_999,
    ],
)
def test_anything_else_has_to_be_decoded(value):
    """Broken, of another type, in two places, or not there."""
    assert read_head(value) is None


_KEYS = st.sampled_from(
    ["@timestamp", "host", "host.id", "id", "x", "\\u0040timestamp", "h\\u006fst"]
)
_TEXTS = st.sampled_from(["a", "b", STAMP, "2026-01-01", "\\u0061", ""]).map(
    lambda text: f'"{text}"'
)
_PLAIN = st.one_of(_TEXTS, st.sampled_from(["null", "1", "true", "1e400", "[]"]))


def _objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(_KEYS, values), max_size=6)
    return members.map(lambda found: "{" + ",".join(f'"{k}":{v}' for k, v in found) + "}")


@settings(max_examples=300, deadline=None)
@given(
    _objects(st.one_of(_PLAIN, _objects(_PLAIN), _objects(_PLAIN).map(lambda text: f"[{text}]")))
)
def test_a_head_is_what_the_event_says(text):
    """Whatever the keys: escaped, dotted, or there twice."""
    head = read_head(text.encode())
    if head is not None:
        event = Event(orjson.loads(text))
        assert event.values("host.id") == (head.host_id,)
        (stamp, *_) = event.values("@timestamp")
        assert parse_instant(stamp) == head.timestamp_ns
