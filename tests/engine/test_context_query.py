r"""Conditions come out as query DSL and KQL that mean the same, whatever the value holds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.engine.context_query import (
    Condition,
    UnreadableValueError,
    read_condition,
    to_dsl,
    to_kql,
)

HOST = Condition("host.id", "phrase", ("h",))


def both(field, query_type, value, *, is_excluded=False):
    """The only clause of the DSL, and the KQL."""
    condition = read_condition(field, query_type, value, is_excluded=is_excluded)
    return to_dsl([[condition]])["bool"]["filter"][0], to_kql([[condition]])


@pytest.mark.parametrize(
    ("query_type", "value", "dsl", "kql"),
    [
        ("phrase", "a b", {"match_phrase": {"f": "a b"}}, 'f: "a b"'),
        ("phrase", 445, {"match_phrase": {"f": 445}}, "f: 445"),
        ("phrase", True, {"match_phrase": {"f": True}}, "f: true"),
        (
            "phrase",
            'C:\\x "y"\n',
            {"match_phrase": {"f": 'C:\\x "y"\n'}},
            'f: "C:\\\\x \\"y\\"\\n"',
        ),
        ("phrase", "* or a: *", {"match_phrase": {"f": "* or a: *"}}, 'f: "* or a: *"'),
        ("boolean", "false", {"match_phrase": {"f": False}}, "f: false"),
        ("exists", "", {"exists": {"field": "f"}}, "f: *"),
        (
            "phrases",
            ["a", 2],
            {
                "bool": {
                    "should": [{"match_phrase": {"f": "a"}}, {"match_phrase": {"f": 2}}],
                    "minimum_should_match": 1,
                }
            },
            'f: ("a" or 2)',
        ),
        (
            "range",
            {"lt": 5, "gte": "1"},
            {"range": {"f": {"gte": "1", "lt": 5}}},
            '(f >= "1" and f < 5)',
        ),
        ("range", {"gt": 5}, {"range": {"f": {"gt": 5}}}, "f > 5"),
    ],
)
def test_every_query_type_has_both_forms(query_type, value, dsl, kql):
    """And its negation."""
    assert both("f", query_type, value) == (dsl, kql)
    assert both("f", query_type, value, is_excluded=True) == (
        {"bool": {"must_not": [dsl]}},
        f"not {kql}",
    )


@pytest.mark.parametrize(
    ("query_type", "value"),
    [
        ("phrase", " "),
        ("phrases", "a"),
        ("phrases", []),
        ("phrases", [{}]),
        ("range", []),
        ("range", {}),
        ("range", {"from": 1}),
        ("range", {"gte": [1]}),
        ("boolean", "perhaps"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused(query_type, value):
    """Rather than become a clause that matches everything or nothing."""
    with pytest.raises(UnreadableValueError):
        read_condition("f", query_type, value, is_excluded=False)


def test_groups_are_ored_and_their_conditions_anded():
    """A group alone needs no parentheses."""
    user = Condition("user.id", "phrase", ("u",))
    clauses = [{"match_phrase": {"host.id": "h"}}, {"match_phrase": {"user.id": "u"}}]

    assert to_dsl([[HOST, user]]) == {"bool": {"filter": clauses}}
    assert to_kql([[HOST, user]]) == 'host.id: "h" and user.id: "u"'
    assert to_dsl([[HOST], [user]]) == {
        "bool": {
            "should": [{"bool": {"filter": [clause]}} for clause in clauses],
            "minimum_should_match": 1,
        }
    }
    assert to_kql([[HOST], [user]]) == '(host.id: "h") or (user.id: "u")'


@given(st.text(max_size=30).filter(str.strip))
def test_no_value_breaks_out_of_its_quotes(value):
    """Read back as KQL reads a quoted text, it is the value, and the text is one token."""
    kql = to_kql([[Condition("f", "phrase", (value,))]])
    quoted = re.fullmatch(r'f: "((?:[^"\\]|\\.)*)"', kql, re.DOTALL)
    letters = {"t": "\t", "r": "\r", "n": "\n"}

    assert quoted
    assert re.sub(r"\\(.)", lambda found: letters.get(found[1], found[1]), quoted[1]) == value


def test_special_characters_of_a_field_name_are_escaped():
    """A name comes from the rule; it must not become an operator, either."""
    assert to_kql([[Condition("a b*:c", "exists")]]) == r"a\ b\*\:c: *"
