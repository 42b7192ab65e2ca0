"""What a sequence rule does with the events of a file, one after the other in order of time.

Law of the file: the sequence is run by the machine that the worker runs, watched by
``eql.sequence_trace``; which events take part is decided as in ``engine.sequence_rules``. Lateness
is no matter here: the whole file is put in order first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from streamproc.cli.clauses import clause_lines, quoted
from streamproc.cli.console import count, say
from streamproc.cli.explain_event import (
    FileEvent,
    index_obstacles,
    print_event,
    print_obstacle,
    print_title,
    read_events,
)
from streamproc.engine.sequence_rules import SPAN_DEFAULT_MS, SequenceRules
from streamproc.engine.sequence_scope import Arrival, Ordinal
from streamproc.eql import nodes
from streamproc.eql.compiler import CompileOptions
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event
from streamproc.eql.explain import compile_explainer
from streamproc.eql.sequence import JoinKey
from streamproc.eql.sequence_trace import Note, TraceEntry, trace_sequence
from streamproc.ndjson import NdjsonFile
from streamproc.ruleset.rule import Rule

SHOWN_MAX = 20

_LABEL_WIDTH = 16  # "step 2 (missing)"
_LINES_SHOWN_MAX = 8
_KEYS_SHOWN_MAX = 5


class _Taking(NamedTuple):
    """An event that can do something in the sequence."""

    ordinal: Ordinal
    item: FileEvent
    event: Event


@dataclass(frozen=True, slots=True)
class _File:
    """The events of a file, sorted by whether they take part.

    Attributes:
        taking: Those that meet a step, in order of time.
        others: Lines of events that meet no step.
        kept_out: Events that meet a step and take no part all the same, with the reasons.
        events: How many lines there are.
    """

    taking: list[_Taking]
    others: list[int]
    kept_out: list[tuple[FileEvent, list[str]]]
    events: int


def explain_sequence(rule: Rule, source: NdjsonFile, *, is_all: bool, has_clauses: bool) -> bool:
    """Print what the events of a file do in a sequence rule; return whether one is completed.

    Raises:
        InputError: The file cannot be read.
    """
    console = Console(highlight=False)
    print_title(console, rule)
    sequence = _bounded(rule)
    options = CompileOptions(event_category_field=rule.event_category_field)
    explain = compile_explainer(sequence, options)
    file = _read(rule, source)
    for item, reasons in file.kept_out[: None if is_all else SHOWN_MAX]:
        print_event(console, source, item, "takes no part", is_match=False)
        for reason in reasons:
            print_obstacle(console, reason)
    trace = trace_sequence(
        sequence,
        options,
        [(number, item.ordinal[0], item.event) for number, item in enumerate(file.taking)],
    )
    printer = _Printer(console, rule, sequence, [item.item for item in file.taking])
    for entry in trace.entries[: None if is_all else SHOWN_MAX]:
        taking = file.taking[entry.number]
        steps = ", ".join(step for step, _ in entry.steps)
        print_event(console, source, taking.item, steps, is_match=None)
        if has_clauses:
            for line in clause_lines(explain(taking.event)):
                console.print(line, soft_wrap=True)
        printer.print_entry(entry)
    if trace.at_end:
        console.print()
        console.print(Text("At the end of the file", "bold"))
        printer.print_notes(trace.at_end)
    if file.others:
        console.print()
        console.print(Text(f"Meet no step: {_lines(file.others)}"), soft_wrap=True)
    hidden = len(trace.entries) - SHOWN_MAX
    shown = f" (shown: the first {SHOWN_MAX} that take part; --all)" if hidden > 0 else ""
    completed = count(len(trace.completed), "sequence")
    say(f"{completed} completed by {count(file.events, 'event')}.{'' if is_all else shown}")
    return bool(trace.completed)


def _bounded(rule: Rule) -> nodes.Sequence:
    """The sequence with the span that the engine gives to one without."""
    sequence = rule.query.body
    if not isinstance(sequence, nodes.Sequence):
        raise TypeError(f"{rule.path}: not a sequence")
    if sequence.maxspan_ms is None:
        return replace(sequence, maxspan_ms=SPAN_DEFAULT_MS)
    return sequence


def _read(rule: Rule, source: NdjsonFile) -> _File:
    (compiled,) = SequenceRules([rule]).rules
    file = _File([], [], [], 0)
    events = 0
    for item in read_events(source):
        events += 1
        if item.event is None:
            file.kept_out.append((item, [item.fault]))
            continue
        if not compiled.machine.hits(item.event):
            file.others.append(item.line.number)
            continue
        reasons = index_obstacles(rule, item.event)
        if compiled.is_by_host and not item.event.values("host.id"):
            reasons.append("it has no host.id, and the sequence is joined by host")
        ordinal = _ordinal(rule, item.event, item.line.number)
        if ordinal is None:
            reasons.append(f"it has no time in {rule.timestamp_field}")
        if reasons or ordinal is None:
            file.kept_out.append((item, reasons))
        else:
            file.taking.append(_Taking(ordinal, item, item.event))
    file.taking.sort(key=lambda taking: taking.ordinal)
    return replace(file, events=events)


def _ordinal(rule: Rule, event: Event, number: int) -> Ordinal | None:
    stamps = event.values(rule.timestamp_field)
    timestamp_ns = parse_instant(stamps[0]) if stamps else None
    if timestamp_ns is None:
        return None
    tiebreakers = event.values(rule.tiebreaker_field) if rule.tiebreaker_field else ()
    tiebreaker = tiebreakers[0] if tiebreakers else None
    return Arrival(timestamp_ns, tiebreaker, number, 0, None, {}).ordinal()


class _Printer:
    """Prints what an event changed, events named by their lines."""

    def __init__(
        self, console: Console, rule: Rule, sequence: nodes.Sequence, items: Sequence[FileEvent]
    ) -> None:
        self._console = console
        self._rule = rule
        self._items = items
        self._sequence = sequence

    def print_entry(self, entry: TraceEntry) -> None:
        """Print steps with join keys, changes, and what is begun afterwards."""
        for step, keys in entry.steps:
            self._line(step, f"{self._paths(step)}{_keys(keys)}")
        self.print_notes(entry.notes)
        for item in entry.pending:
            state = f"at {item.step}" if item.step != "complete" else "complete, waiting"
            marks = " (its maxspan is over)" * item.is_expired
            marks += " (an event came that must be missing)" * item.is_spoilt
            place = f"{self._key(item.key)}{state}, {self._numbers(item.events)}{marks}"
            self._line("state", place)
        if not entry.pending:
            self._line("state", "nothing begun")

    def print_notes(self, notes: Sequence[Note]) -> None:
        """Print changes: green what completes, red what is dropped."""
        for note in notes:
            word, _, reason = note.change.value.partition(": ")
            style = {"completed": "green", "dropped": "red"}.get(word, "")
            events = self._numbers(note.events) if note.events else ""
            label, text = (word, events) if len(word) < _LABEL_WIDTH else ("", f"{word} {events}")
            parts = [part for part in (f"{self._key(note.key)}{text}".strip(), reason) if part]
            self._line(label, ": ".join(parts), style)

    def _line(self, label: str, text: str, style: str = "") -> None:
        lead = (f"  {label:<{_LABEL_WIDTH}} ", style or "cyan")
        self._console.print(Text.assemble(lead, (text, style)), soft_wrap=True)

    def _paths(self, step: str) -> str:
        """The join fields of a step, such as ``host.id, user.id = ``."""
        if step == "until":
            term = self._sequence.until
        else:
            term = self._sequence.terms[int(step.split()[1].rstrip(",")) - 1]
        own = term.keys if term is not None else ()
        paths = ", ".join(field.path for field in (*self._sequence.keys, *own))
        return f"{paths} = " if paths else "no join key"

    def _key(self, key: JoinKey) -> str:
        return f"{_plain(key)}: " if key else ""

    def _numbers(self, events: Sequence[int]) -> str:
        return _lines([self._items[number].line.number for number in events])


def _keys(keys: Sequence[JoinKey]) -> str:
    shown = [_plain(key) for key in keys[:_KEYS_SHOWN_MAX] if key]
    if len(keys) > _KEYS_SHOWN_MAX:
        shown.append(f"… {len(keys) - _KEYS_SHOWN_MAX} more")
    return " and ".join(shown)


def _plain(key: JoinKey) -> str:
    """A join key as EQL writes values; booleans stand in it as pairs."""
    return quoted([value[1] if isinstance(value, tuple) else value for value in key])


def _lines(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_LINES_SHOWN_MAX]))
    more = len(numbers) - _LINES_SHOWN_MAX
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{'line' if len(numbers) == 1 else 'lines'} {shown}{rest}"
