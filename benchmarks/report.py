"""What a run comes to: medians of ratios, the table, the results file.

Law of the file: a ratio is taken within one round, between runs that followed each other; only
then is the median taken over the rounds. Rates of different rounds are never divided.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import libversion
from rich.table import Table

from benchmarks.contenders.catalogue import CONTENDERS, RATIOS
from benchmarks.meter import Measured

Rounds = Sequence[Mapping[str, Measured]]
"""For each round the measured runs by contender."""

_PACKAGES = (
    "streamproc",
    "confluent-kafka",
    "faust-streaming",
    "aiokafka",
    "hyperscan",
    "orjson",
)


def median_ratio(rounds: Rounds, of: str, against: str) -> float | None:
    """Median over the rounds of the ratio of two rates; None if one of the two took no part."""
    ratios = [
        taken[of].rate / taken[against].rate for taken in rounds if {of, against} <= set(taken)
    ]
    return median(ratios) if ratios else None


def summary(rounds: Rounds, expected: Mapping[str, int]) -> list[dict[str, Any]]:
    """One row for each contender that took part: medians.

    Args:
        rounds: Measured runs.
        expected: Number of alerts to be found, for contenders that detect.
    """
    rows = []
    for contender in CONTENDERS:
        runs = [taken[contender.key] for taken in rounds if contender.key in taken]
        if not runs:
            continue
        rows.append(
            {
                "key": contender.key,
                "title": contender.title,
                "events_per_cpu_s": median(run.rate for run in runs),
                "to_bare": median_ratio(rounds, contender.key, "bare"),
                "to_loads": median_ratio(rounds, contender.key, "loads"),
                "events_per_wall_s": median(run.wall_rate for run in runs),
                "peak_bytes": max(run.peak_bytes for run in runs),
                "found": len(runs[-1].found) if contender.rules else None,
                "expected": expected.get(contender.key),
                "lowest": min(run.rate for run in runs),
                "highest": max(run.rate for run in runs),
            }
        )
    return rows


def targets(rounds: Rounds) -> list[dict[str, Any]]:
    """The ratios that have a target, with what was measured."""
    rows = []
    for name, of, against, target in RATIOS:
        ratio = median_ratio(rounds, of, against)
        if ratio is not None:
            rows.append({"name": name, "ratio": ratio, "target": target, "met": ratio >= target})
    return rows


def rate_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table of contenders, for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("contender", no_wrap=True)
    for heading in ("events/CPU s", "range", "to bare", "to loads", "wall ev/s", "MB", "alerts"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        alerts = "" if row["found"] is None else f"{row['found']}/{row['expected']}"
        table.add_row(
            row["title"],
            f"{row['events_per_cpu_s']:,.0f}",
            f"{row['lowest'] / 1e3:,.0f}-{row['highest'] / 1e3:,.0f} k",
            _ratio(row["to_bare"]),
            _ratio(row["to_loads"]),
            f"{row['events_per_wall_s']:,.0f}",
            f"{row['peak_bytes'] / 1e6:,.0f}",
            alerts,
        )
    return table


def target_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table of ratios and targets, for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ratio of events/CPU s", no_wrap=True)
    for heading in ("measured", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        met = "[green]met[/]" if row["met"] else "[red]not met[/]"
        table.add_row(row["name"], f"{row['ratio']:.2f}", f"{row['target']:g}", met)
    return table


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": pages,
        "system": f"{platform.system()} {platform.release()}",
    }


def machine_name(facts: Mapping[str, Any]) -> str:
    """A short name for file names: ``amd-epyc-2-cores``."""
    name = re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", str(facts["processor"]).lower())
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    return f"{slug}-{facts['cores']}-cores"


def versions(kafka: str) -> dict[str, str]:
    """Versions of all that takes part; ``kafka`` is the broker's."""
    found = {package: version(package) for package in _PACKAGES}
    return {
        "python": platform.python_version(),
        **found,
        "librdkafka": libversion()[0],
        "apache-kafka": kafka,
    }


def commit(root: Path) -> str:
    """The commit that was measured, with a ``+`` if product or benchmark files differ from it."""
    head = _git(root, "rev-parse", "HEAD").strip()
    changed = _git(root, "status", "--porcelain", "--", "streamproc", "benchmarks/*.py")
    return (head + ("+" if changed.strip() else "")) if head else "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""
