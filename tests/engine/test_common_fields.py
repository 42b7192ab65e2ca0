"""Common fields: what every document says, in the first one's form."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.common_fields import common_fields
from streamproc.engine.source_fields import raw_values


@pytest.mark.parametrize(
    ("documents", "common"),
    [
        ([{"a": 1, "b": 2}], {"a": 1, "b": 2}),
        ([{"a": 1, "b": 2}, {"a": 1, "b": 3}], {"a": 1}),
        ([{"a": 1}, {"b": 1}], {}),
        ([{"a": 1}, {"a": 1}, {"a": 2}], {}),
        # Arrays: in the first one's order, each value as often as all have it.
        ([{"a": [3, 1, 2]}, {"a": [1, 3]}], {"a": [3, 1]}),
        ([{"a": ["x", "x", "y"]}, {"a": ["x", "x", "y"]}], {"a": ["x", "x", "y"]}),
        ([{"a": ["x", "x", "y"]}, {"a": ["x"]}], {"a": ["x"]}),
        ([{"a": [1]}, {"a": [2]}], {}),
        ([{"a": [{"x": 1, "y": 2}, {"x": 3}]}, {"a": [{"y": 2, "x": 1}]}],
         {"a": [{"x": 1, "y": 2}]}),
        # A value alone is an array of one.
        ([{"a": "x"}, {"a": ["y", "x"]}], {"a": "x"}),
        ([{"a": ["y", "x"]}, {"a": "x"}], {"a": ["x"]}),
        # Dotted and nested are one field, at any split.
        ([{"a": {"b": {"c": 1, "d": 2}}}, {"a.b": {"c": 1}, "a": {"b.d": 2}}],
         {"a": {"b": {"c": 1, "d": 2}}}),
        ([{"a.b": {"c": 1}}, {"a": {"b.c": 1}}], {"a.b": {"c": 1}}),
        # Emptied objects go; an object and a value have nothing in common.
        ([{"a": {"b": 1, "c": {"d": 1}}}, {"a": {"b": 1, "c": {"d": 2}}}], {"a": {"b": 1}}),
        ([{"a": {"b": 1}}, {"a": 1}], {}),
        # JSON has one kind of number, and true is none.
        ([{"a": 1, "b": 1, "c": "1"}, {"a": 1.0, "b": True, "c": 1}], {"a": 1}),
        ([{"a": None, "b": [1, None]}, {"a": None, "b": [None, 1]}], {"b": [1]}),
    ],
)  # fmt: skip
def test_common_fields(documents, common):
    """Values equal as JSON, and of the same type: Python holds True and 1 for equal."""
    found = common_fields(documents)
    assert repr(found) == repr(common)


_keys = st.sampled_from(["a", "b", "a.b", "b.a", "a.b.a"])
_scalars = st.sampled_from([0, 1, True, "x", "y", None, 1.5])
_documents = st.recursive(
    st.dictionaries(_keys, _scalars | st.lists(_scalars, max_size=3), max_size=3),
    lambda inner: st.dictionaries(_keys, inner | _scalars, max_size=3),
    max_leaves=6,
)


def _flat(node, prefix=""):
    found = {}
    for key, value in node.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


@settings(deadline=None, max_examples=150)
@given(st.lists(_documents, min_size=1, max_size=3))
def test_every_document_says_what_is_common(documents):
    """Each value stands in each document; what the first alone decides is the form."""
    for path, value in _flat(common_fields(documents)).items():
        for item in value if isinstance(value, list) else [value]:
            for document in documents:
                held = raw_values(document, path)
                held = [one for it in held for one in (it if isinstance(it, list) else [it])]
                assert any(one == item and type(one) is type(item) for one in held), path


@settings(deadline=None, max_examples=100)
@given(_documents)
def test_a_document_has_all_its_values_in_common_with_itself(document):
    """Nothing that has a value is lost."""
    expected = {
        path: [item for item in value if item is not None] if isinstance(value, list) else value
        for path, value in _flat(document).items()
        if value is not None and value not in ([], [None], [None] * 2, [None] * 3)
    }
    # A path that is written twice is the caller's fault and shows one of its values.
    if len({path for path, _ in _pairs(document)}) == len(_pairs(document)):
        assert _flat(common_fields([document, document, document])) == expected


def _pairs(node, prefix=""):
    return [
        pair
        for key, value in node.items()
        for pair in (
            _pairs(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else [(f"{prefix}{key}", value)]
        )
    ]
