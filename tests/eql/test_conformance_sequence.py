"""The published conformance cases of kind ``sequence``, nested and with dotted keys.

They lie beside the checkout, not in it; without them the tests skip. -1 stands for a
missing-event position. In the random cases the order of results that end with the same event is
left open: the language does not define it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.eql import compile_query

FOLDER = Path(__file__).parents[3] / "shared" / "conformance"


def _load(name: str) -> Any:
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else None


_CONTENT = _load("cases.json") or {"datasets": {}, "cases": []}
DATASETS = _CONTENT["datasets"]
CASES = [case for case in _CONTENT["cases"] if case["kind"] == "sequence"]
RANDOM_CASES = _load("sequences.json") or []
_EVENTS: dict[str, list[dict[str, Any]]] = {}

pytestmark = pytest.mark.skipif(not CASES, reason="conformance cases are not beside the checkout")


def _events(dataset: str) -> list[dict[str, Any]]:
    if dataset not in _EVENTS:
        lines = (FOLDER / DATASETS[dataset]["file"]).read_text().splitlines()
        _EVENTS[dataset] = [json.loads(line) for line in lines]
    return _EVENTS[dataset]


def _dotted(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same event with one flat level of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            flat.update(_dotted(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _as_written(document: dict[str, Any]) -> dict[str, Any]:
    return document


SHAPES = pytest.mark.parametrize("shape", [_as_written, _dotted], ids=["written", "dotted"])


@SHAPES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_finds_the_expected_sequences(case, shape):
    """Ids of the events, in the exact order of the results, pipes included."""
    dataset = DATASETS[case["dataset"]]
    compiled = compile_query(
        case["query"],
        event_category_field=dataset["category"],
        timestamp_field=dataset["timestamp"],
        tiebreaker_field=dataset["tiebreaker"],
        field_types=dataset["types"],
        mapped_fields=dataset.get("mapped"),
    )
    found = [
        [-1 if event is None else event[dataset["id"]] for event in result]
        for result in compiled.search(map(shape, _events(case["dataset"])))
    ]
    assert found in [case["expected"], *(case.get("expected_alternatives") or [])]


def _last(result: list[Any]) -> Any:
    return [event for event in result if event != -1][-1]


@SHAPES
@pytest.mark.parametrize("case", RANDOM_CASES, ids=lambda case: case["id"])
def test_random_case_finds_the_expected_sequences(case, shape):
    """In the order of their last events."""
    compiled = compile_query(
        case["query"], timestamp_field=case["timestamp"], tiebreaker_field=case["tiebreaker"]
    )
    found = [
        [-1 if event is None else event[case["id_field"]] for event in result]
        for result in compiled.search(map(shape, case["events"]))
    ]
    assert [_last(result) for result in found] == [_last(result) for result in case["expected"]]
    assert sorted(found) == sorted(case["expected"])


def test_all_cases_are_read():
    """A change of the case files must not silently leave cases out."""
    assert (len(CASES), len(RANDOM_CASES)) == (138, 260)
