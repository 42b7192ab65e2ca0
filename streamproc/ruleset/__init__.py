"""Rules: the file format, the loader, and the set of all rules that run."""

from streamproc.ruleset.indices import IndexSelector
from streamproc.ruleset.investigate import Investigation, Provider
from streamproc.ruleset.loader import load_rules, rule_from_query
from streamproc.ruleset.rule import Rule
from streamproc.ruleset.ruleset import RuleSet, Skipped, build_ruleset

__all__ = [
    "IndexSelector",
    "Investigation",
    "Provider",
    "Rule",
    "RuleSet",
    "Skipped",
    "build_ruleset",
    "load_rules",
    "rule_from_query",
]
