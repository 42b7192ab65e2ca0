"""The published conformance cases, which lie beside the checkout, not in it.

Without them the lists are empty and the tests that use them skip.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.eql import CompiledQuery, compile_query

FOLDER = Path(__file__).parents[3] / "shared" / "conformance"


def load(name: str) -> Any:
    """The content of a case file; None without it."""
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else None


_CONTENT = load("cases.json") or {"datasets": {}, "cases": []}
_EVENTS: dict[str, list[dict[str, Any]]] = {}

needs_cases = pytest.mark.skipif(
    not _CONTENT["cases"], reason="conformance cases are not beside the checkout"
)


def cases_of(kind: str) -> list[dict[str, Any]]:
    """All cases of a kind, in the order of the file."""
    return [case for case in _CONTENT["cases"] if case["kind"] == kind]


def dataset_of(case: dict[str, Any]) -> dict[str, Any]:
    """What is said of the events that a case searches."""
    dataset: dict[str, Any] = _CONTENT["datasets"][case["dataset"]]
    return dataset


def events_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that a case searches."""
    name = case["dataset"]
    if name not in _EVENTS:
        lines = (FOLDER / dataset_of(case)["file"]).read_text().splitlines()
        _EVENTS[name] = [json.loads(line) for line in lines]
    return _EVENTS[name]


def compiled(case: dict[str, Any]) -> CompiledQuery:
    """The query of a case, compiled as its dataset asks."""
    dataset = dataset_of(case)
    return compile_query(
        case["query"],
        event_category_field=dataset["category"],
        timestamp_field=dataset["timestamp"],
        tiebreaker_field=dataset["tiebreaker"],
        field_types=dataset["types"],
        mapped_fields=dataset.get("mapped"),
    )


def expected(case: dict[str, Any]) -> list[Any]:
    """The answers of which any is right."""
    return [case["expected"], *(case.get("expected_alternatives") or [])]


def dotted(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same event with one flat level of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            flat.update(dotted(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
