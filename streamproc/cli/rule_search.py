"""The one rule that somebody means by a path, a rule id or a part of a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamproc.cli.rule_paths import load
from streamproc.errors import InputError
from streamproc.ruleset.rule import Rule

_SHOWN_MAX = 10


def find_rule(wanted: str, paths: Sequence[str]) -> Rule:
    """Return the rule meant.

    Args:
        wanted: A rule file; else a rule id, whole or its beginning; else a part of a name, in
            any case.
        paths: Where to look for an id or a name; the shipped rules if empty.

    Raises:
        InputError: Nothing fits, several rules do, or the file cannot be loaded.
    """
    if Path(wanted).is_file():
        ruleset = load([wanted])
        if ruleset.rejected:
            raise InputError(str(ruleset.rejected[0]))
        if not ruleset.rules:
            reasons = "; ".join(reason for _, reason in ruleset.skipped) or "it is no rule"
            raise InputError(f"{wanted}: is skipped: {reasons}")
        return ruleset.rules[0]
    ruleset = load(paths)
    found = _matching(wanted.strip().lower(), ruleset.rules)
    if len(found) == 1:
        return found[0]
    if found:
        listed = "".join(f"\n  {rule.rule_id}  {rule.name}" for rule in found[:_SHOWN_MAX])
        more = f"\n  and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
        raise InputError(
            f"{wanted!r} fits {len(found)} rules; say more, or name the id:{listed}{more}"
        )
    lost = [error for error in ruleset.rejected if wanted.lower() in str(error).lower()]
    if lost:
        raise InputError(f"the rule cannot be loaded: {lost[0]}")
    where = ", ".join(paths) or "the shipped rules (others: --rules PATH)"
    raise InputError(f"no file, rule id or name fits {wanted!r} in {where}")


def _matching(wanted: str, rules: Sequence[Rule]) -> list[Rule]:
    exact = [rule for rule in rules if wanted in (rule.rule_id.lower(), rule.name.lower())]
    if exact:
        return exact
    return [
        rule
        for rule in rules
        if rule.rule_id.lower().startswith(wanted) or wanted in rule.name.lower()
    ]
