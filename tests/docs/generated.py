"""The parts of the README that the program writes: settings and metrics.

``python -m tests.docs.generated`` brings them up to date; ``test_readme.py`` fails while they are
stale.
"""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.core import Metric

from streamproc.config_tables import render_reference
from streamproc.ops.counters import Counters, Lag
from streamproc.ops.metrics import RuleFacts, StreamprocCollector, WorkerFacts

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_SUFFIXES = {"counter": "_total", "info": "_info"}


def parts() -> dict[str, str]:
    """Marker to the text that belongs between ``<!-- marker:begin -->`` and ``:end``."""
    return {"settings": render_reference(), "metrics": metrics_reference()}


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
        "record_bytes", "incomplete", "records_produced", "produce_errors", "truncated",
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
