"""The parts of documents that a program writes: settings, metrics, measured rates, the chart's.

``python -m tests.docs.generated`` brings them up to date; ``test_readme.py`` fails while they are
stale.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import orjson

from benchmarks.report import readme_part
from streamproc import capacity, measured
from streamproc.config_tables import render_reference
from tests.docs.metrics_page import metrics_reference
from tests.helm.generated import write as write_chart

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SCALING = ROOT / "docs" / "scaling.md"
METRICS = ROOT / "docs" / "metrics.md"
MEASURED = ROOT / "streamproc" / "measured.py"

# Rule set of the capacity plan to the contender that measured it.
_MEASURED_BY = {"shipped": "worker", "corpus": "worker-corpus"}
_RULE_SETS = {
    "shipped": "the two shipped rules",
    "corpus": "all single-event rules of detection-rules",
}


def parts() -> dict[str, str]:
    """Marker to the text that belongs between ``<!-- marker:begin -->`` and ``:end``."""
    return {
        "settings": render_reference(),
        "benchmark": readme_part(
            last_result(), str(_last_path().with_suffix(".svg").relative_to(ROOT))
        ),
    }


def capacity_table() -> str:
    """A Markdown table of what one core does, and of workers and partitions for some rates."""
    rates = (1_000, 10_000, 50_000, 200_000)
    lines = [
        f"Measured {measured.RUN}, events of {measured.EVENT_BYTES:,} bytes.",
        "",
        "| rules | events/s of one core | memory of a worker |"
        + "".join(f" {rate:,}/s |" for rate in rates),
        "| --- | ---: | ---: |" + " ---: |" * len(rates),
    ]
    for name, numbers in measured.RULE_SETS.items():
        cells = [
            f"{found.workers} / {found.partitions}"
            for found in (capacity.plan(capacity.Load(rate), numbers) for rate in rates)
        ]
        lines.append(
            f"| {_RULE_SETS[name]} | {numbers.events_per_cpu_s:,}"
            f" | {numbers.peak_bytes >> 20} MiB |" + "".join(f" {cell} |" for cell in cells)
        )
    lines += ["", "The last columns are workers / partitions for a peak of so many events."]
    return "\n".join(lines) + "\n"


def measured_numbers(result: dict[str, Any]) -> str:
    """The lines of ``streamproc/measured.py`` that hold what a recorded run measured."""
    rows = {row["key"]: row for row in result["stages"]["throughput"]["rows"]}
    lines = [
        f'RUN: Final = "{result["date"][:10]}, {result["machine"]["processor"]}"',
        f"EVENT_BYTES: Final = {result['events']['mean_bytes']:.0f}",
        "RULE_SETS: Final = {",
    ]
    lines += [
        f'    "{name}": Measured(events_per_cpu_s={rows[key]["events_per_cpu_s"]:.0f},'
        f" peak_bytes={rows[key]['peak_bytes']}),"
        for name, key in _MEASURED_BY.items()
    ]
    return "\n".join([*lines, "}"]) + "\n"


def with_measured(source: str, numbers: str) -> str:
    """The module with its numbers replaced; raises ValueError if there are none."""
    before, begin, _ = source.partition("RUN: Final")
    if not begin:
        raise ValueError("no numbers to replace")
    return before + numbers


def last_result() -> dict[str, Any]:
    """The newest recorded run."""
    result: dict[str, Any] = orjson.loads(_last_path().read_bytes())
    return result


def _last_path() -> Path:
    """Its file: the last by name, which begins with the date."""
    return max((ROOT / "benchmarks" / "results").glob("*.json"))


def with_parts(markdown: str, texts: dict[str, str]) -> str:
    """The text with each part put between its markers; raises ValueError if they are missing."""
    for marker, text in texts.items():
        between = re.compile(f"(<!-- {marker}:begin -->\n).*?(<!-- {marker}:end -->)", re.DOTALL)
        markdown, count = between.subn(
            lambda found, text=text: found[1] + text + found[2], markdown
        )
        if count != 1:
            raise ValueError(f"{count} places with the markers of {marker}")
    return markdown


if __name__ == "__main__":
    README.write_text(with_parts(README.read_text(), parts()))
    METRICS.write_text(with_parts(METRICS.read_text(), {"metrics": metrics_reference()}))
    MEASURED.write_text(with_measured(MEASURED.read_text(), measured_numbers(last_result())))
    # The plan calculates with the numbers that were written just now.
    importlib.reload(measured)
    importlib.reload(capacity)
    SCALING.write_text(with_parts(SCALING.read_text(), {"capacity": capacity_table()}))
    write_chart()
