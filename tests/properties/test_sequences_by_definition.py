"""The sequence machine answers what the definition says, on random queries and streams."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql import compile_query
from tests.eql.sequence_reference import Definition, Happening, find_sequences
from tests.properties.sequence_cases import definitions, document, query_text, streams


@settings(max_examples=300, deadline=None)
@given(definitions(), streams(), st.randoms(use_true_random=False))
def test_search_equals_the_definition(
    definition: Definition, happenings: list[Happening], random
) -> None:
    """However the events are shuffled: the tiebreaker puts those of one time in order."""
    # Numbers before text before nothing: the order that ties are asked to have.
    breakers = [*range(len(happenings) - 2), "text", None]
    documents = [document(h, breaker) for h, breaker in zip(happenings, breakers, strict=True)]
    random.shuffle(documents)
    compiled = compile_query(query_text(definition), tiebreaker_field="tie")

    found = [
        tuple(None if event is None else event["id"] for event in result)
        for result in compiled.search(documents)
    ]

    assert sorted(found, key=repr) == find_sequences(definition, happenings)
    last_ids = [max(ident for ident in result if ident is not None) for result in found]
    assert last_ids == sorted(last_ids)


@settings(max_examples=60, deadline=None)
@given(definitions(), streams())
def test_without_a_tiebreaker_arrival_decides(
    definition: Definition, happenings: list[Happening]
) -> None:
    """Events of one time count in the order in which they come."""
    compiled = compile_query(query_text(definition))

    found = [
        tuple(None if event is None else event["id"] for event in result)
        for result in compiled.search(map(document, happenings))
    ]

    assert sorted(found, key=repr) == find_sequences(definition, happenings)
