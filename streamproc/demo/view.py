"""The live picture: numbers, throughput and alerts, drawn for whatever width there is.

Law of the file: a frame is a function of a snapshot, a width and a height. Nothing overflows: a
narrow terminal gets the short names of rules and a second line for the process.
"""

from __future__ import annotations

import itertools
from datetime import datetime

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamproc.demo.board import ShownAlert, Snapshot
from streamproc.demo.story import SHORT_NAMES

SEVERITY_STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "bold yellow",
    "low": "bold cyan",
}
STATUS_STYLES = {"resolved": "green", "partial": "yellow", "unresolvable": "red"}

_BARS = "▁▂▃▄▅▆▇█"
_TITLES = ("time", "severity", "rule", "host", "context requests")
# Columns inside the borders from which on rules have their full names.
_FULL_NAME_WIDTH = 110
_TILE_SHARES = (3, 3, 5, 2)  # of the width; the third has the longest label
_GAP = 2  # columns between columns
_INDENT = 10  # of an alert's second line: under the severity
_HOST_WIDTH_MAX = 14
# Lines that the frame needs beside the alerts themselves: header, numbers, borders, headings.
_OTHER_LINES = 12


def sparkline(values: tuple[float, ...], width: int) -> str:
    """All values as at most ``width`` bars, the highest at full height, neighbours averaged."""
    shown = _shrink(values, width)
    top = max(shown, default=0.0)
    if top <= 0:
        return ""
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in shown)


