"""Real rules: an event made to match each of them is among its rule's candidates.

Reads a checkout of Elastic's detection rules beside the repository, if there is one. Events are
solved from the rule's tree (values for what must hold, nothing for what must not) until the
compiled matcher confirms one.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from streamproc.engine.prefilter import Prefilter
from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery, Sequence
from streamproc.eql.parser import parse_query
from tests.properties.event_solver import solved
from tests.properties.spellings import encode, layout

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "detection-rules"
SHIPPED = Path(__file__).parents[2] / "rules"


@functools.cache
def queries() -> tuple[tuple[str, EventQuery], ...]:
    """Name and query of every event rule and of every step of a sequence."""
    found = []
    for folder in (SHIPPED, CORPUS):
        for path in sorted(folder.rglob("*.toml")):
            rule = tomllib.loads(path.read_text(encoding="utf-8")).get("rule", {})
            if rule.get("language") != "eql":
                continue
            body = parse_query(rule["query"]).body
            if isinstance(body, EventQuery):
                found.append((path.name, body))
            elif isinstance(body, Sequence):
                found += [(path.name, term.query) for term in body.terms]
    return tuple(found)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no checkout of detection rules beside this one")
def test_solved_events_are_candidates_of_their_rule() -> None:
    """One prefilter over all rules keeps every solved event for its rule, escaped or not."""
    rng = Random(20260821)
    prefilter = Prefilter([required_clauses(query) for _, query in queries()])
    values, owners = [], []
    for position, (_, query) in enumerate(queries()):
        fields = solved(query, rng)
        if fields is None:
            continue
        single = {path: value[0] if len(value) == 1 else value for path, value in fields.items()}
        values.append(orjson.dumps(single))
        other = {path: flipped(v) if path != "event.category" else v for path, v in single.items()}
        values.append(encode(rng, layout(rng, other), 0.0).encode())
        values.append(encode(rng, layout(rng, single), rng.choice((0.01, 0.5))).encode())
        owners += [position] * 3
    found = dict(prefilter.candidates(values))
    for index, position in enumerate(owners):
        document = orjson.loads(values[index])
        name, query = queries()[position]
        if compile_event_query(query, CompileOptions())(Event(document)):
            assert position in found.get(index, ()), (name, values[index])
    assert len(values) / 3 == len(queries())


def flipped(value: Any) -> Any:
    """Strings in the other case; whether the event still matches is the matcher's to say."""
    if isinstance(value, list):
        return [flipped(item) for item in value]
    return value.swapcase() if isinstance(value, str) else value


def test_shipped_rules_need_their_literals() -> None:
    """No shipped rule is a candidate for a record that has none of its texts."""
    shipped = [query for name, query in queries() if any(SHIPPED.rglob(name))]
    assert Prefilter([required_clauses(query) for query in shipped]).candidates([b"{}"]) == []
