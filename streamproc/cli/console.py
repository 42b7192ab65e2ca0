"""How the commands speak to people: messages, tables and progress bars.

Law of the file: standard output belongs to results, standard error to everything said about
them. Colour, wrapping and moving bars are for terminals; a pipe gets plain, whole lines.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamproc.ndjson import NdjsonFile

# Wide enough for any row: a table that goes into a pipe is never wrapped or cut.
_PIPE_WIDTH = 100_000

_UNITS = ("B", "kB", "MB", "GB", "TB")


def say(message: str, style: str = "") -> None:
    """Print a message on standard error; it is coloured on a terminal and never wrapped."""
    Console(stderr=True).print(Text(message, style), soft_wrap=True)


def warn(message: str) -> None:
    """Print a warning on standard error."""
    _marked("Warning:", "bold yellow", message)


def complain(message: str) -> None:
    """Print an error that does not end the command on standard error."""
    _marked("Error:", "bold red", message)


def _marked(mark: str, style: str, message: str) -> None:
    line = Text.assemble((mark, style), " ", message)
    Console(stderr=True).print(line, soft_wrap=True)


class Column:
    """One column of a table: its title, and how it behaves where the terminal is narrow."""

    def __init__(self, title: str, *, is_number: bool = False, is_elastic: bool = False) -> None:
        self.title = title
        self.is_number = is_number
        self.is_elastic = is_elastic


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns on standard output; elastic ones give way on a narrow terminal."""
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=None if column.is_elastic else len(column.title),
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if console.is_terminal:
        _fix_widths(table, columns, rows)
        console.print(table)
    else:
        print_plain(table)


def _fix_widths(table: Table, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Let only elastic columns shrink: half an id is no id."""
    for position, (column, shape) in enumerate(zip(table.columns, columns, strict=True)):
        if not shape.is_elastic:
            column.min_width = max(
                len(shape.title), *(Text(row[position]).cell_len for row in rows)
            )


def print_plain(renderable: Table) -> None:
    """Print on standard output what rich would draw, whole and without trailing spaces."""
    buffer = io.StringIO()
    Console(file=buffer, width=_PIPE_WIDTH, color_system=None).print(renderable)
    for line in buffer.getvalue().splitlines():
        sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


class ReadingBar:
    """A progress bar over files being read, in bytes as packed; silent without a terminal.

    Use as a context manager; call ``update`` once per batch.
    """

    def __init__(self, verb: str, files: Sequence[NdjsonFile]) -> None:
        self._files = files
        self._started_s = time.monotonic()
        sizes = [file.size_bytes for file in files]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(show_speed=False),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(verb, total=total, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, events: int) -> None:
        """Show how far reading is, and the pace of ``events`` events since the start."""
        pace = events / max(time.monotonic() - self._started_s, 1e-9)
        self._progress.update(
            self._task,
            completed=sum(file.bytes_read for file in self._files),
            note=f"{count(events, 'event')}, {pace:,.0f}/s",
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar off the screen while lines are written to the same terminal."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()


@contextmanager
def counting_bar(verb: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function ``(done, total)`` that moves a bar; silent without a terminal."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(verb, total=None)

        def move(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield move


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 rule", "2,000 rules"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(size_bytes: int) -> str:
    """Return a size with a decimal unit: "512 B", "34.5 MB"."""
    amount = float(size_bytes)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
