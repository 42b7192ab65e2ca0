"""What the engine will do with one rule, said to the author of the rule.

Law of the file: nothing is worked out here. The query comes from the printer, the literals from
the prefilter itself (a prefilter of this one rule is made and asked), so that what is shown is
what runs.
"""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from streamproc.cli.console import Column, print_table
from streamproc.cli.query_parts import event_queries, fields_read, query_lines
from streamproc.engine.context import DEFAULT_QUERIES
from streamproc.engine.prefilter import Prefilter
from streamproc.engine.program import record_clauses
from streamproc.eql.types import FieldType, field_type
from streamproc.ruleset.investigate import Investigation, Provider
from streamproc.ruleset.rule import Rule

_INDENT = 2


def explain_rule(rule: Rule) -> None:
    """Print the explanation of a rule on standard output."""
    console = Console(highlight=False)
    _line(console, Text(rule.name, "bold"), indent=0)
    _line(
        console,
        f"{rule.rule_id}, version {rule.version}, severity {rule.severity}, "
        f"risk score {rule.risk_score}",
        indent=0,
    )
    _line(console, rule.path, indent=0)
    _heading(console, "Query, as understood")
    for line in query_lines(rule.query):
        _line(console, line)
    _explain_prefilter(console, rule)
    _heading(console, "Fields read")
    _print_fields(rule)
    _heading(console, "Applies to events of")
    for pattern in rule.indices or ("every index (the rule names none)",):
        _line(console, pattern)
    if rule.indices:
        _line(console, "and to every event that does not say its data stream")
    _explain_requests(console, rule)


def _explain_prefilter(console: Console, rule: Rule) -> None:
    _heading(console, "Prefilter")
    for name, query in event_queries(rule.query.body):
        prefilter = Prefilter([record_clauses(rule, query)])
        explanation = prefilter.describe(0)
        if name:
            _line(console, Text(name, "italic"))
        if explanation.trigger is None:
            _line(console, f"every event is decoded and evaluated: {explanation.reason}")
            continue
        _line(console, "an event is decoded only if it contains one text of each line:")
        for clause in explanation.clauses:
            mark = "  (looked for first)" if clause == explanation.trigger else ""
            _line(console, f"{clause}{mark}", indent=2 * _INDENT)


def _print_fields(rule: Rule) -> None:
    paths = fields_read(rule.query.body)
    uses = dict.fromkeys(sorted(paths), "")
    categories = [query.category for _, query in event_queries(rule.query.body)]
    if any(category is not None for category in categories):
        uses[rule.event_category_field] = "the event's category"
    uses[rule.timestamp_field] = "the event's time"
    if rule.tiebreaker_field:
        uses[rule.tiebreaker_field] = "order of events of one time"
    rows = [(f"  {path}", _type_name(path), use) for path, use in uses.items()]
    print_table([Column("  Field"), Column("Type"), Column("Use", is_elastic=True)], rows)


def _type_name(path: str) -> str:
    kind = field_type(path)
    return "" if kind is FieldType.PLAIN else kind.value


def _explain_requests(console: Console, rule: Rule) -> None:
    investigations = rule.investigate or DEFAULT_QUERIES
    whose = "" if rule.investigate else " (the default set: the rule has none of its own)"
    _heading(console, f"Context requests with each alert{whose}")
    _line(console, "(now is the event's time; as an end, look_ahead_s later)")
    for number, investigation in enumerate(investigations):
        _line(console, f"{number}  {investigation.label}")
        _line(console, _conditions(investigation), indent=2 * _INDENT + 1)
        time_range = f"from {investigation.relative_from or 'the beginning'} "
        _line(console, time_range + f"to {investigation.relative_to or 'now'}", 2 * _INDENT + 1)


def _conditions(investigation: Investigation) -> str:
    groups = [" and ".join(map(_condition, group)) for group in investigation.providers]
    return groups[0] if len(groups) == 1 else " or ".join(f"({group})" for group in groups)


def _condition(provider: Provider) -> str:
    negation = "not " if provider.is_excluded else ""
    if provider.query_type == "exists":
        return f"{negation}{provider.field} exists"
    return f"{negation}{provider.field} = {provider.value}"


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, "bold cyan"), soft_wrap=True)


def _line(console: Console, text: str | Text, indent: int = _INDENT) -> None:
    """Print a line; on a terminal it is folded with its indent, in a pipe it stays whole."""
    if console.is_terminal:
        console.print(Padding(text if isinstance(text, Text) else Text(text), (0, 0, 0, indent)))
    else:
        console.print(Text.assemble(" " * indent, text), soft_wrap=True)
