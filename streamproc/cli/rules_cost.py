"""``streamproc rules cost``: which rules are costly, on events of one's own.

Law of the file: it measures with the engine's own prefilter, decoder and matchers, and prints
times as this machine took them; shares are what carries over to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import click
import orjson

from streamproc.cli.console import Column, ReadingBar, count, print_table, say
from streamproc.engine.costs import CostReport, RuleCost
from streamproc.engine.program import Program
from streamproc.ndjson import NdjsonFile
from streamproc.ruleset.ruleset import RuleSet

_US = 1_000_000
_USELESS_SHARE = 0.5  # of the events; a prefilter that passes more is none


class Ranked(NamedTuple):
    """A rule with its cost; ``unhelped`` says why the prefilter cannot end events for it."""

    name: str
    rule_id: str
    cost: RuleCost
    unhelped: str


def measure(ruleset: RuleSet, files: Sequence[NdjsonFile]) -> tuple[CostReport, list[Ranked]]:
    """Run all events of the files through the rules.

    Returns:
        The report, and every rule that was ever a candidate, the costliest first.
    """
    program = Program(ruleset)
    report = CostReport()
    with ReadingBar("Measuring", files) as bar:
        for file in files:
            for batch in file.batches():
                report.add(program, [line.value for line in batch])
                bar.update(report.events)
    ranked = [
        Ranked(
            rule.name, rule.rule_id, report.rules[position], _unhelped(program, position, report)
        )
        for position, rule in enumerate(program.rules)
        if position in report.rules
    ]
    ranked.sort(key=lambda item: item.cost.total_s, reverse=True)
    return report, ranked


def print_cost(ruleset: RuleSet, files: Sequence[NdjsonFile], *, top: int, form: str) -> None:
    """Measure and print: a table for people, or one JSON object with all rules."""
    report, ranked = measure(ruleset, files)
    if form == "json":
        click.echo(orjson.dumps(_as_json(report, ranked), option=orjson.OPT_INDENT_2))
        return
    reading_s = sum(item.cost.reading_s for item in ranked)
    evaluated_s = sum(item.cost.evaluation_s for item in ranked)
    events = max(report.events, 1)
    print_table(
        [
            Column("Rule", is_elastic=True),
            Column("Candidate", is_number=True),
            Column("us/candidate", is_number=True),
            Column("us/event", is_number=True),
            Column("Share", is_number=True),
            Column("Prefilter"),
        ],
        [_row(item, events, reading_s + evaluated_s) for item in ranked[:top]],
    )
    hidden = len(ranked) - top
    if hidden > 0:
        say(f"{count(hidden, 'further rule')}: --top {len(ranked)} shows all.")
    for item in ranked[:top]:
        if item.unhelped:
            say(f"The prefilter cannot help {item.name}: {item.unhelped}.")
    say(
        f"{count(report.events, 'event')}: {report.passed / events:.2%} passed the prefilter"
        f" ({report.prefilter_s * _US / events:.2f} us/event); reading"
        f" {reading_s * _US / events:.2f}, evaluation {evaluated_s * _US / events:.2f} us/event."
        f" {count(len(ruleset.rules) - len(ranked), 'rule')} never a candidate."
    )


def _row(item: Ranked, events: int, total_s: float) -> list[str]:
    cost = item.cost
    return [
        item.name,
        f"{cost.candidates / events:.2%}",
        f"{cost.total_s * _US / cost.candidates:,.1f}",
        f"{cost.total_s * _US / events:,.3f}",
        f"{cost.total_s / total_s:.1%}" if total_s else "",
        "cannot help" if item.unhelped else "",
    ]


def _as_json(report: CostReport, ranked: list[Ranked]) -> dict[str, Any]:
    """Seconds and counts, unrounded."""
    return {
        "events": report.events,
        "undecodable": report.undecodable,
        "passed": report.passed,
        "prefilter_s": report.prefilter_s,
        "rules": [
            {
                "rule_id": item.rule_id,
                "name": item.name,
                "candidates": item.cost.candidates,
                "evaluation_s": item.cost.evaluation_s,
                "reading_s": item.cost.reading_s,
                "unhelped": item.unhelped,
            }
            for item in ranked
        ],
    }


def _unhelped(program: Program, position: int, report: CostReport) -> str:
    """Why the prefilter ends hardly any event for a rule (or a step of it); empty if not so."""
    for query in _queries(program, position):
        explanation = program.prefilter.describe(query)
        if explanation.trigger is None:
            return explanation.reason
    share = report.rules[position].candidates / report.events
    return f"what it looks for is in {share:.0%} of the events" if share > _USELESS_SHARE else ""


def _queries(program: Program, position: int) -> range:
    """The places of a rule's queries in the prefilter."""
    singles = len(program.matchers)
    if position < singles:
        return range(position, position + 1)
    rules = program.sequences.rules
    first = singles + sum(len(rule.queries) for rule in rules[: position - singles])
    return range(first, first + len(rules[position - singles].queries))
