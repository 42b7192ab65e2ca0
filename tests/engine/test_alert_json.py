"""An alert always fits, and says what it lost."""

import orjson
import pytest

from streamproc.engine.alert_json import fit_alert, to_json

OWN = {"@timestamp": "t", "event.kind": "signal", "kibana.alert.uuid": "u", "rule.id": "r"}


def fitted(source, limit, **own):
    value = fit_alert({**source, **OWN, **own}, limit)
    return len(value), orjson.loads(value)


def test_a_document_that_fits_is_left_alone():
    """Without a limit, too."""
    document = {"process": {"name": "x" * 5_000}, **OWN}

    assert orjson.loads(fit_alert(dict(document), None)) == document
    assert orjson.loads(fit_alert(dict(document), 10_000)) == document


def test_long_texts_are_shortened_first():
    """The start of a command line stays; small fields are not touched."""
    source = {"process": {"command_line": "y" * 50_000, "pid": 4}, "host.id": "h"}
    size, document = fitted(source, 10_000)

    assert size <= 10_000
    assert document["process"] == {"command_line": "y" * 1_024, "pid": 4}
    assert document["host.id"] == "h"
    assert document["streamproc.truncated"] is True
    assert document["streamproc.truncated_fields"] == ["process.command_line"]


def test_the_largest_fields_go_first():
    """A long list goes whole; what is left is whole."""
    source = {"a": {"big": list(range(5_000)), "small": 1}, "b": "z" * 900}
    size, document = fitted(source, 6_000)

    assert size <= 6_000
    assert document["a"] == {"small": 1}
    assert document["b"] == "z" * 900
    assert document["streamproc.truncated_fields"] == ["a.big"]


@pytest.mark.parametrize(
    "source",
    [
        {f"field{number}": "v" for number in range(20_000)},
        {"a": {f"field{number}": {"x": number} for number in range(20_000)}},
        {"a": [{"b": "v" * 100}] * 3_000},
        {"k" * 100_000: 1},
        {"k" * 100_000: {"x": "v" * 100_000}},
    ],
)
def test_every_shape_of_bloat_is_cut_below_the_limit(source):
    """Many fields, deep fields, long lists and long names; the alert's own fields stay."""
    size, document = fitted(source, 8_000)

    assert size <= 8_000
    assert OWN.items() <= document.items()
    assert document["streamproc.truncated"] is True
    assert len(document["streamproc.truncated_fields"]) <= 100


def test_copies_and_long_rule_texts_go_last():
    """When the source alone is not enough: what the rule's id leads to can be looked up."""
    own = {
        "kibana.alert.original_event.original": "o" * 9_000,
        "kibana.alert.rule.note": "n" * 9_000,
        "kibana.alert.reason": "why",
    }
    size, document = fitted({"process.name": "p"}, 6_000, **own)

    assert size <= 6_000
    assert document["kibana.alert.reason"] == "why"
    assert "kibana.alert.rule.note" not in document


@pytest.mark.parametrize("value", [2**70, "\ud800", {"a": [2**64]}])
def test_what_orjson_refuses_is_written_all_the_same(value):
    """JSON has no limit on numbers, and records hold lone surrogates as escapes."""
    import json

    assert json.loads(to_json({"x": value})) == {"x": value}
