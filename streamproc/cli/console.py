"""How the commands speak to people: messages, tables and progress bars.

Law of the file: standard output belongs to results, standard error to everything said about
them. Colour, wrapping and moving bars are for terminals; a pipe gets plain, whole lines.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamproc.ndjson import NdjsonFile

_GAP = 2  # blanks between the columns of a table
_ELASTIC_WIDTH_MIN = 12

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
    """Print aligned columns on standard output; in a pipe they are as wide as they need.

    On a terminal too narrow for them, elastic columns are folded and nothing is cut.
    """
    console = Console(highlight=False)
    widths = [
        max([len(column.title), *(cell_len(row[position]) for row in rows)])
        for position, column in enumerate(columns)
    ]
    if console.is_terminal:
        _shrink(widths, columns, console.width)
    for line in _lines(columns, [column.title for column in columns], widths):
        console.print(Text(line, "bold"), soft_wrap=True)
    for row in rows:
        for line in _lines(columns, row, widths):
            console.print(Text(line), soft_wrap=True)


def _shrink(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Take from the widest elastic column, again and again, what the line is too long by."""
    elastic = [position for position, column in enumerate(columns) if column.is_elastic]
    while elastic and sum(widths) + _GAP * (len(widths) - 1) > width:
        widest = max(elastic, key=widths.__getitem__)
        if widths[widest] <= _ELASTIC_WIDTH_MIN:
            return
        widths[widest] -= 1


def _lines(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Lay one row out: one line, or as many as its longest folded cell needs."""
    folded = [_fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in zip_longest(*folded, fillvalue=""):
        shown = []
        for column, part, width in zip(columns, parts, widths, strict=True):
            blank = " " * (width - cell_len(part))
            shown.append(blank + part if column.is_number else part + blank)
        lines.append((" " * _GAP).join(shown).rstrip())
    return lines


def _fold(cell: str, width: int) -> list[str]:
    if cell_len(cell) <= width:
        return [cell]
    # Rich folds between words, and counts the width of glyphs.
    folded = Text(cell).wrap(Console(file=io.StringIO()), width)
    return [part.plain.rstrip() for part in folded]


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
