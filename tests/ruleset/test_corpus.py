"""Elastic's own rules load, all of them, where a checkout lies beside this one."""

import json
from pathlib import Path

import pytest

from streamproc.ruleset import load_rules

CHECKOUT = Path(__file__).parents[2].parent / "shared" / "corpus" / "detection-rules"


@pytest.fixture(scope="module")
def corpus():
    if not CHECKOUT.is_dir():
        pytest.skip("no detection-rules checkout")
    return load_rules([CHECKOUT])


def test_every_rule_of_the_corpus_loads(corpus):
    """Nothing may be rejected but what cannot run on a stream, which its reason names."""
    refused = ("`sample`", "`| head`", "`| tail`")

    assert [error for error in corpus.rejected if not error.reason.startswith(refused)] == []
    files = [path for path in CHECKOUT.rglob("*.toml") if ".test." not in path.name]
    assert len(corpus.rules) + len(corpus.rejected) + len(corpus.skipped) == len(files)


def test_versions_come_from_the_lock(corpus):
    """For every rule that is in it."""
    lock = json.loads((CHECKOUT / "detection_rules" / "etc" / "version.lock.json").read_bytes())
    known = {rule.rule_id: rule.version for rule in corpus.rules if rule.rule_id in lock}

    assert known
    assert known == {rule_id: lock[rule_id]["version"] for rule_id in known}


def test_investigate_queries_and_texts_are_whole(corpus):
    """No pointer to an existing table is left, and text is on one line."""
    assert sum(bool(rule.investigate) for rule in corpus.rules) > 10
    for rule in corpus.rules:
        assert "\n" not in rule.description
        assert "$investigate_0" not in rule.note
        assert bool(rule.investigate) >= ("!{investigate{" in rule.note)
    assert not [text for text in corpus.warnings if "investigate" in text]
