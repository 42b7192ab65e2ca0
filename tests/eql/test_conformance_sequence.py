"""The published conformance cases of kind ``sequence``, nested and with dotted keys.

They lie beside the checkout, not in it; without them the tests skip. -1 stands for a
missing-event position. In the random cases the order of results that end with the same event is
left open: the language does not define it.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.eql import compile_query
from tests.eql.conformance import (
    cases_of,
    compiled,
    dataset_of,
    dotted,
    events_of,
    expected,
    load,
    needs_cases,
)

CASES = cases_of("sequence")
RANDOM_CASES = load("sequences.json") or []

pytestmark = needs_cases


def _as_written(document: dict[str, Any]) -> dict[str, Any]:
    return document


SHAPES = pytest.mark.parametrize("shape", [_as_written, dotted], ids=["written", "dotted"])


@SHAPES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_finds_the_expected_sequences(case, shape):
    """Ids of the events, in the exact order of the results, pipes included."""
    id_field = dataset_of(case)["id"]
    found = [
        [-1 if event is None else event[id_field] for event in result]
        for result in compiled(case).search(map(shape, events_of(case)))
    ]
    assert found in expected(case)


def _last(result: list[Any]) -> Any:
    return [event for event in result if event != -1][-1]


@SHAPES
@pytest.mark.parametrize("case", RANDOM_CASES, ids=lambda case: case["id"])
def test_random_case_finds_the_expected_sequences(case, shape):
    """In the order of their last events."""
    query = compile_query(
        case["query"], timestamp_field=case["timestamp"], tiebreaker_field=case["tiebreaker"]
    )
    found = [
        [-1 if event is None else event[case["id_field"]] for event in result]
        for result in query.search(map(shape, case["events"]))
    ]
    assert [_last(result) for result in found] == [_last(result) for result in case["expected"]]
    assert sorted(found) == sorted(case["expected"])


def test_all_cases_are_read():
    """A change of the case files must not silently leave cases out; a larger set is read whole."""
    assert len(CASES) >= 138
    assert len(RANDOM_CASES) >= 260
