"""Reading fields: nested, dotted and mixed keys, arrays, nulls."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.event import Event, field_path

NAME = "process.parent.name"
DEEP_LIST: list = ["deep"]
for _ in range(900):
    DEEP_LIST = [DEEP_LIST]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ()),
        ({"process": None}, ()),
        ({"process": "text"}, ()),
        ({"process": {"parent": {"name": "a"}}}, ("a",)),
        ({"process.parent.name": "a"}, ("a",)),
        ({"process.parent": {"name": "a"}}, ("a",)),
        ({"process": {"parent.name": "a"}}, ("a",)),
        ({"process": [{"parent.name": "a"}, {"parent": {"name": "b"}}]}, ("a", "b")),
        ({"process": {"parent": {"name": "a"}}, "process.parent.name": "b"}, ("a", "b")),
        ({"process": {"parent": {"x": 1}, "parent.name": "b"}}, ("b",)),
        ({"process": {"parent": {"name": None}}}, ()),
        ({"process": {"parent": {"name": []}}}, ()),
        ({"process": {"parent": {"name": [None, [], [None]]}}}, ()),
        ({"process": {"parent": {"name": ""}}}, ("",)),
        ({"process": {"parent": {"name": ["a", None, ["b", ["c"]]]}}}, ("a", "b", "c")),
        ({"process": {"parent": {"name": ["a", "b"]}}}, ("a", "b")),
        ({"process": {"parent": {"name": [1, 2.5, True, False, "x"]}}}, (1, 2.5, True, False, "x")),
        ({"process": {"parent": {"name": {"text": "a"}}}}, ()),
        ({"process": {"parent": [{"name": "a"}, {"name": ["b", "c"]}, {}]}}, ("a", "b", "c")),
        ({"process": {"parent": [[{"name": "a"}]]}}, ("a",)),
        ({"process": {"parent": {"name": DEEP_LIST}}}, ("deep",)),
        ({"process": {"parent": {"name": 0}}}, (0,)),
        ({"process": {"parent": {"name": False}}}, (False,)),
    ],
)
def test_values_flattens_every_shape(document, expected):
    """A field is the flat list of its scalars, whatever the split of keys and arrays."""
    event = Event(document)

    assert event.values(NAME) == expected
    assert list(map(type, event.values(NAME))) == list(map(type, expected))
    assert event.values(NAME) is event.values(NAME), "read once"


def test_texts_are_keyword_texts():
    """Numbers and booleans have the text under which a keyword field indexes them."""
    event = Event({"a": [4688, True, False, 1.5, "X"]})

    assert event.texts(field_path("a")) == ("4688", "true", "false", "1.5", "X")


def test_folded_makes_ascii_letters_small_only():
    """Neither É nor the Kelvin sign change."""
    event = Event({"a": ["ABCÉ", "\u212a", "CMD.EXE"]})

    assert event.folded(field_path("a")) == ("abcÉ", "\u212a", "cmd.exe")


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_every_split_of_a_path_is_the_same_field(joins, in_list):
    """Each boundary between two pieces may be a dot in a key or an object."""
    document: object = "found"
    key = "d"
    for piece, is_join in zip("cba", joins, strict=True):
        if is_join:
            key = f"{piece}.{key}"
        else:
            document = [{key: document}] if in_list else {key: document}
            key = piece

    assert Event({key: document}).values("a.b.c.d") == ("found",)


def test_a_wide_event_of_arrays_flattens_in_document_order():
    """Arrays at two levels give every combination once."""
    rows = [{"b": [{"c": f"{x}{y}"} for y in "12"]} for x in "ab"]

    assert Event({"a": rows}).values("a.b.c") == tuple(x + y for x, y in product("ab", "12"))
