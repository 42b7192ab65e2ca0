"""Searching lists of events: order, pipes, what is refused."""

from __future__ import annotations

import pytest

from streamproc.eql import CompiledQuery, EqlSyntaxError, compile_query


def _ids(query: str, events: list[dict], **options) -> list:
    return [event["id"] for (event,) in compile_query(query, **options).search(events)]


def test_search_sorts_by_timestamp_to_the_nanosecond():
    """ISO text of any precision and epoch milliseconds mix; no timestamp sorts last."""
    events = [
        {"id": 1, "@timestamp": "2024-01-01T00:00:00.000000002Z"},
        {"id": 2},
        {"id": 3, "@timestamp": 1704067200001},
        {"id": 4, "@timestamp": "2024-01-01T00:00:00.000000001Z"},
        {"id": 5, "@timestamp": "2024-01-01T01:00:00+01:00"},
        {"id": 6, "@timestamp": "soon"},
    ]

    assert _ids("any where true", events) == [5, 4, 1, 3, 2, 6]


def test_ties_keep_their_order_of_arrival():
    """The sort is stable."""
    events = [{"id": n, "@timestamp": "2024"} for n in (3, 1, 2)]

    assert _ids("any where true", events) == [3, 1, 2]


def test_a_tiebreaker_decides_ties_and_null_comes_last():
    """Numbers before text before nothing."""
    breakers = [None, 2, "b", 1.5, [], "a", 10]
    events = [{"id": n, "@timestamp": "2024", "n": b} for n, b in enumerate(breakers)]

    assert _ids("any where true", events, tiebreaker_field="n") == [3, 1, 6, 5, 2, 0, 4]


def test_other_fields_may_order_and_name_the_category():
    """As a rule's overrides say, dotted keys included."""
    events = [
        {"id": 1, "event.created": "2025", "kind": "x"},
        {"id": 2, "event": {"created": "2024"}, "kind": "x"},
        {"id": 3, "event": {"created": "2024"}, "kind": "y"},
    ]

    found = _ids(
        "x where true", events, timestamp_field="event.created", event_category_field="kind"
    )

    assert found == [2, 1]


@pytest.mark.parametrize(
    ("pipes", "expected"),
    [
        ("| head 2", [0, 1]),
        ("| tail 2", [3, 4]),
        ("| head 4 | tail 2", [2, 3]),
        ("| tail 2 | head 1", [3]),
        ("| head 99", [0, 1, 2, 3, 4]),
        ("| tail 99", [0, 1, 2, 3, 4]),
        ("| head 0", []),
        ("| tail 0", []),
    ],
)
def test_pipes_apply_in_order(pipes, expected):
    """After sorting."""
    events = [{"id": n, "@timestamp": n * 100_000} for n in reversed(range(5))]

    assert _ids(f"any where true {pipes}", events) == expected


def test_search_returns_the_very_documents():
    """Tuples of one event each, nothing copied or changed."""
    event = {"a": [1, {"b": 2}]}
    found = compile_query("any where a == 1").search(iter([event]))

    assert found == [(event,)]
    assert found[0][0] is event


def test_field_types_and_mapped_fields_reach_the_matcher():
    """Declared types count; an optional field outside the mapping is null."""
    event = {"t": "2024-05-05", "f": "x"}

    assert compile_query('any where t == "2024"', field_types={"t": "date"}).search([event])
    assert not compile_query('any where t == "2024"').search([event])
    assert not compile_query('any where ?f : "x"', mapped_fields=["t"]).search([event])


def test_a_sample_compiles_and_is_not_searched():
    """It needs the whole past of every key: nothing for a stream."""
    compiled = compile_query("sample by host.id [process where true] [file where true]")

    assert isinstance(compiled, CompiledQuery)
    with pytest.raises(NotImplementedError, match="sample"):
        compiled.search([])


@pytest.mark.parametrize(
    "query",
    [
        "any where",
        'any where f regex "("',
        'sample by k [a where f regex "("] [b where true]',
        'sequence by k [a where true] [b where cidrMatch(ip, "x")]',
        'sequence by k [a where true] [b where true] until [c where f regex "("]',
    ],
)
def test_a_wrong_query_raises_when_compiled(query):
    """With a place; sequences and samples are looked through as well."""
    with pytest.raises(EqlSyntaxError) as caught:
        compile_query(query)

    assert caught.value.line == 1
    assert caught.value.column > 1
    assert caught.value.message
