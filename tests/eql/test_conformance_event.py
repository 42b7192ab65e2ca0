"""The published conformance cases of kind ``event``, nested and with dotted keys.

They lie beside the checkout, not in it; without them the tests skip. Expected order is by
timestamp and tiebreaker, which ``search`` gives by itself, pipes included.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.eql.conformance import (
    cases_of,
    compiled,
    dataset_of,
    dotted,
    events_of,
    expected,
    needs_cases,
)

# The index replaces null by a text there; a stream has no index.
LEFT_OUT_TAG = "null_value-mapping"
CASES = [case for case in cases_of("event") if LEFT_OUT_TAG not in case["tags"]]

pytestmark = needs_cases


def _search(case: dict[str, Any], events: list[dict[str, Any]]) -> list[Any]:
    id_field = dataset_of(case)["id"]
    return [event[id_field] for (event,) in compiled(case).search(events)]


def _check(case: dict[str, Any], found: list[Any]) -> None:
    assert found in expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_finds_the_expected_events(case):
    """The ids of the matching events, in order."""
    _check(case, _search(case, events_of(case)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_finds_the_same_with_dotted_keys(case):
    """``{"process.name": ...}`` is the field that ``{"process": {"name": ...}}`` is."""
    _check(case, _search(case, [dotted(event) for event in events_of(case)]))


def test_all_cases_are_read():
    """A change of the case file must not silently leave cases out; a larger set is read whole."""
    assert len(CASES) >= 216
