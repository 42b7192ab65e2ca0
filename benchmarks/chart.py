"""The chart of a run as SVG: bars of the contenders, rate by rules, latency by load.

Law of the file: it draws what the results document holds and nothing else. It has a background
of its own and follows the reader's colour scheme, so that it can be read on light and dark pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import floor, log10
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

WIDTH = 880
LEFT, RIGHT = 300, 90  # beside the bars
PLOT_LEFT, PLOT_RIGHT, PLOT_HEIGHT = 80, 170, 200  # of the two plots
BAR, GAP = 18, 10
TICKS = 5

_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .soft { fill: #59636e; font-size: 12px; }
  .page { fill: #ffffff; stroke: #d1d9e0; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .limit { stroke: #59636e; stroke-width: 1; stroke-dasharray: 2 4; }
  .ours { fill: #0969da; } .other { fill: #8c959f; }
  .line { fill: none; stroke-width: 2; }
  .a { stroke: #0969da; } .b { stroke: #bc4c00; } .dashed { stroke-dasharray: 6 4; }
  .dot.a { fill: #0969da; } .dot.b { fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .soft { fill: #9198a1; }
    .page { fill: #0d1117; stroke: #3d444d; } .grid { stroke: #2a313c; }
    .limit { stroke: #9198a1; } .ours { fill: #4493f8; } .other { fill: #656c76; }
    .a { stroke: #4493f8; } .b { stroke: #f0883e; }
    .dot.a { fill: #4493f8; } .dot.b { fill: #f0883e; }
  }
"""


class Line(NamedTuple):
    """One line of a plot: name, class of its colour, points in the order of x."""

    name: str
    style: str
    points: list[tuple[float, float]]


def chart(document: Mapping[str, Any]) -> str:
    """Return the SVG; parts of which nothing was measured are left out."""
    stages = document["stages"]
    drawn: list[str] = []
    top = 28.0
    if rows := stages.get("throughput", {}).get("rows"):
        top = _bars(drawn, rows, top) + 34
    if rows := stages.get("rules", {}).get("rows"):
        top = _rules(drawn, rows, top) + 34
    if rows := stages.get("latency", {}).get("rows"):
        top = _latency(drawn, rows, top) + 34
    height = round(top - 14)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}"'
            ' rx="6"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def _bars(drawn: list[str], rows: Sequence[Mapping[str, Any]], top: float) -> float:
    """Draw the contenders; returns the bottom."""
    drawn.append(_text(24, top, "Events per CPU second", "title"))
    largest = max(row["events_per_cpu_s"] for row in rows)
    y = top + 16
    for row in rows:
        length = row["events_per_cpu_s"] / largest * (WIDTH - LEFT - RIGHT)
        style = "ours" if row["key"].startswith("worker") else "other"
        drawn.append(_text(LEFT - 10, y + 13, row["title"], anchor="end"))
        drawn.append(
            f'<rect class="{style}" x="{LEFT}" y="{y:g}" width="{max(length, 1):.1f}"'
            f' height="{BAR}" rx="2"/>'
        )
        value = f"{row['events_per_cpu_s']:,.0f}"
        drawn.append(_text(LEFT + length + 6, y + 13, value, "soft"))
        y += BAR + GAP
    return y


def _rules(drawn: list[str], rows: Sequence[Mapping[str, Any]], top: float) -> float:
    kinds = {"unconcerned": ("rules that the traffic does not concern", "a"),
             "corpus": ("large rule set", "b")}  # fmt: skip
    lines = [
        Line(name, style, [(r["rules"], r["events_per_cpu_s"]) for r in rows if r["kind"] == kind])
        for kind, (name, style) in kinds.items()
    ]
    title = "Events per CPU second of a worker, by number of rules (logarithmic)"
    return _plot(drawn, title, lines, top, log10, _count)


