"""Where the demonstration is shown: the live picture on a terminal, plain lines elsewhere.

Law of the file: both kinds of screen get the same calls and tell the same facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from streamproc.demo.board import ShownAlert, Snapshot
from streamproc.demo.summary import alert_line, progress_line
from streamproc.demo.view import Picture

_FRAME_INTERVAL_S = 0.125
_LINE_INTERVAL_S = 2.0
# A plain alert line waits this long for the alert's context requests to arrive.
_CONTEXT_WAIT_S = 0.5


class Screen(Protocol):
    """What the demonstration calls. Times are seconds on a clock that does not jump."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show_status(self, text: str, now_s: float) -> None:
        """Say what is being waited for, before there is anything to see."""

    def show(self, snapshot: Snapshot, now_s: float, *, is_last: bool = False) -> None:
        """Show the state; called often, drawn as often as is useful."""

    def show_summary(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show the end result; called after the context was left."""


def open_screen(console: Console) -> Screen:
    """The kind of screen that fits the console."""
    if console.is_terminal and not console.is_dumb_terminal and console.encoding == "utf-8":
        return LiveScreen(console)
    return PlainScreen(console)


class LiveScreen:
    """A picture that is drawn over and over in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._spinner = Spinner("dots", style="cyan")
        self._next_frame_s = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show_status(self, text: str, now_s: float) -> None:
        """Turn a spinner beside the text."""
        self._spinner.update(text=Text(text))
        self._draw(self._spinner, now_s, is_last=False)

    def show(self, snapshot: Snapshot, now_s: float, *, is_last: bool = False) -> None:
        """Draw the next frame if it is due."""
        self._draw(Picture(snapshot), now_s, is_last=is_last)

    def show_summary(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print the rows as an aligned table below the last frame."""
        table = Table.grid(padding=(0, 3))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in rows:
            table.add_row(f" {label}", Text(value))
        self._console.print(table)

    def _draw(self, picture: Picture | Spinner, now_s: float, *, is_last: bool) -> None:
        if is_last or now_s >= self._next_frame_s:
            self._next_frame_s = now_s + _FRAME_INTERVAL_S
            self._live.update(picture, refresh=True)


class PlainScreen:
    """One line after another: for pipes, files and terminals that cannot do more."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_line_s = 0.0
        self._status = ""
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def show_status(self, text: str, now_s: float) -> None:
        """Print the text once."""
        if text != self._status:
            self._status = text
            self._say(text)

    def show(self, snapshot: Snapshot, now_s: float, *, is_last: bool = False) -> None:
        """Print new alerts, and the numbers every other second."""
        for alert in snapshot.alerts:
            if alert.alert_id not in self._said and (is_last or _is_complete(alert, snapshot)):
                self._said.add(alert.alert_id)
                self._say(alert_line(alert))
        if is_last or now_s >= self._next_line_s:
            self._next_line_s = now_s + _LINE_INTERVAL_S
            self._say(progress_line(snapshot))

    def show_summary(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print ``label: value`` lines."""
        for label, value in rows:
            self._say(f"{label}: {value}" if label else f"  {value}")

    def _say(self, line: str) -> None:
        # Not through rich, which answers a closed pipe with an exit of its own.
        self._console.file.write(line + "\n")
        self._console.file.flush()


def _is_complete(alert: ShownAlert, snapshot: Snapshot) -> bool:
    return snapshot.taken_s - alert.received_s >= _CONTEXT_WAIT_S
