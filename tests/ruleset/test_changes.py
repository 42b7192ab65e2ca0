"""What a new rule set would change, and which sets may not replace the one that runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamproc.errors import RuleError
from streamproc.ruleset.changes import changes, is_unchanged, refusal
from streamproc.ruleset.loader import rule_from_query
from streamproc.ruleset.ruleset import build_ruleset

A = rule_from_query("process where true", rule_id="a")
B = rule_from_query("file where true", rule_id="b")
C = rule_from_query("network where true", rule_id="c")


def broken(*paths):
    return [RuleError(path, "not TOML", 3, 1) for path in paths]


def test_rules_are_told_by_their_ids():
    """Added, changed and removed, whatever the order of reading."""
    new_b = rule_from_query("file where false", rule_id="b")
    found = changes(build_ruleset([A, B]), build_ruleset([C, new_b]))
    assert found == (("c",), ("b",), ("a",))
    assert str(found) == "1 added, 1 changed, 1 removed"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (A, True),
        (replace(A, path="elsewhere/a.toml"), True),
        (rule_from_query("process where true", rule_id="a", severity="high"), False),
        (rule_from_query("process where true", rule_id="a", false_positives=["x"]), False),
        (replace(A, created_at="2026-01-01T00:00:00.000Z"), False),
    ],
    ids=["same", "moved", "severity", "a key that is passed on", "a date"],
)
def test_unchanged_is_what_finds_and_says_the_same(other, expected):
    """Wherever it lies; also what is no part of the digest counts."""
    assert is_unchanged(build_ruleset([A]), build_ruleset([other])) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (build_ruleset([A, B]), build_ruleset([A]), None),
        (build_ruleset([A]), build_ruleset([A, B], broken()), None),
        (build_ruleset([A], broken("x")), build_ruleset([A, B], broken("x")), None),
        (build_ruleset([A], broken("x", "y")), build_ruleset([A], broken("y")), None),
        (
            build_ruleset([A, B]),
            build_ruleset([A], broken("b.toml")),
            "1 file is newly broken, first b.toml:3:1: not TOML",
        ),
        (
            build_ruleset([A], broken("x")),
            build_ruleset([A, B], broken("x", "y", "y", "z")),
            "2 files are newly broken, first y:3:1: not TOML",
        ),
        (build_ruleset([A]), build_ruleset([]), "no rule could be loaded"),
        (build_ruleset([A], broken("x")), build_ruleset([], broken("x")), "no rule could be"),
    ],
    ids=[
        "a rule is taken away",
        "a rule is added",
        "still broken",
        "repaired",
        "a rule breaks",
        "a new file is broken beside an old one",
        "nothing is left",
        "only broken ones are left",
    ],
)
def test_set_that_is_broken_where_the_old_one_was_not_is_refused(old, new, expected):
    """Rules go when their files go, never because a file was damaged."""
    found = refusal(old, new)
    assert (found is None) if expected is None else found.startswith(expected)
