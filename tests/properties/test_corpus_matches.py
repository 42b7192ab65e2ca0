"""Elastic's own rules through the whole path: bytes, prefilter, index, decoding, matcher, alert.

For every single-event rule of a detection-rules checkout beside the repository (if there is one)
an event is built from the rule's own syntax tree that must raise its alert, and events that lack
what some condition demands, that are of another category or lie in another index, which must
not. The events that must not match are told from the tree, not by the matcher.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson
import pytest

from streamproc.engine.batch import RecordList
from streamproc.engine.detector import Detector, DetectorOptions
from streamproc.engine.program import Program
from streamproc.eql.event import Event
from streamproc.eql.nodes import EventQuery
from streamproc.model import Record
from streamproc.ops.counters import Counters
from streamproc.ruleset import load_rules
from streamproc.ruleset.rule import Rule
from tests.properties.event_solver import Fields, breaking_fields, solved
from tests.properties.spellings import encode, layout

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "detection-rules"
SEED = 20260821

# Rules for which no event can be made up; each with the reason.
UNSOLVED: dict[str, str] = {}

# ``logs-endpoint.events.process-*`` and the like: an index that can be written down.
_STREAM = re.compile(r"(logs|metrics|traces)-([^*-]+)(-\*|\*)")
_STREAM_FIELDS = ("data_stream.type", "data_stream.dataset", "data_stream.namespace")

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="no checkout of detection rules beside this one"
)


class Case(NamedTuple):
    """One record, the rule that it is about and whether it must raise its alert."""

    rule_id: str
    what: str
    value: bytes
    is_match: bool


@functools.cache
def rules() -> tuple[Rule, ...]:
    return tuple(rule for rule in load_rules([CORPUS]).rules if not rule.is_sequence)


@functools.cache
def events() -> dict[str, Fields]:
    """Rule id to the fields of an event that was made to match it."""
    rng = Random(SEED)
    found = {}
    for rule in rules():
        fields = solved(_query(rule), rng, rule.event_category_field)
        if fields is not None:
            found[rule.rule_id] = fields
    return found


def test_an_event_can_be_made_for_every_rule():
    """All of them; a rule that cannot be solved stands in UNSOLVED with its reason."""
    unsolved = {Path(rule.path).name for rule in rules() if rule.rule_id not in events()}

    assert unsolved == set(UNSOLVED)


def test_most_rules_can_be_broken():
    """A rule all of whose conditions are negated has nothing to take away."""
    broken = [rule for rule in rules() if [*breaking_fields(_query(rule).condition)]]

    assert len(broken) >= 0.95 * len(rules())


def test_events_made_for_rules_raise_their_alerts_and_broken_ones_do_not():
    """Every rule, all rules loaded at once, each event written in three ways."""
    cases = [case for rule in rules() if rule.rule_id in events() for case in _cases(rule)]
    raised = _alerts([case.value for case in cases])

    wrong = [
        (case.what, case.is_match, case.value)
        for number, case in enumerate(cases)
        if (case.rule_id in raised[number]) != case.is_match
    ]
    assert wrong == []
    assert sum(case.is_match for case in cases) >= 2 * len(events())
    assert sum(not case.is_match for case in cases) >= 2 * len(events())


def _query(rule: Rule) -> EventQuery:
    query = rule.query.body
    assert isinstance(query, EventQuery)
    return query


def _cases(rule: Rule) -> list[Case]:
    rng = Random(f"{SEED} {rule.rule_id}")
    fields = dict(events()[rule.rule_id])
    name = Path(rule.path).name
    stream = _stream(rule, fields)
    whole = fields | stream
    cases = [
        Case(rule.rule_id, f"{name}, plain", orjson.dumps(_single(whole)), True),
    ]
    for escaping in (0.0, 0.3):
        # Some of these have further values in arrays, which a negated condition may see: whether
        # they still match is the matcher's to say, and all of the path has to agree with it.
        value = _spelled(rng, fields, escaping)
        is_match = rule.matchers[0](Event(orjson.loads(value)))
        cases.append(Case(rule.rule_id, f"{name}, spelled", value, is_match))
    for taken in breaking_fields(_query(rule).condition):
        rest = {path: values for path, values in whole.items() if path not in taken}
        what = f"{name}, without {sorted(taken)}"
        cases.append(Case(rule.rule_id, what, orjson.dumps(_single(rest)), False))
    if _query(rule).category is not None:
        other = whole | {rule.event_category_field: ["no such category"]}
        cases.append(Case(rule.rule_id, f"{name}, category", orjson.dumps(_single(other)), False))
    if stream:
        other = whole | {"data_stream.type": ["synthetics"]}
        cases.append(Case(rule.rule_id, f"{name}, index", orjson.dumps(_single(other)), False))
    return cases


def _stream(rule: Rule, fields: Fields) -> Fields:
    """Where the event lies, by one of the rule's index patterns; {} if the query itself says."""
    if any(path in fields for path in _STREAM_FIELDS):
        return {}
    for pattern in rule.indices:
        found = _STREAM.fullmatch(pattern)
        if found:
            return dict(zip(_STREAM_FIELDS, ([found[1]], [found[2]], ["default"]), strict=True))
    return {}


def _single(fields: Fields) -> dict[str, Any]:
    """Scalars where there is one value, nested objects as events have them."""
    document: dict[str, Any] = {}
    for path, values in fields.items():
        node = document
        *places, last = path.split(".")
        for place in places:
            node = node.setdefault(place, {})
            if not isinstance(node, dict):  # the rule reads a.b and a.b.c: only flat keys do
                return {path: v[0] if len(v) == 1 else v for path, v in fields.items()}
        if last in node:
            return {path: v[0] if len(v) == 1 else v for path, v in fields.items()}
        node[last] = values[0] if len(values) == 1 else values
    return document


def _spelled(rng: Random, fields: Fields, escaping: float) -> bytes:
    single = {path: values[0] if len(values) == 1 else values for path, values in fields.items()}
    return encode(rng, layout(rng, single), escaping).encode()


def _alerts(values: list[bytes]) -> dict[int, set[str]]:
    """Record number to the ids of the rules that raised an alert for it."""
    detector = Detector(Program(load_rules([CORPUS])), DetectorOptions(), Counters())
    records = [
        Record(value, "events", 0, number, 1_767_225_600_000, [])
        for number, value in enumerate(values)
    ]
    found: dict[int, set[str]] = defaultdict(set)
    for start in range(0, len(records), 500):
        detections = detector.process(RecordList(records[start : start + 500]), 1_767_225_600_000)
        assert detections.dead_letters == []
        for output in detections.alerts:
            alert = orjson.loads(output.value)
            # Sequences may complete, too; they are other tests' business.
            if alert["kibana.alert.rule.rule_id"] in events():
                found[alert["streamproc.record.offset"]].add(alert["kibana.alert.rule.rule_id"])
    return found
