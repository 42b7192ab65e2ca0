"""``streamproc rules``: whether rule files load, and what the engine does with one of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.text import Text

from streamproc.cli.console import Column, complain, count, print_table
from streamproc.cli.format_option import format_option
from streamproc.cli.outputs import STANDARD_OUTPUT, NdjsonOutput
from streamproc.cli.rule_paths import load, load_for_running, rules_option
from streamproc.cli.rule_search import find_rule
from streamproc.errors import RuleError
from streamproc.ndjson import open_files
from streamproc.ruleset.ruleset import RuleSet

EXIT_REJECTED = 1
EXIT_NO_MATCH = 1

# Beyond this many, skipped files are counted by reason on a terminal (a checkout skips hundreds).
_SKIPPED_SHOWN_MAX = 20

_EXCERPT_WIDTH = 100
_EXCERPT_LEAD = 40

CHECK_EPILOG = """\b
Examples:
  streamproc rules check my-rules/
  streamproc rules check ../detection-rules                  a whole checkout
  streamproc rules check --format json rules/ | jq '.rejected'
"""

EXPLAIN_EPILOG = """\b
Examples:
  streamproc rules explain "worker spawning"
  streamproc rules explain my-rules/windows/example.toml
  streamproc rules explain 483c4daf-b0c6-49e0-adf3-0bfa93231d6b --rules my-rules/
  streamproc rules explain "worker spawning" --event events.ndjson
"""

COST_EPILOG = """\b
Examples:
  streamproc rules cost --events events.ndjson.gz
  streamproc rules cost ../detection-rules --events day1.zst --events day2.zst --top 50
