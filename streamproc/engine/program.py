"""A rule set compiled for running: prefilter, matchers and index patterns, all by rule position.

Law of the file: a program never changes; a reload compiles a new one beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from streamproc.engine.prefilter import Prefilter
from streamproc.eql.event import Event
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery
from streamproc.ruleset.indices import IndexSelector
from streamproc.ruleset.rule import Rule
from streamproc.ruleset.ruleset import RuleSet

Matcher: TypeAlias = Callable[[Event], bool]
Progress: TypeAlias = Callable[[int, int], None]


class Program:
    """The single-event rules of a rule set, ready to run.

    Attributes:
        rules: The rules that run, in the order that positions count.
        matchers: Their compiled queries, by the same positions.
        prefilter: Finds candidates among undecoded records; answers in positions.
        selector: Which positions look at an event, by its index name.
        digest: Digest of the rule set.
    """

    def __init__(self, ruleset: RuleSet, progress: Progress | None = None) -> None:
        """Compile; ``progress`` is called with rules done and rules in all."""
        self.digest = ruleset.digest
        self.rules: tuple[Rule, ...] = tuple(r for r in ruleset.rules if not r.is_sequence)
        matchers = []
        clauses = []
        for done, rule in enumerate(self.rules, 1):
            query = rule.query.body
            if not isinstance(query, EventQuery):
                raise TypeError(f"{rule.path}: the loader lets no {type(query).__name__} through")
            matchers.append(rule.matchers[0])
            clauses.append(required_clauses(query, rule.event_category_field))
            if progress is not None:
                progress(done, len(self.rules))
        self.matchers: tuple[Matcher, ...] = tuple(matchers)
        self.prefilter = Prefilter(clauses)
        self.selector = IndexSelector(self.rules)
