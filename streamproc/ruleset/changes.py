"""What a new rule set would change, and whether it may replace the one that runs.

Law of the file: no rule goes by accident. A set with a file that is broken now and was not before
is refused as a whole, so that what runs is always what somebody has written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.rule import Rule
from streamproc.ruleset.ruleset import RuleSet


class Changes(NamedTuple):
    """Rule ids by what becomes of them, ascending."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.changed)} changed, {len(self.removed)} removed"


def changes(old: RuleSet, new: RuleSet, breathe: Breathe = go_on) -> Changes:
    """Return what differs between two rule sets."""
    before = {rule.rule_id: rule for rule in old.rules}
    after = {rule.rule_id: rule for rule in new.rules}
    both = sorted(before.keys() & after.keys())
    changed = []
    for item in both:
        if _differ(before[item], after[item]):
            changed.append(item)
        breathe()
    return Changes(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(changed),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


def is_unchanged(old: RuleSet, new: RuleSet, breathe: Breathe = go_on) -> bool:
    """Return whether two sets find and say the same."""
    return old.digest == new.digest and not any(changes(old, new, breathe))


def refusal(old: RuleSet, new: RuleSet) -> str | None:
    """Say why the new set may not replace the old one; None if it may.

    A file that was broken before and still is costs nothing: its rule does not run anyway. A rule
    whose file is gone was taken away on purpose.
    """
    if not new.rules:
        return "no rule could be loaded"
    broken_before = {error.path for error in old.rejected}
    newly = [error for error in new.rejected if error.path not in broken_before]
    if newly:
        count = len({error.path for error in newly})
        files = "1 file is" if count == 1 else f"{count} files are"
        return f"{files} newly broken, first {newly[0]}"
    return None


def _differ(old: Rule, new: Rule) -> bool:
    # Where a rule lies makes no difference; ``parameters`` take no part in the comparison.
    return old.parameters != new.parameters or replace(old, path=new.path) != new
