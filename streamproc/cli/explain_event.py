"""Why events of a file match a rule of one event, or do not.

Law of the file: nothing is worked out here. Truth comes from the explanation of the query, which
asks its matchers; whether an event gets as far as the matcher, from the rule's own index patterns
and prefilter. Where the two would contradict each other, the command fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from streamproc.cli.clauses import clause_lines, quoted
from streamproc.cli.console import count, say
from streamproc.engine.decode import decode, suspects
from streamproc.engine.prefilter import Prefilter
from streamproc.engine.program import record_clauses
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event
from streamproc.eql.explain import Explanation, compile_explainer
from streamproc.eql.nodes import EventQuery
from streamproc.eql.requirements import Clause
from streamproc.errors import DecodeError
from streamproc.ndjson import LINE_BYTES_MAX, Line, NdjsonFile
from streamproc.ruleset.datemath import iso_utc
from streamproc.ruleset.indices import IndexSelector, index_name
from streamproc.ruleset.rule import Rule

SHOWN_MAX = 5

_PATTERNS_SHOWN_MAX = 4


class FileEvent(NamedTuple):
    """One event of a file; ``event`` None: it is none, for the reason in ``fault``."""

    line: Line
    event: Event | None
    fault: str = ""


def explain_events(rule: Rule, source: NdjsonFile, *, is_all: bool) -> bool:
    """Print why the events of a file match a rule or not; return whether any does.

    Raises:
        InputError: The file cannot be read.
    """
    console = Console(highlight=False)
    print_title(console, rule)
    explained = _Explained(rule)
    events = matches = 0
    for item in read_events(source):
        is_shown = is_all or events < SHOWN_MAX
        events += 1
        if item.event is None:
            if is_shown:
                print_event(console, source, item, "is no event", is_match=False)
                print_obstacle(console, item.fault)
            continue
        explanation, obstacles = explained.of(item.event, item.line.value)
        is_match = explanation.is_true and not obstacles
        matches += is_match
        if is_shown:
            verdict = "matches" if is_match else "does not match"
            print_event(console, source, item, verdict, is_match=is_match)
            for obstacle in obstacles:
                print_obstacle(console, obstacle)
            for line in clause_lines(explanation):
                console.print(line, soft_wrap=True)
    shown = "" if is_all or events <= SHOWN_MAX else f" (shown: the first {SHOWN_MAX}; --all)"
    say(f"{matches:,} of {count(events, 'event')} match.{shown}")
    return matches > 0


class _Explained:
    """One rule, ready to be explained on any event."""

    def __init__(self, rule: Rule) -> None:
        query = rule.query.body
        if not isinstance(query, EventQuery):
            raise TypeError(f"{rule.path}: not a rule of one event")
        self._rule = rule
        self._query = query
        options = CompileOptions(event_category_field=rule.event_category_field)
        self._explain = compile_explainer(query, options)
        self._reach = Reach(rule, query)

    def of(self, event: Event, value: bytes) -> tuple[Explanation, list[str]]:
        """Return the explanation and what keeps the event from the rule."""
        explanation = self._explain(event)
        if explanation.is_true != self._rule.matchers[0](event):
            raise AssertionError(f"{self._rule.rule_id}: explanation and matcher disagree")
        obstacles = index_obstacles(self._rule, event)
        unmet = self._reach.unmet(value)
        if unmet and explanation.is_true:
            raise AssertionError(f"{self._rule.rule_id}: the prefilter loses a match")
        category = self._query.category
        if category is not None and not explanation.children[0].is_true:
            values = quoted(event.values(self._rule.event_category_field))
            obstacles.append(
                f"{self._rule.event_category_field} is {values}; the rule is about {category}"
            )
        if unmet:
            obstacles.append(
                "the prefilter ends it before it is decoded: it contains none of the texts of"
            )
            obstacles += [f"    {clause}" for clause in unmet]
        return explanation, obstacles


class Reach:
    """Which of the prefilter's conditions on one query a record does not meet."""

    def __init__(self, rule: Rule, query: EventQuery) -> None:
        clauses = record_clauses(rule, query)
        self._all = Prefilter([clauses])
        self._each = [(clause, Prefilter([(clause,)])) for clause in clauses]

    def unmet(self, value: bytes) -> list[Clause]:
        """Return them; none if the record is a candidate."""
        if self._all.candidates([value]):
            return []
        return [clause for clause, alone in self._each if not alone.candidates([value])]


def index_obstacles(rule: Rule, event: Event) -> list[str]:
    """Say so if the event lies in an index that the rule does not apply to."""
    applicable = IndexSelector([rule]).applicable(event)
    if applicable is None or 0 in applicable:
        return []
    patterns = ", ".join(rule.indices[:_PATTERNS_SHOWN_MAX])
    more = len(rule.indices) - _PATTERNS_SHOWN_MAX
    rest = f" and {more} more" if more > 0 else ""
    return [f"it lies in {index_name(event)}; the rule applies to {patterns}{rest}"]


def read_events(source: NdjsonFile) -> Iterator[FileEvent]:
    """Yield the events of a file as the engine sees them.

    The engine gives an event without a readable @timestamp the time of its record; in a file
    that is the time at which the file was written.

    Raises:
        InputError: The file cannot be read to its end.
    """
    for lines in source.batches():
        for line in lines:
            faults = suspects([line.value], LINE_BYTES_MAX)
            try:
                if faults:
                    raise faults[0]
                document = decode(line.value)
            except DecodeError as fault:
                yield FileEvent(line, None, str(fault))
                continue
            event = Event(document)
            stamps = event.values("@timestamp")
            if not stamps or parse_instant(stamps[0]) is None:
                event = Event({**document, "@timestamp": iso_utc(source.modified_ms)})
            yield FileEvent(line, event)


def print_title(console: Console, rule: Rule) -> None:
    """Print which rule it is about."""
    console.print(Text.assemble((rule.name, "bold"), f"  {rule.rule_id}"), soft_wrap=True)


def print_event(
    console: Console, source: NdjsonFile, item: FileEvent, verdict: str, *, is_match: bool | None
) -> None:
    """Print which event it is and what became of it; ``is_match`` None: neither good nor bad."""
    facts = [f"line {item.line.number}"]
    if item.event is not None:
        for path in ("@timestamp", "event.id"):
            facts += [str(value) for value in item.event.values(path)[:1]]
    name = "" if source.name == "-" else f"{source.name}, "
    style = "bold" if is_match is None else "bold green" if is_match else "bold red"
    console.print()
    console.print(
        Text.assemble((f"{name}{', '.join(facts)}: ", "bold"), (verdict, style)), soft_wrap=True
    )


def print_obstacle(console: Console, text: str) -> None:
    """Print what keeps an event from a rule."""
    mark = ("  ", "") if text.startswith(" ") else ("! ", "yellow")
    console.print(Text.assemble("  ", mark, text), soft_wrap=True)
