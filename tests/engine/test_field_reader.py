"""Fields read from undecoded records: what the decoder says about them, or nothing at all."""

from __future__ import annotations

import gc
import weakref
from copy import deepcopy
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.field_reader import FieldReader, content_key, reader_of, take_head
from streamproc.eql.event import Event
from tests.properties.spellings import encode, layout

PATHS = ("process.name", "process.parent.name", "process.args", "process", "host.os.type", "x")
VALUES: tuple[Any, ...] = (
    "cmd.exe",
    'naïve 😀\\"/',
    "",
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    1.5,
    -0.0,
    1e300,
    True,
    False,
    None,
    [],
    ["a", 1, None, False, 2.5],
    ["a", ["b"]],
    [2**70],
    {"deep": "y"},
)


def fields_of(document: dict[str, Any]) -> list[list[str]]:
    """Every field, so that types and the sign of a zero count."""
    event = Event(document)
    return [[repr(value) for value in event.values(path)] for path in PATHS]


@pytest.mark.parametrize(
    "value",
    [
        b'{"process":{"name":"a","pid":4},"other":{"name":"b"}}',
        b'{"process.name":"a","process":{"parent.name":"b","parent":{"name":"c"}}}',
        b'{ "process" : { "na\\u006de" : "\\u0061" } }',
        b'{"process":{"name":"a"},"process":{"name":"b"}}',
        b'{"process":{"name":"a","name":"b"}}',
        b'{"process":{"name":"a"},"process":{}}',
        b'{"process":null,"x":null}',
        b'{"process.args":["a","b"],"x":-0}',
        b"{}",
    ],
)
def test_read(value: bytes) -> None:
    """Nested, dotted, escaped, overwritten: the document has the values of the whole one."""
    document = FieldReader(PATHS[:3] + PATHS[4:]).read(value)
    assert document is not None
    assert "other" not in document
    assert fields_of(document) == fields_of(orjson.loads(value))


@pytest.mark.parametrize(
    "value",
    [
        b'{"process":[{"name":"a"},{"name":"b"}]}',
        b'{"process":{"name":{"deep":"a"}}}',
        b'{"process":{"name":[["a"]]}}',
        b'{"x":18446744073709551616}',
        b'{"x":[9223372036854775808]}',
        b'{"process":{"name":"a"}',
        b'{"process":{"name":"\\ud800"}}',
        b'{"other":"\xff"}',
        b'{"other":01}',
        b'{"x":1e999}',
        b"[1]",
        b"",
        b'{"other":' + b"[" * 3000 + b"]" * 3000 + b"}",
    ],
)
def test_only_decoding_can_tell(value: bytes) -> None:
    """Rare shapes and what is broken are left to the decoder."""
    assert FieldReader(PATHS[:3] + PATHS[4:]).read(value) is None


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**48), escaping=st.sampled_from((0.0, 0.1, 1.0)))
def test_as_decoded(seed: int, escaping: float) -> None:
    """Whatever is read has the values, and their types, that the decoded record has."""
    rng = Random(seed)
    fields = {path: rng.choice(VALUES) for path in (*PATHS, "y.z") if rng.random() < 0.6}
    value = encode(rng, layout(rng, fields), escaping).encode()
    document = FieldReader(PATHS).read(value)
    if document is not None:
        assert fields_of(document) == fields_of(orjson.loads(value))


STAMP = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("host", "left"),
    [
        ({"host": {"id": "h"}}, {"host": {}}),
        ({"host": {"id": "h", "os": {"type": "x"}}}, {"host": {"os": {"type": "x"}}}),
        ({"host.id": "h"}, {}),
        ({"host.id": "h", "host": {"id": None, "name": "n"}}, {"host": {"id": None, "name": "n"}}),
        ({"host.id": "h", "host": "n"}, {"host": "n"}),
    ],
)
def test_take_head(host, left):
    """Host and time go, all else stays."""
    document = {"@timestamp": STAMP, "a": 1, **host}
    assert take_head(document) == ("h", STAMP)
    assert document == {"a": 1, **left}


@pytest.mark.parametrize(
    "document",
    [
        {"@timestamp": STAMP},
        {"host": {"id": "h"}},
        {"@timestamp": 1767225600000, "host": {"id": "h"}},
        {"@timestamp": [STAMP], "host": {"id": "h"}},
        {"@timestamp": STAMP, "host": {"id": " "}},
        {"@timestamp": STAMP, "host": {"id": 4}},
        {"@timestamp": STAMP, "host": {"id": ["h"]}},
        {"@timestamp": STAMP, "host": {"id": "h"}, "host.id": "h"},
    ],
)
def test_take_head_takes_nothing_that_is_odd(document):
    """A part that is missing, of another type, or there twice."""
    before = deepcopy(document)
    assert take_head(document) is None
    assert document == before


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 0.0}, {"a": -0.0}, False),
        ({"a": None}, {}, False),
        ({"a": ["x"]}, {"a": "x"}, False),
        ({"host": {"id": "x", "os": "y"}}, {"host": {"id": "x", "os": "z"}}, False),
        ({"host": "x"}, {"host": "y"}, False),
    ],
)
def test_content_key_tells_all_that_a_rule_could_tell(one, other, is_same):
    """Every value and its type."""
    assert (content_key(one) == content_key(other)) is is_same


def test_content_key_of_what_is_too_much_to_remember():
    assert content_key({"a": "x" * 2_000}) is None


def test_readers_of_the_same_fields_are_one_while_anyone_has_it():
    """A reload has the readers of the program that it replaces; none outlives its programs."""
    fields = frozenset({"process.name", "only.in.this.test"})
    one, other = reader_of(fields), reader_of(frozenset(fields))
    assert one is other
    assert one.read(b'{"process": {"name": "a", "pid": 1}}') == {"process": {"name": "a"}}
    let_go = weakref.ref(one)
    del one, other
    gc.collect()
    assert let_go() is None
