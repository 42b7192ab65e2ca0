"""SUPPORTED_EQL.md is what the code says, leaves nothing out, and its examples do what they say."""

from __future__ import annotations

import json
import re

import pytest

from streamproc.eql import compile_query
from streamproc.eql.lexer import _TOKEN, KEYWORDS
from streamproc.eql.signatures import SIGNATURES
from tests.docs.eql_entries import CLAUSES, DEVIATIONS, FUNCTIONS, OPERATORS, Entry
from tests.docs.supported_eql import (
    CHECKOUT,
    COUNTS,
    DOCUMENT,
    count_corpus,
    is_single,
    render,
    status,
)

EVERYTHING = (*CLAUSES, *OPERATORS, *FUNCTIONS, *DEVIATIONS)
NAMES = {name for entry in (*CLAUSES, *OPERATORS, *FUNCTIONS) for name in entry.names}


def test_document_is_fresh():
    """Else: ``python -m tests.docs.supported_eql``."""
    assert DOCUMENT.read_text() == render()


@pytest.mark.skipif(not CHECKOUT.is_dir(), reason="no checkout of detection rules beside this one")
def test_counts_are_fresh():
    assert json.loads(COUNTS.read_text()) == count_corpus()


def test_every_function_and_keyword_has_an_entry():
    """``with`` and ``of`` only lead to others."""
    assert {signature.name for signature in SIGNATURES.values()} <= NAMES
    assert {"with", "of"} == KEYWORDS - NAMES


def test_every_symbol_has_an_entry():
    """Brackets, commas and the like say nothing by themselves."""
    symbols = re.findall(r"<=|>=|==|!=|!\[|[<>+\-*/%:]", "<= >= == != ![ < > + - * / % :")
    for symbol in symbols:
        found = _TOKEN.match(symbol)
        assert found is not None
        assert found.lastgroup == "symbol"
    assert set(symbols) <= NAMES


@pytest.mark.parametrize("entry", EVERYTHING, ids=lambda entry: entry.names[0])
def test_example_does_what_it_says(entry: Entry):
    """It finds its hits and none of its misses; or it is refused, and then it has neither."""
    if status(entry.query).startswith("refused") and "elsewhere yes" not in status(entry.query):
        assert entry.hits == entry.misses == ()
        return
    search = compile_query(entry.query).search
    if is_single(entry):
        assert all(search([event]) == [(event,)] for event in entry.hits)
        assert not any(search([event]) for event in entry.misses)
    else:
        assert len(search(entry.hits)) == 1
        assert search(entry.misses) == []
    assert entry.hits or entry.misses


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("any where true", "yes"),
        ("any where true | tail 1", "refused: `| tail` is not run on a stream; elsewhere yes"),
        ("any where a[0] == 1", "refused: "),
        ("sample by a [b where true] [c where true]", "refused: `sample` is not run on a stream; "),
    ],
)
def test_status_is_what_the_loader_says(query: str, said: str):
    assert status(query).startswith(said)
