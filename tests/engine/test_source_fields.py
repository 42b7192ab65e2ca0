"""The source goes into an alert as it came, and no field stands in it twice."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.source_fields import (
    DEPTH_MAX,
    copy_source,
    fields_below,
    leaves,
    raw_values,
    take_out,
)

KEYS = st.sampled_from(["a", "b", "c", "a.b", "b.c", "a.b.c", "c.a"])
SCALARS = st.sampled_from(["x", "y", 1, True, 2.5])
NODES = st.recursive(
    SCALARS | st.lists(SCALARS, min_size=1, max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, NODES, max_size=5)


@pytest.mark.parametrize(
    ("document", "kept", "dropped"),
    [
        ({"a": {"b": 1}, "a.c": 2}, {"a": {"b": 1}, "a.c": 2}, []),
        ({"kibana": {"x": 1}, "kibana.alert": 1, "signal": 1, "threshold_result.x": 1}, {}, []),
        ({"kibanas": 1, "x": {"kibana": 1}}, {"kibanas": 1, "x": {"kibana": 1}}, []),
        ({"a": [], "b": {}, "c": {"d": [{}]}, "e": [1, []]}, {"e": [1]}, []),
        ({"a": None, "b": ""}, {"a": None, "b": ""}, []),
        ({"process": "x", "host": {"id": "h"}}, {"host": {"id": "h"}}, ["process"]),
        (
            {"process.pid": "x", "process": {"name": "n"}},
            {"process": {"name": "n"}},
            ["process.pid"],
        ),
        (
            {"host": {"ip": ["10.0.0.1", "?", "::1"]}},
            {"host": {"ip": ["10.0.0.1", "::1"]}},
            ["host.ip"],
        ),
        ({"a.b": 1, "a": {"b": 2}}, {"a": {"b": [1, 2]}}, []),
        ({"a.b": [1, 2], "a": {"b": 2}, "z": 0}, {"z": 0, "a": {"b": [1, 2]}}, []),
        ({"a": 1, "a.b": 2}, {"a": {"b": 2}}, []),
        ({"a": {"b.c": 1, "b": {"c": 2, "d": 3}}}, {"a": {"b": {"c": [1, 2], "d": 3}}}, []),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 2}]}, []),
        ({"a": [{"b": 1}], "a.b": 2}, {"a": {"b": [1, 2]}}, []),
    ],
)
def test_a_source_is_copied_without_what_an_alert_must_not_hold(document, kept, dropped):
    """What is left keeps its form; only a field that is there twice is joined."""
    assert copy_source(document) == (kept, dropped)


def test_what_lies_too_deep_is_dropped_and_named():
    """An object a thousand levels deep neither fails nor goes into the alert."""
    node = "end"
    for _ in range(900):
        node = {"k": node}
    copied, dropped = copy_source({"deep": node, "x": 1})

    assert copied == {"x": 1}
    assert dropped[0].startswith("deep.k.k")
    assert len(dropped[0].split(".")) == DEPTH_MAX


@settings(deadline=None)
@given(DOCUMENTS)
def test_no_path_is_left_twice_and_no_value_is_lost(document):
    """Dotted, nested and mixed keys at every level; the source itself is not changed."""
    before = copy.deepcopy(document)
    copied, dropped = copy_source(document)

    assert document == before
    assert dropped == []
    paths = [path for path, _ in leaves(copied)]
    assert len(paths) == len(set(paths))
    # A scalar gives way to an object at the same path; every other value is there.
    outer = {path for path in fields_below(document, "a", "b", "c") if _is_outer(path, document)}
    for path, value in leaves(document):
        if path not in outer:
            there = [item for found in raw_values(copied, path) for item in _items(found)]
            assert all(item in there for item in _items(value))


@settings(deadline=None)
@given(DOCUMENTS, KEYS)
def test_a_field_that_is_taken_out_is_gone(document, path):
    """At every split of its dots, with nothing empty left behind."""
    take_out(document, path)

    assert raw_values(document, path) == []
    assert fields_below(document, path) == {}
    assert {} not in [value for _, value in leaves(document)]


def _items(value):
    return value if isinstance(value, list) else [value]


def _is_outer(path, document):
    return any(other.startswith(f"{path}.") for other, _ in leaves(document))


def test_fields_below_a_root_are_flat():
    """Several places of one path become a list; arrays of objects are gone into."""
    document = {"event": {"kind": "event", "x": [{"y": 1}, {"y": 2}]}, "event.code": "1", "a": 1}

    assert fields_below(document, "event") == {
        "event.kind": "event",
        "event.x.y": [1, 2],
        "event.code": "1",
    }