def _latency(drawn: list[str], rows: Sequence[Mapping[str, Any]], top: float) -> float:
    lines = []
    for rules, (name, style) in {"shipped": ("two rules", "a"), "corpus": ("corpus", "b")}.items():
        for percentile, dashes in (("p50", ""), ("p99", " dashed")):
            points = [
                (r["share"] * 100, r[f"{percentile}_ms"]) for r in rows if r["rules"] == rules
            ]
            lines.append(Line(f"{percentile}, {name}", style + dashes, points))
    title = "Milliseconds from append to alert, by load (% of the rate that is sustained)"
    return _plot(drawn, title, lines, top, float, lambda x: f"{x:.0f} %")


def _plot(
    drawn: list[str],
    title: str,
    lines: Iterable[Line],
    top: float,
    scale: Callable[[float], float],
    label: Callable[[float], str],
) -> float:
    """Draw lines over a grid; returns the bottom.

    Args:
        drawn: Gets the elements.
        title: Above the plot.
        lines: Those without points are left out.
        top: Where the title stands.
        scale: Of x.
        label: Text of an x.
    """
    lines = [line for line in lines if line.points]
    xs = sorted({x for line in lines for x, _ in line.points})
    highest = _round_up(max(y for line in lines for _, y in line.points))
    right, base = WIDTH - PLOT_RIGHT, top + 20 + PLOT_HEIGHT
    least, span = scale(xs[0]), (scale(xs[-1]) - scale(xs[0])) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        across = PLOT_LEFT + (scale(x) - least) / span * (right - PLOT_LEFT)
        return across, base - y / highest * PLOT_HEIGHT

    drawn.append(_text(24, top, title, "title"))
    for tick in range(TICKS + 1):
        value = highest * tick / TICKS
        _, y = at(xs[0], value)
        drawn.append(f'<path class="grid" d="M{PLOT_LEFT} {y:.1f}H{right}"/>')
        drawn.append(_text(PLOT_LEFT - 8, y + 4, _count(value), "soft", "end"))
    for x in _apart([(at(x, 0)[0], x) for x in xs], 34):
        drawn.append(_text(at(x, 0)[0], base + 18, label(x), "soft", "middle"))
    ends = [(at(*line.points[-1])[1], line) for line in lines]
    for y, line in _spread(ends, 16):
        _draw_line(drawn, line, [at(*point) for point in line.points], right + 10, y + 4)
    return base + 24


def _draw_line(
    drawn: list[str], line: Line, places: list[tuple[float, float]], name_x: float, name_y: float
) -> None:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn.append(f'<path class="line {line.style}" d="M{path}"/>')
    colour = line.style.partition(" ")[0]
    drawn += [f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    for number, part in enumerate(_wrapped(line.name)):
        drawn.append(_text(name_x, name_y + 14 * number, part, "soft"))


def _wrapped(name: str, width: int = 24) -> list[str]:
    """The name in lines that fit beside the plot."""
    parts = [""]
    for word in name.split():
        if parts[-1] and len(parts[-1]) + len(word) >= width:
            parts.append(word)
        else:
            parts[-1] = f"{parts[-1]} {word}".strip()
    return parts


def _spread(ends: list[tuple[float, Line]], least: float) -> list[tuple[float, Line]]:
    """Places of names, from above, none nearer to the last than ``least`` for each of its lines."""
    placed: list[tuple[float, Line]] = []
    free = -1e9
    for y, line in sorted(ends, key=lambda end: end[0]):
        place = max(y, free)
        placed.append((place, line))
        free = place + least + 14 * (len(_wrapped(line.name)) - 1)
    return placed


def _apart(places: list[tuple[float, float]], least: float) -> list[float]:
    """The values whose places are so far from each other that their labels do not touch."""
    kept: list[float] = []
    last = -1e9
    for place, value in places:
        if place - last >= least:
            kept.append(value)
            last = place
    return kept


def _round_up(value: float) -> float:
    """The next round number, so that the ticks are round, too."""
    power = 10.0 ** floor(log10(value)) if value > 0 else 1.0
    return next(
        step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value
    )


def _count(value: float) -> str:
    if value >= 1_000:
        return f"{value / 1_000:,.4g} k" if value >= 10_000 else f"{value:,.0f}"
    return f"{value:.4g}"


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "") -> str:
    more = (f' class="{style}"' if style else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>'
