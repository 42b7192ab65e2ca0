"""The published conformance cases of kind ``event``, nested and with dotted keys.

They lie beside the checkout, not in it; without them the tests skip. Expected order is by
timestamp and tiebreaker, which ``search`` gives by itself, pipes included.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.eql import compile_query

FOLDER = Path(__file__).parents[3] / "shared" / "conformance"
# The index replaces null by a text there; a stream has no index.
LEFT_OUT_TAG = "null_value-mapping"


def _load() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = FOLDER / "cases.json"
    if not path.exists():
        return {}, []
    content = json.loads(path.read_text())
    cases = [
        case
        for case in content["cases"]
        if case["kind"] == "event" and LEFT_OUT_TAG not in case["tags"]
    ]
    return content["datasets"], cases


DATASETS, CASES = _load()
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


def _search(case: dict[str, Any], events: list[dict[str, Any]]) -> list[Any]:
    dataset = DATASETS[case["dataset"]]
    compiled = compile_query(
        case["query"],
        event_category_field=dataset["category"],
        timestamp_field=dataset["timestamp"],
        tiebreaker_field=dataset["tiebreaker"],
        field_types=dataset["types"],
        mapped_fields=dataset["mapped"],
    )
    return [event[dataset["id"]] for (event,) in compiled.search(events)]


def _check(case: dict[str, Any], found: list[Any]) -> None:
    assert found in [case["expected"], *case.get("expected_alternatives", [])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_finds_the_expected_events(case):
    """The ids of the matching events, in order."""
    _check(case, _search(case, _events(case["dataset"])))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_finds_the_same_with_dotted_keys(case):
    """``{"process.name": ...}`` is the field that ``{"process": {"name": ...}}`` is."""
    _check(case, _search(case, [_dotted(event) for event in _events(case["dataset"])]))


def test_all_cases_are_read():
    """A change of the case file must not silently leave cases out."""
    assert len(CASES) == 216
