"""A rule set depends on its rules alone, not on where they lay or in which order they came."""

import random

from streamproc.ruleset import build_ruleset, rule_from_query
from streamproc.ruleset.ruleset import RuleSet


def test_the_order_of_reading_changes_nothing():
    """Rules stand in the order of their ids; the digest is the same."""
    made = [rule_from_query(f"any where x == {n}", rule_id=f"id-{n}") for n in range(5)]
    shuffled = random.Random(7).sample(made, 5)

    one, other = build_ruleset(made), build_ruleset(shuffled)
    assert [rule.rule_id for rule in other.rules] == [f"id-{n}" for n in range(5)]
    assert one.digest == other.digest
    assert len(one.digest) == 64


def test_every_change_of_a_rule_changes_the_digest():
    """Query, version, text, guide and investigate queries all take part."""
    note = '!{investigate{"label":"L","providers":[[{"field":"a","value":"b"}]]}}'
    variants = [
        rule_from_query("any where true"),
        rule_from_query("any where not false"),
        rule_from_query("any where true", version=2),
        rule_from_query("any where true", description="other"),
        rule_from_query("any where true", note="guide"),
        rule_from_query("any where true", note=note),
        rule_from_query("any where true", index=["logs-*"]),
    ]

    assert len({build_ruleset([rule]).digest for rule in variants}) == len(variants)


def test_equal_versions_are_decided_by_content_not_by_order():
    """Two workers that find the files in different orders run the same rule."""
    one, other = rule_from_query("any where x == 1"), rule_from_query("any where x == 2")

    first, second = build_ruleset([one, other]), build_ruleset([other, one])
    assert first.rules == second.rules
    assert first.digest == second.digest
    assert len(first.skipped) == len(first.warnings) == 1


def test_an_empty_rule_set_is_a_rule_set():
    """It has a digest, too."""
    empty = build_ruleset([])

    assert isinstance(empty, RuleSet)
    assert empty.rules == ()
    assert empty.digest
