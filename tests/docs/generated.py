"""The parts of the README that are written by a program: settings, metrics, measured rates.

``python -m tests.docs.generated`` brings them up to date; ``test_readme.py`` fails while they are
stale.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.core import Metric

from streamproc.config_tables import render_reference
from streamproc.ops.counters import Counters, Lag
from streamproc.ops.metrics import RuleFacts, StreamprocCollector, WorkerFacts

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_SUFFIXES = {"counter": "_total", "info": "_info"}


def parts() -> dict[str, str]:
    """Marker to the text that belongs between ``<!-- marker:begin -->`` and ``:end``."""
    return {
        "settings": render_reference(),
        "metrics": metrics_reference(),
        "benchmark": benchmark_table(_last_result()),
    }


def benchmark_table(result: dict[str, Any]) -> str:
    """A Markdown table of a recorded benchmark run, its targets met and missed."""
    machine = result["machine"]
    loads = [run["load_before"] for contenders in result["rounds"] for run in contenders.values()]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores shared with the broker, load average"
        f" {min(loads):.1f} to {max(loads):.1f}; {result['date'][:10]}, commit"
        f" {result['commit'][:7]}. A load above the number of cores means neighbours.",
        "",
        "| contender | events per CPU second | to the loop that does nothing | to orjson.loads |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['title']} | {row['events_per_cpu_s']:,.0f} | {row['to_bare']:.2f}"
        f" | {row['to_loads']:.2f} |"
        for row in result["contenders"]
    ]
    lines += ["", "| ratio | measured | wanted |", "| --- | ---: | ---: |"]
    lines += [
        f"| {row['name']} | {row['ratio']:.2f} | {row['target']:g} |" for row in result["targets"]
    ]
    return "\n".join(lines) + "\n"


def _last_result() -> dict[str, Any]:
    """The newest recorded run: the last by name, which begins with the date."""
    path = max((ROOT / "benchmarks" / "results").glob("*.json"))
    result: dict[str, Any] = orjson.loads(path.read_bytes())
    return result


def metrics_reference() -> str:
    """A Markdown table of all metrics, from the collector itself."""
    lines = ["| Metric | Type | Labels | Meaning |", "| --- | --- | --- | --- |"]
    for metric in StreamprocCollector(_counters(), _facts()).collect():
        name = metric.name + _SUFFIXES.get(metric.type, "")
        labels = ", ".join(f"`{label}`" for label in _labels(metric))
        lines.append(f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |")
    return "\n".join(lines) + "\n"


def _labels(metric: Metric) -> list[str]:
    found = dict.fromkeys(label for sample in metric.samples for label in sample.labels)
    return [label for label in found if label != "le"]


def _facts() -> WorkerFacts:
    return WorkerFacts("", "", (RuleFacts("id", "name", "low"),), 0)


def _counters() -> Counters:
    """Counters in which everything has happened once, so that every label is seen."""
    counters = Counters()
    place = ("topic", 0)
    for counter in (counters.records_consumed, counters.records_lost):
        counter[place] = 1
    for name in (
        "record_bytes", "incomplete", "records_produced", "produce_errors",
        "state_evictions",
    ):  # fmt: skip
        getattr(counters, name)["word"] = 1
    counters.partitions[place] = Lag(1, 1, 1)
    return counters


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
