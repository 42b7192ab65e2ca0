"""Real queries: shared conformance cases and a rule collection, read when they are present."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.parser import parse_query
from streamproc.eql.printer import print_query
from tests.eql.conformance import load

SHARED = Path(__file__).parents[3] / "shared"


CASES = (load("cases.json") or {"cases": []})["cases"]
RULES = sorted((SHARED / "corpus" / "detection-rules").rglob("*.toml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_conformance_case(case: dict[str, Any]) -> None:
    """A case of kind ``parse`` is accepted or refused as it says; the others are accepted."""
    if case["expected"] == "reject":
        with pytest.raises(EqlSyntaxError):
            parse_query(case["query"])
    else:
        query = parse_query(case["query"])
        assert parse_query(print_query(query)) == query


def test_random_sequences_parse() -> None:
    cases = load("sequences.json") or []
    if not cases:
        pytest.skip("no shared conformance cases here")
    for case in cases:
        parse_query(case["query"])


def test_detection_rules_parse_and_print() -> None:
    """Every EQL rule is accepted, and its normal form means the same."""
    if not RULES:
        pytest.skip("no shared rules here")
    count = 0
    for path in RULES:
        rule = tomllib.loads(path.read_text(encoding="utf-8")).get("rule", {})
        if rule.get("language") == "eql":
            query = parse_query(rule["query"])
            printed = print_query(query)
            assert parse_query(printed) == query, path.name
            assert print_query(parse_query(printed)) == printed
            count += 1
    assert count > 0