def _shrink(values: tuple[float, ...], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [position * len(values) // width for position in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]


def format_share(share: float | None) -> str:
    """A share as per cent; never rounded up to all of them."""
    if share is None:
        return "-"
    return "100 %" if share == 1 else f"{min(share * 100, 99.999):.3f} %"


def draw_frame(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """The whole picture for a terminal of ``width`` columns and ``height`` lines."""
    inner = width - 4  # borders and padding of the panels
    return Group(
        _draw_header(snapshot, width),
        Panel(_draw_numbers(snapshot, inner), box=box.ROUNDED, border_style="blue"),
        Panel(
            _draw_alerts(snapshot, inner, height - _OTHER_LINES),
            title=_alerts_title(snapshot),
            title_align="left",
            box=box.ROUNDED,
            border_style="red" if snapshot.alerts else "blue",
        ),
        # The cursor rests here: at the end of a full line, the echo of a Ctrl-C would wrap and
        # shift everything by a line.
        Text(),
    )


class Picture:
    """A snapshot that draws itself at the size of the console it is printed on."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield draw_frame(self._snapshot, options.max_width, console.height)


def _draw_header(snapshot: Snapshot, width: int) -> RenderableType:
    passed = min(snapshot.elapsed_s, snapshot.duration_s)
    clock = f"{passed:.0f} / {snapshot.duration_s:.0f} s"
    header = Table.grid(padding=(0, 2), expand=True)
    header.add_column(no_wrap=True)
    header.add_column(ratio=1)
    header.add_column(no_wrap=True, justify="right")
    header.add_row(
        Text.assemble(" ", ("streamproc demo", "bold cyan")),
        ProgressBar(
            total=snapshot.duration_s, completed=passed, complete_style="cyan", pulse_style="cyan"
        ),
        Text(clock + " ", style="dim"),
    )
    return header


def _draw_numbers(snapshot: Snapshot, width: int) -> RenderableType:
    numbers = snapshot.numbers
    tiles = Table.grid(expand=True)
    for share in _TILE_SHARES:
        tiles.add_column(ratio=share, justify="center", no_wrap=True)
    got = len(snapshot.alerts)
    tiles.add_row(
        Text(f"{snapshot.rate:,.0f}", style="bold cyan"),
        Text(f"{numbers.consumed:,}", style="bold"),
        Text(format_share(numbers.filtered_share), style="bold green"),
        Text(str(got), style="bold red" if got else "bold"),
    )
    labels = ("events/s", "events", "ended by the prefilter", "alerts")
    tiles.add_row(*(Text(label, style="dim") for label in labels))
    label = "events/s  "
    line = Text.assemble(
        (label, "dim"), (sparkline(snapshot.rates, width - len(label)), "cyan"), no_wrap=True
    )
    return Group(tiles, Text(), line, _draw_details(snapshot))


def _draw_details(snapshot: Snapshot) -> Text:
    outcomes = snapshot.numbers.outcomes
    matched = outcomes.get("matched", 0)
    evaluated = matched + outcomes.get("unmatched", 0)
    facts = (
        f"{snapshot.hosts_count} hosts",
        f"{snapshot.bytes_rate / 1e6:.1f} MB/s",
        f"{evaluated:,} evaluated, {matched:,} matched",
        f"{snapshot.near_misses:,} near misses sent",
    )
    return Text("  ·  ".join(facts), style="dim", no_wrap=True, overflow="ellipsis")


def _alerts_title(snapshot: Snapshot) -> Text:
    if not snapshot.alerts:
        return Text("alerts: none yet")
    requests = sum(sum(alert.context.values()) for alert in snapshot.alerts)
    return Text(f"alerts: {len(snapshot.alerts)}, context requests: {requests}", style="bold")


def _draw_alerts(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """Two lines an alert, the second one its process; the newest alerts if not all fit."""
    if not snapshot.alerts:
        return Text("The hosts are at work; nothing suspicious so far.", style="dim")
    shown = snapshot.alerts[-max(1, height // 2) :]
    rows = [_cells(alert, width) for alert in shown]
    widths = _column_widths(rows, width)
    lines = [_draw_line([Text(title, style="dim") for title in _TITLES], widths)]
    for alert, row in zip(shown, rows, strict=True):
        process = _draw_process(alert)
        process.truncate(width - _INDENT, overflow="ellipsis")
        row.append(_draw_context(alert, widths[-1]))
        lines += [_draw_line(row, widths), Text(" " * _INDENT) + process]
    return Group(*lines)


def _cells(alert: ShownAlert, width: int) -> list[Text]:
    received = datetime.fromtimestamp(alert.received_s).astimezone()
    return [
        Text(received.strftime("%H:%M:%S"), style="dim"),
        Text(alert.severity, style=SEVERITY_STYLES.get(alert.severity, "bold")),
        Text(_rule_name(alert, width)),
        Text(alert.host, style="cyan"),
    ]


def _column_widths(rows: list[list[Text]], width: int) -> list[int]:
    """As wide as their contents; the last column gets what is left."""
    widths = [
        max(len(title), *(row[position].cell_len for row in rows))
        for position, title in enumerate(_TITLES[:-1])
    ]
    widths[-1] = min(widths[-1], _HOST_WIDTH_MAX)
    return [*widths, max(0, width - sum(widths) - len(widths) * _GAP)]


def _draw_line(cells: list[Text], widths: list[int]) -> Text:
    for cell, width in zip(cells, widths, strict=True):
        cell.truncate(width, overflow="ellipsis", pad=True)
    line = Text(" " * _GAP).join(cells)
    line.no_wrap = True
    line.overflow = "crop"
    return line


def _rule_name(alert: ShownAlert, width: int) -> str:
    if width >= _FULL_NAME_WIDTH:
        return alert.rule_name
    return SHORT_NAMES.get(alert.rule_id, alert.rule_name)


def _draw_process(alert: ShownAlert) -> Text:
    return Text.assemble(
        (alert.parent, "magenta"),
        (" > ", "dim"),
        (alert.child, "bold"),
        "  ",
        (alert.command_line, "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _draw_context(alert: ShownAlert, width: int) -> Text:
    """Requests by status; where that is too long, their number and what is not resolved."""
    if not alert.context:
        return Text("…", style="dim")
    statuses = sorted(alert.context, key=_status_rank)
    parts = {
        status: Text.assemble(f"{alert.context[status]} ", (status, STATUS_STYLES.get(status, "")))
        for status in statuses
    }
    whole = Text(", ").join(parts.values())
    if whole.cell_len <= width or "resolved" not in parts:
        return whole
    rest = Text(", ").join(part for status, part in parts.items() if status != "resolved")
    return Text.assemble(f"{sum(alert.context.values())}: ", rest)


def _status_rank(status: str) -> int:
    return list(STATUS_STYLES).index(status) if status in STATUS_STYLES else len(STATUS_STYLES)