"""


@click.group(short_help="Check rules, explain them, rank them by cost.")
def rules() -> None:
    """Check rule files, see what the engine does with a rule, and what rules cost."""


@rules.command(epilog=CHECK_EPILOG, short_help="Say which rules load, and why the others do not.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@format_option
def check(paths: tuple[str, ...], form: str) -> None:
    """Load rules and say which are in order, which are rejected (and where), which skipped.

    A PATH is a rule file, a folder of them or a whole detection-rules checkout. Skipped are
    files that are well but not for this engine: deprecated rules, other query languages.

    Ends with 1 if any rule was rejected, or if there is no rule file at all.
    """  # fmt: skip
    ruleset = load(paths)
    if form == "json":
        with NdjsonOutput(STANDARD_OUTPUT) as output:
            output.write([orjson.dumps(as_json(ruleset), option=orjson.OPT_INDENT_2)])
    else:
        _print_report(ruleset)
    if not (ruleset.rules or ruleset.rejected or ruleset.skipped):
        complain(f"no rule file (*.toml) in {', '.join(paths)}")
        raise SystemExit(EXIT_REJECTED)
    if ruleset.rejected:
        raise SystemExit(EXIT_REJECTED)


@rules.command(epilog=EXPLAIN_EPILOG, short_help="Say what the engine does with a rule.")
@click.argument("rule")
@rules_option
@click.option(
    "--event",
    "file",
    metavar="FILE",
    help="Events (NDJSON, plain, gzip or zstd; - is standard input): say why they match or not.",
)
@click.option("--all", "is_all", is_flag=True, help="Show every event of FILE, not the first few.")
@click.option(
    "--clauses", is_flag=True, help="Of a sequence rule, show the clauses of each step, too."
)
def explain(
    rule: str, rules_paths: tuple[str, ...], file: str | None, is_all: bool, clauses: bool
) -> None:
    """Say what the engine does with a rule: a file, a rule id, or a part of a rule's name.

    Shown are the query as it was understood, the texts that the prefilter looks for (or why it
    cannot end any event), the fields that are read, the indices it applies to, and the context
    requests that go out with each alert.

    With --event, shown is instead why events match the rule or do not: each clause, whether it
    is true, and the values that it saw; of a sequence rule what each event begins, continues,
    completes or drops. Ends with 0 if anything matches, with 1 if nothing does.
    """
    # Here, so that ``rules check`` starts without the engine.
    from streamproc.cli.explain import explain_rule

    if file is None:
        if is_all or clauses:
            raise click.UsageError("--all and --clauses need --event FILE")
        explain_rule(find_rule(rule, rules_paths))
        return
    from streamproc.cli.explain_event import explain_events
    from streamproc.cli.explain_sequence import explain_sequence

    source = open_files([file])[0]
    chosen = find_rule(rule, rules_paths)
    if chosen.is_sequence:
        is_match = explain_sequence(chosen, source, is_all=is_all, has_clauses=clauses)
    else:
        is_match = explain_events(chosen, source, is_all=is_all)
    if not is_match:
        raise SystemExit(EXIT_NO_MATCH)


@rules.command(epilog=COST_EPILOG, short_help="Rank rules by what they cost per event.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--events",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Events (NDJSON, plain, gzip or zstd; - is standard input); may be repeated.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many rules to show.",
)
@format_option
def cost(paths: tuple[str, ...], files: tuple[str, ...], top: int, form: str) -> None:
    """Rank rules by what they cost per event, on events of yours.

    A rule costs where the prefilter lets an event through for it: the event is read (a cost that
    its candidate rules share) and the rule is evaluated. Named are the rules that the
    prefilter cannot help, because no text must occur in every event that they match.

    A PATH is a rule file, a folder of them or a checkout.  [default: the shipped rules]
    """
    from streamproc.cli.rules_cost import print_cost

    sources = open_files(files)
    print_cost(load_for_running(paths), sources, top=top, form=form)


def as_json(ruleset: RuleSet) -> dict[str, list[Any]]:
    """Return what was loaded, rejected and skipped, ready for JSON; places count from 1."""
    return {
        "loaded": [
            {
                "path": rule.path,
                "rule_id": rule.rule_id,
                "name": rule.name,
                "version": rule.version,
            }
            for rule in ruleset.rules
        ],
        "rejected": [
            {
                "path": error.path,
                "line": error.line,
                "column": error.column,
                "reason": error.reason,
            }
            for error in ruleset.rejected
        ],
        "skipped": [{"path": str(path), "reason": reason} for path, reason in ruleset.skipped],
        "warnings": [str(warning) for warning in ruleset.warnings],
    }


def _print_report(ruleset: RuleSet) -> None:
    """Print good news first: on a terminal, what needs a hand is what stands last."""
    console = Console()
    _print_loaded(ruleset, console)
    _print_skipped(ruleset, console)
    for warning in ruleset.warnings:
        console.print(Text.assemble(("Warning: ", "bold yellow"), str(warning)), soft_wrap=True)
    if ruleset.warnings:
        console.print()
    for error in ruleset.rejected:
        _print_rejected(error, console)
    totals = (
        f"{count(len(ruleset.rules), 'rule')} loaded, {len(ruleset.rejected):,} rejected, "
        f"{len(ruleset.skipped):,} skipped."
    )
    style = "bold red" if ruleset.rejected else "bold green"
    console.print(Text(totals, style), soft_wrap=True)


def _print_loaded(ruleset: RuleSet, console: Console) -> None:
    if not ruleset.rules:
        return
    columns = [
        Column("Rule", is_elastic=True),
        Column("Version", is_number=True),
        Column("Rule id"),
        Column("Path", is_elastic=True),
    ]
    rows = [[rule.name, str(rule.version), rule.rule_id, rule.path] for rule in ruleset.rules]
    # Eighty columns do not hold all four; the path is the one that the user has typed.
    if console.is_terminal and console.width < _full_width(rows):
        columns, rows = columns[:3], [row[:3] for row in rows]
    print_table(columns, rows)
    console.print()


def _full_width(rows: list[list[str]]) -> int:
    return sum(max(map(len, column)) for column in zip(*rows, strict=True)) + 8


def _print_skipped(ruleset: RuleSet, console: Console) -> None:
    skipped = [(str(path), reason) for path, reason in ruleset.skipped]
    if not skipped:
        return
    if console.is_terminal and len(skipped) > _SKIPPED_SHOWN_MAX:
        reasons = Counter(reason for _, reason in skipped).most_common()
        columns = [Column("Skipped", is_number=True), Column("Reason", is_elastic=True)]
        print_table(columns, [(f"{files:,}", reason) for reason, files in reasons])
    else:
        columns = [Column("Skipped", is_elastic=True), Column("Reason", is_elastic=True)]
        print_table(columns, skipped)
    console.print()


def _print_rejected(error: RuleError, console: Console) -> None:
    place = f"{error.path}:{error.line}:{error.column}" if error.line else error.path
    console.print(Text.assemble((f"{place}: ", "bold"), (error.reason, "red")), soft_wrap=True)
    if error.line:
        for line in excerpt(Path(error.path), error.line, error.column):
            console.print(Text(line), soft_wrap=True)
    console.print()


def excerpt(path: Path, line: int, column: int) -> list[str]:
    """Return the line of a file at fault and a caret under the column; [] if it is not there."""
    try:
        text = path.read_text("utf-8-sig", "replace").split("\n")[line - 1]
    except (OSError, IndexError):
        return []
    start = max(0, column - 1 - _EXCERPT_LEAD) if len(text) > _EXCERPT_WIDTH else 0
    shown = text[start : start + _EXCERPT_WIDTH]
    before = "..." if start else ""
    after = "..." if start + _EXCERPT_WIDTH < len(text) else ""
    gutter = f"{line:>6} | "
    lines = [f"{gutter}{before}{shown}{after}"]
    if column:
        # Tabs stay tabs, so that the caret stands under its character.
        lead = "".join(
            "\t" if character == "\t" else " " for character in shown[: column - 1 - start]
        )
        lines.append(f"{' ' * (len(gutter) - 2)}| {' ' * len(before)}{lead}^")
    return lines
