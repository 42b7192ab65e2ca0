"""Investigate queries are read from both forms, and upstream's defects are survived."""

import json

import pytest

from streamproc.ruleset.investigate import (
    Investigation,
    InvestigationError,
    Provider,
    read_investigation,
    read_investigations,
    render_note,
)

BLOCK = {
    "label": "Alerts",
    "description": "",
    "providers": [[{"field": "host.id", "queryType": "phrase", "value": "{{host.id}}"}]],
    "relativeFrom": "now-48h/h",
    "relativeTo": "now",
}
INVESTIGATION = Investigation(
    "Alerts", "", ((Provider("host.id", value="{{host.id}}"),),), "now-48h/h", "now"
)


def in_note(block):
    """A block as Kibana shows it in a guide."""
    return f"before !{{investigate{json.dumps(block)}}} after"


def test_both_forms_are_read():
    """A table of the file and JSON in the note mean the same."""
    assert read_investigations({"investigate": [BLOCK]}, "") == ((INVESTIGATION,), [])
    assert read_investigations({}, in_note(BLOCK)) == ((INVESTIGATION,), [])


def test_the_same_block_in_both_forms_is_one_query():
    """A rendered note repeats the tables; others that it holds come after them."""
    other = {**BLOCK, "label": "Others"}
    transform = {"investigate": [BLOCK]}
    note = render_note("$investigate_0", transform) + in_note(other)
    found, faults = read_investigations(transform, note)

    assert [query.label for query in found] == ["Alerts", "Others"]
    assert faults == []


def test_a_note_is_rendered_as_elastic_renders_it():
    """Numbers count tables; JSON has sorted keys and no spaces; other dollars stay."""
    transform = {"investigate": [BLOCK], "osquery": [{"query": "SELECT 1", "label": "x"}]}
    note = "a $investigate_0 $investigate_1 $osquery_0 costs 5$ $HOME"

    assert render_note(note, transform) == (
        'a !{investigate{"description":"","label":"Alerts","providers":[[{"field":"host.id",'
        '"queryType":"phrase","value":"{{host.id}}"}]],"relativeFrom":"now-48h/h",'
        '"relativeTo":"now"}} $investigate_1 !{osquery{"label":"x","query":"SELECT 1"}}'
        " costs 5$ $HOME"
    )


@pytest.mark.parametrize("bound", [None, "", "  "])
def test_a_bound_left_out_is_open(bound):
    """Upstream writes null or nothing; neither is a time."""
    read = read_investigation({**BLOCK, "relativeFrom": bound})

    assert (read.relative_from, read.relative_to) == (None, "now")


@pytest.mark.parametrize(
    ("provider", "value"),
    [
        ({"queryType": "phrases", "value": ["a", "b"]}, '["a","b"]'),
        ({"queryType": "range", "value": {"lt": 5, "gte": 1}}, '{"gte":1,"lt":5}'),
        ({"queryType": "boolean", "value": True}, "true"),
        ({"queryType": "exists"}, ""),
        ({"value": 445}, "445"),
    ],
)
def test_values_are_kept_as_text(provider, value):
    """Lists, objects and numbers become their JSON."""
    read = read_investigation({**BLOCK, "providers": [[{"field": "f", **provider}]]})

    assert read.providers[0][0].value == value


@pytest.mark.parametrize(
    "block",
    [
        "text",
        {**BLOCK, "providers": []},
        {**BLOCK, "providers": [[]]},
        {**BLOCK, "providers": {"field": "host.id"}},
        {**BLOCK, "providers": [["host.id"]]},
        {**BLOCK, "providers": [[{"value": "x"}]]},
        {**BLOCK, "providers": [[{"field": "f", "queryType": "wildcard", "value": "x"}]]},
    ],
)
def test_a_broken_block_is_named_and_the_others_are_kept(block):
    """One bad table costs one query, not the rule."""
    with pytest.raises(InvestigationError):
        read_investigation(block)
    found, faults = read_investigations({"investigate": [block, BLOCK]}, "")

    assert found == (INVESTIGATION,)
    assert len(faults) == 1
    assert faults[0].startswith("transform.investigate[0]: ")


@pytest.mark.parametrize(
    "note", ["!{investigate{", "!{investigate", "!{investigate{'a': 1}}", "!{investigate[]}"]
)
def test_broken_json_in_a_note_is_named(note):
    """What follows it is still read."""
    found, faults = read_investigations({}, note + in_note(BLOCK))

    assert found == (INVESTIGATION,)
    assert len(faults) == 1
