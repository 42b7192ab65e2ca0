"""All rules that run, with what was left out and why.

Law of the file: a ``RuleSet`` never changes. It depends on the rules alone: not on where they lay
or in which order they were read. A reload builds a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from streamproc.errors import RuleError
from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.rule import Rule, canonical_json


class Skipped(NamedTuple):
    """A file that was read and left out though nothing is wrong with it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Every rule found, in the order of the rule ids.

    Attributes:
        rules: The rules; a rule's position here is its number in the engine.
        rejected: Every error found, in the order of the files.
        skipped: Files left out, with the reason.
        warnings: Sentences about rules that were loaded, each opening with the path.
        digest: SHA-256 in hex over ids, versions and contents of the rules.
        fingerprint: Of the files, before they were read (``sources.fingerprint``); "" without.
    """

    rules: tuple[Rule, ...]
    rejected: tuple[RuleError, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    digest: str = ""
    fingerprint: str = field(default="", compare=False)


def build_ruleset(
    rules: Iterable[Rule],
    rejected: Iterable[RuleError] = (),
    skipped: Iterable[Skipped] = (),
    warnings: Iterable[str] = (),
    breathe: Breathe = go_on,
) -> RuleSet:
    """Make a rule set of rules in any order; of two with one id the higher version is kept.

    Between equal versions the content decides, so that the outcome does not hang on the order.
    """
    kept: dict[str, tuple[tuple[int, str], Rule]] = {}
    all_skipped = list(skipped)
    all_warnings = list(warnings)
    for rule in rules:
        breathe()
        rank = (rule.version, rule.content_digest())
        other = kept.get(rule.rule_id)
        if other is None:
            kept[rule.rule_id] = (rank, rule)
            continue
        winner, loser = (rule, other[1]) if rank > other[0] else (other[1], rule)
        kept[rule.rule_id] = (max(rank, other[0]), winner)
        all_skipped.append(
            Skipped(
                loser.path,
                f"rule {loser.rule_id} version {loser.version}: "
                f"version {winner.version} in {winner.path} is kept",
            )
        )
        all_warnings.append(
            f"{loser.path}: rule id {loser.rule_id} also in {winner.path}; "
            f"version {winner.version} is kept, version {loser.version} left out"
        )
    ordered = [kept[rule_id] for rule_id in sorted(kept)]
    content = [[rule.rule_id, *rank] for rank, rule in ordered]
    return RuleSet(
        rules=tuple(rule for _, rule in ordered),
        rejected=tuple(rejected),
        skipped=tuple(all_skipped),
        warnings=tuple(all_warnings),
        digest=hashlib.sha256(canonical_json(content)).hexdigest(),
    )
