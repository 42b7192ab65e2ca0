"""``streamproc query``: ad-hoc search over NDJSON files with one EQL query.

Law of the file: only what the query can use is kept in memory. Lines are looked at undecoded
first, then each event by itself; order, sequences and pipes are the language's own business and
see the events that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from streamproc.cli.console import ReadingBar, complain, count, say, warn
from streamproc.cli.outputs import STANDARD_OUTPUT, NdjsonOutput
from streamproc.cli.query_parts import event_queries
from streamproc.engine.decode import decode, suspects
from streamproc.engine.prefilter import Prefilter
from streamproc.eql import EqlSyntaxError, compile_query
from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery, Query
from streamproc.errors import DecodeError, InputError
from streamproc.ndjson import LINE_BYTES_MAX, Line, NdjsonFile, open_files

EXIT_INCOMPLETE = 1

EPILOG = """\b
Examples:
  streamproc query 'process where process.parent.name : "w3wp.exe"' events.ndjson.zst
  streamproc query 'any where true | head 3' events.ndjson | jq .
  zcat *.gz | streamproc query 'network where cidrMatch(source.ip, "10.0.0.0/8")' -
"""


@click.command(epilog=EPILOG, short_help="Search NDJSON files with one EQL query.")
@click.argument("eql")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--timestamp-field",
    default="@timestamp",
    show_default=True,
    metavar="FIELD",
    help="The event's time.",
)
@click.option(
    "--category-field",
    default="event.category",
    show_default=True,
    metavar="FIELD",
    help="What the word before 'where' is compared with.",
)
@click.option(
    "--tiebreaker-field",
    metavar="FIELD",
    help="Orders events of one time.  [default: the order of the files]",
)
def query(
    eql: str,
    files: tuple[str, ...],
    timestamp_field: str,
    category_field: str,
    tiebreaker_field: str | None,
) -> None:
    """Print the events that an EQL query finds, in the order of their time.

    Events are printed as they stand in the files, one a line. Files may be plain, gzip or zstd;
    - is standard input. What is found is held in memory until all is read, to be put in order.

    Ends with 0 whether anything was found or not, with 1 when a file is cut or damaged, and
    with 2 when the query is wrong.
    """  # fmt: skip
    try:
        compiled = compile_query(
            eql,
            event_category_field=category_field,
            timestamp_field=timestamp_field,
            tiebreaker_field=tiebreaker_field,
        )
        compiled.search(())  # says at once that a kind of query cannot be searched
    except EqlSyntaxError as error:
        raise InputError(f"the query is wrong: {error}") from error
    except NotImplementedError as error:
        raise InputError(str(error)) from error
    sources = open_files(files)
    search = Search(compiled.query, category_field)
    faults = search.read(sources)
    results = compiled.search(search.events)
    with NdjsonOutput(STANDARD_OUTPUT) as output:
        output.write(search.line(result) for result in results)
    _close(search, len(results), len(sources), faults)


class Search:
    """The lines that some part of a query can use, read from files one after the other.

    Attributes:
        events: The decoded events, in the order of the files.
        lines_read: Lines seen.
        bad_lines: How many lines were noticed to be no JSON object.
        first_bad: Where the first of them stands, and what is wrong with it.
    """

    def __init__(self, tree: Query, category_field: str) -> None:
        parts = [part for _, part in event_queries(tree.body)]
        options = CompileOptions(event_category_field=category_field)
        self._matchers = [compile_event_query(part, options) for part in parts]
        self._prefilter = Prefilter([required_clauses(part, category_field) for part in parts])
        self._lines: dict[int, bytes] = {}  # by the identity of the decoded event
        self._is_single = isinstance(tree.body, EventQuery)
        self.events: list[dict[str, Any]] = []
        self.lines_read = 0
        self.bad_lines = 0
        self.first_bad = ""

    def read(self, sources: Sequence[NdjsonFile]) -> list[str]:
        """Read all files; return what kept some from being read to their end."""
        faults = []
        with ReadingBar("Searching", sources) as bar:
            for source in sources:
                try:
                    for lines in source.batches():
                        self.keep(source.name, lines)
                        bar.update(self.lines_read)
                except InputError as error:
                    faults.append(str(error))
        return faults

    def keep(self, name: str, lines: Sequence[Line]) -> None:
        """Decode the lines that may fit and keep the events that do; ``name`` is for messages."""
        self.lines_read += len(lines)
        faults = suspects([line.value for line in lines], LINE_BYTES_MAX)
        for index, fault in faults.items():
            self._pass_over(name, lines[index], fault)
        if faults:
            lines = [line for index, line in enumerate(lines) if index not in faults]
        values = [line.value for line in lines]
        for index, parts in self._prefilter.candidates(values):
            try:
                document = decode(values[index])
            except DecodeError as fault:
                self._pass_over(name, lines[index], fault)
                continue
            event = Event(document)
            if any(self._matchers[part](event) for part in parts):
                self.events.append(document)
                self._lines[id(document)] = values[index]

    def line(self, result: Iterable[dict[str, Any] | None]) -> bytes:
        """Return a result as a line: the event as it came, or an array of events."""
        lines = [b"null" if event is None else self._lines[id(event)] for event in result]
        return lines[0] if self._is_single else b"[" + b",".join(lines) + b"]"

    def _pass_over(self, name: str, line: Line, fault: DecodeError) -> None:
        self.bad_lines += 1
        self.first_bad = self.first_bad or f"{name}:{line.number}: {fault}"


def _close(search: Search, results: int, files: int, faults: Sequence[str]) -> None:
    if search.bad_lines:
        lines = "1 line" if search.bad_lines == 1 else f"{search.bad_lines:,} lines"
        holds = "holds" if search.bad_lines == 1 else "hold"
        first = "" if search.bad_lines == 1 else "the first is "
        warn(f"{lines} passed over that {holds} no JSON object: {first}{search.first_bad}")
    read = f"{count(search.lines_read, 'event')} of {count(files, 'file')}"
    say(f"{count(results, 'result')} in {read}.")
    for fault in faults:
        complain(fault)
    if faults:
        raise SystemExit(EXIT_INCOMPLETE)
