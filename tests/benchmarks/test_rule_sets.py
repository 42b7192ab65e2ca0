"""Rules written for the benchmark: they load, and concern what they should."""

from __future__ import annotations

import subprocess
from collections import Counter

import orjson
import pytest

from benchmarks.contenders.paired_rules import RULES, write_pairs
from benchmarks.contenders.rule_sets import write_unconcerned
from benchmarks.contenders.rules import EVENT_IDS, Matchers, alert_name
from benchmarks.install import rsigma, rsigma_is_built
from benchmarks.traffic.stream import Traffic
from streamproc.engine.program import Program
from streamproc.eql.event import Event
from streamproc.ruleset.loader import load_rules

EVENTS = 4_000


def test_unconcerned_rules_load_and_have_different_ids(tmp_path):
    """As many as asked for, none rejected."""
    loaded = load_rules([write_unconcerned(tmp_path, 60)])

    assert not loaded.rejected
    assert len({rule.rule_id for rule in loaded.rules}) == 60


def test_traffic_does_not_concern_them(tmp_path):
    """Not even as candidates: otherwise the benchmark would measure their matchers."""
    program = Program(load_rules([write_unconcerned(tmp_path, 200)]))
    values = [value for _, value in Traffic().events(1_000)]

    assert program.prefilter.candidates(values) == []


def test_every_paired_rule_loads(tmp_path):
    """In its EQL form, under the id of its Sigma form."""
    eql, sigma = write_pairs(tmp_path)
    loaded = load_rules([eql])

    assert not loaded.rejected
    assert {rule.rule_id for rule in loaded.rules} == {rule.rule_id for rule in RULES}
    for rule, path in zip(RULES, sorted(sigma.iterdir()), strict=True):
        assert f"id: {rule.rule_id}\n" in path.read_text()


def test_paired_rules_match_attacks_and_little_else(tmp_path):
    """About as rarely as the shipped rules."""
    eql, _ = write_pairs(tmp_path)
    matchers, traffic = Matchers([eql]), Traffic()
    for _, value in traffic.events(EVENTS):
        matchers.evaluate(value)
    found = {name.partition("|")[2] for name in matchers.found}

    assert found == {f"{planted.host_id}|{planted.event_id}" for planted in traffic.planted}


@pytest.mark.skipif(not rsigma_is_built(), reason="RSigma is not built: make bench does it")
def test_rsigma_finds_the_same_with_the_sigma_forms(tmp_path):
    """Event by event, on traffic that is full of attacks and near misses."""
    eql, sigma = write_pairs(tmp_path)
    values = [v for _, v in Traffic(alert_every=20, near_misses=0.2).events(EVENTS)]
    events = tmp_path / "events.ndjson"
    events.write_bytes(b"".join(value + b"\n" for value in values))
    command = [rsigma(), "engine", "eval", "--rules", sigma, "--event", f"@{events}"]
    options = ["--input-format", "json", "--output-format", "ndjson", "--include-event"]
    done = subprocess.run([*command, *options], capture_output=True, check=True)
    matches = map(orjson.loads, done.stdout.splitlines())
    found = Counter(
        alert_name(str(match["rule_id"]), Event(match["event"]), EVENT_IDS) for match in matches
    )

    ours = Matchers([eql])
    for value in values:
        ours.evaluate(value)
    assert len(found) >= EVENTS // 20
    assert found == Counter(ours.found)
