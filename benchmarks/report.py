"""The tables of a run: for a terminal and, the same, as Markdown.

Law of the file: all that it shows comes from the results document; nothing is measured or judged
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table as RichTable

from benchmarks.contenders.catalogue import CONTENDERS

Document = Mapping[str, Any]
_TITLES = {contender.key: contender.title for contender in CONTENDERS}


class Table(NamedTuple):
    """Texts in rows; the first column is read from the left, the others are numbers."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(document: Document) -> list[Table]:
    """All tables, the wanted values first; those of stages that did not run are left out."""
    stages = document["stages"]
    made = [_targets(document["targets"])]
    made += [make(stages[key]) for key, make in _STAGES.items() if key in stages]
    return [table for table in made if table.rows]


def _targets(targets: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for target in targets:
        unit = f" {target['unit']}" if target["unit"] else ""
        sign = "<=" if target["is_limit"] else ">="
        measured = "not measured" if target["measured"] is None else _value(target["measured"])
        if target["measured"] is not None:
            measured += unit
        verdict = {True: "met", False: "missed", None: target["why"]}[target["met"]]
        rows.append((target["name"], f"{sign} {target['wanted']:g}{unit}", measured, verdict))
    return Table("Wanted and measured", ("what", "target", "measured", ""), rows)


def _value(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.2f}"


def _throughput(stage: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            row["title"],
            f"{row['events_per_cpu_s']:,.0f}",
            f"{row['lowest'] / 1e3:,.0f} to {row['highest'] / 1e3:,.0f} k",
            _ratio(row["to_bare"]),
            _ratio(row["to_loads"]),
            f"{row['events_per_wall_s']:,.0f}",
            f"{row['peak_bytes'] / 1e6:,.0f}",
            "" if row["found"] is None else f"{row['found']}/{row['expected']}",
        )
        for row in stage["rows"]
    ]
    rows += _missing(stage, 7)
    headings = ("contender", "events/CPU s", "range", "to bare", "to loads", "wall ev/s", "MB")
    title = f"Contenders, medians of {len(stage['rounds'])} rounds"
    return Table(title, (*headings, "alerts"), rows)


def _rule_count(stage: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = [
        (row["kind"], f"{row['rules']:,}", f"{row['events_per_cpu_s']:,.0f}",
         f"{row['peak_bytes'] / 1e6:,.0f}")
        for row in stage["rows"]
    ]  # fmt: skip
    rows += _missing(stage, 3)
    return Table("Worker by number of rules", ("rules", "number", "events/CPU s", "MB"), rows)


def _latency(stage: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            {"shipped": "two rules", "corpus": "corpus"}[row["rules"]],
            f"{row['share']:.0%}",
            f"{row['events_per_s']:,.0f}",
            f"{row['p50_ms']:,.0f}",
            f"{row['p99_ms']:,.0f}",
            f"{row['max_ms']:,.0f}",
            f"{row['alerts']:,}",
        )
        for row in stage["rows"]
    ]
    rows += _missing(stage, 6)
    headings = ("rules", "of the sustained rate", "events/s", "p50 ms", "p99 ms", "max ms")
    return Table("Append of a record to append of its alert", (*headings, "alerts"), rows)


def _hostile(stage: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            row["title"],
            f"{row['mean_bytes']:,.0f}",
            f"{row['events_per_cpu_s']:,.0f}",
            f"{row['megabytes_per_cpu_s']:,.0f}",
            _ratio(row["to_ordinary"]),
            f"{row['events_per_wall_s']:,.0f}",
            f"{row['peak_bytes'] / 1e6:,.0f}",
        )
        for row in stage["rows"]
    ]
    headings = ("stream", "mean bytes", "events/CPU s", "MB/CPU s", "to ordinary", "wall ev/s")
    return Table("Hostile streams, worker with two rules", (*headings, "peak MB"), rows)


def _rsigma(stage: Mapping[str, Any]) -> Table:
    if not stage["rows"]:
        return Table("RSigma", ("engine", "events/CPU s"), _missing(stage, 1))
    rows: list[tuple[str, ...]] = [
        ("streamproc replay", f"{stage['replay_events_per_cpu_s']:,.0f}"),
        (f"rsigma {stage['rsigma_version']}", f"{stage['rsigma_events_per_cpu_s']:,.0f}"),
    ]
    title = (
        f"One file, {stage['rules']} rules in EQL and in Sigma,"
        f" {stage['matches']} equal matches in {stage['events']:,} events"
    )
    return Table(title, ("engine", "events/CPU s"), rows)


def _workers(stage: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            f"{row['workers']}",
            f"{row['cpu_us_per_event']:.1f}",
            f"{row['events_per_wall_s']:,.0f}",
        )
        for row in stage["rows"]
    ]
    return Table("Workers of one group", ("workers", "CPU us/event", "wall ev/s"), rows)


_STAGES: Mapping[str, Callable[[Mapping[str, Any]], Table]] = {
    "throughput": _throughput,
    "rules": _rule_count,
    "latency": _latency,
    "hostile": _hostile,
    "rsigma": _rsigma,
    "workers": _workers,
}


def _missing(stage: Mapping[str, Any], columns: int) -> list[tuple[str, ...]]:
    """Rows for what was left out, with the reason."""
    blank = ("",) * (columns - 1)
    return [
        (_TITLES.get(key, key), f"not measured: {why}", *blank)
        for key, why in stage["left_out"].items()
    ]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def on_terminal(table: Table) -> RichTable:
    """The table for ``rich``, without its title; what is met is green, what is missed red."""
    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if number else "left", no_wrap=True)
    colours = {"met": "[green]met[/]", "missed": "[red]missed[/]"}
    for row in table.rows:
        shown.add_row(*(colours.get(cell, cell) for cell in row))
    return shown


def as_markdown(table: Table) -> str:
    """The table for a README."""
    lines = [
        f"| {' | '.join(table.headings)} |",
        "| " + " | ".join("---:" if number else "---" for number in range(len(table.headings)))
        + " |",
        *(f"| {' | '.join(row)} |" for row in table.rows),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def readme_part(document: Document, chart: str) -> str:
    """What the README says of a run: machine, chart, wanted values; the other tables folded.

    Args:
        document: The results document.
        chart: Path of the chart, from the README.
    """
    machine = document["machine"]
    loads = document["load"]
    head = (
        f"{machine['processor']}, {machine['cores']} cores shared with the broker, load average"
        f" {min(loads):.1f} to {max(loads):.1f}; {document['date'][:10]}, commit"
        f" {document['commit'][:7]}. A load above the number of cores means neighbours.\n"
    )
    first, *others = tables(document)
    folded = "".join(f"\n**{table.title}**\n\n{as_markdown(table)}" for table in others)
    return (
        f"{head}\n![Rates by contender and by number of rules, latency by load]({chart})\n\n"
        f"{as_markdown(first)}\n<details>\n<summary>All tables of the run</summary>\n{folded}"
        "\n</details>\n"
    )
