"""A results document as a run writes it, with numbers of our choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.meter import Measured


def measured(rate: float, found: Sequence[str] = (), peak_bytes: int = 50_000_000) -> Measured:
    """A run at a rate."""
    return Measured(1000, 700, 700 / rate, 1.0, peak_bytes, tuple(found))


def document() -> dict[str, Any]:
    """All stages; one contender and one target could not be measured."""
    return {
        "date": "2026-08-21T10:00:00+00:00",
        "commit": "0123456789abcdef",
        "quick": False,
        "seconds": 400.0,
        "machine": {"processor": "A <fast> one", "cores": 2, "memory_bytes": 1, "system": "Linux"},
        "load": [0.5, 2.25],
        "versions": {"apache-kafka": "4.3.1"},
        "events": {"mean_bytes": 3256.0, "lengths": {"long": 10}},
        "targets": [
            _target("two rules / bare loop", 0.45, 0.5, True),
            _target("corpus / Quix Streams", 10.0, None, None, why="no network"),
            _target("p99", 100.0, 120.0, False, unit="ms", is_limit=True),
        ],
        "stages": _stages(),
    }


def _target(
    name: str,
    wanted: float,
    value: float | None,
    met: bool | None,
    unit: str = "",
    is_limit: bool = False,
    why: str = "",
) -> dict[str, Any]:
    return {
        "name": name,
        "wanted": wanted,
        "measured": value,
        "met": met,
        "unit": unit,
        "is_limit": is_limit,
        "why": why,
    }


def _stages() -> dict[str, Any]:
    contender = {
        "key": "worker",
        "title": "streamproc worker, two shipped rules",
        "events_per_cpu_s": 100_000.0,
        "to_bare": 0.4,
        "to_loads": None,
        "events_per_wall_s": 60_000.0,
        "peak_bytes": 120_000_000,
        "found": 5,
        "expected": 5,
        "lowest": 90_000.0,
        "highest": 110_000.0,
    }
    load = {
        "rules": "shipped",
        "share": 0.5,
        "events_per_s": 20_000.0,
        "p50_ms": 7,
        "p99_ms": 31,
        "max_ms": 40,
        "alerts": 300,
        "late_s": 0.0,
    }
    odd = {
        "key": "large",
        "title": "1 % events of 1 MB",
        "mean_bytes": 13_000.0,
        "events_per_cpu_s": 30_000.0,
        "megabytes_per_cpu_s": 390.0,
        "events_per_wall_s": 20_000.0,
        "peak_bytes": 150_000_000,
        "to_ordinary": 0.3,
        "found": 4,
    }
    curve = [
        {"kind": kind, "rules": rules, "events_per_cpu_s": rate, "peak_bytes": 1}
        for kind, rules, rate in (
            ("unconcerned", 2, 100_000.0),
            ("unconcerned", 1_000, 95_000.0),
            ("corpus", 300, 40_000.0),
        )
    ]
    return {
        "throughput": {
            "rows": [
                {**contender, "key": "bare", "title": "bare loop", "events_per_cpu_s": 250_000.0},
                contender,
            ],
            "rounds": [{}, {}],
            "left_out": {"quix-corpus": "no network"},
        },
        "rules": {"rows": curve, "left_out": {}},
        "latency": {
            "rows": [load, {**load, "share": 0.9, "p99_ms": 90}],
            "left_out": {"corpus": "no large rule set"},
        },
        "hostile": {"rows": [odd], "left_out": {}},
        "rsigma": {"rows": [], "left_out": {"rsigma": "there is no cargo"}},
        "workers": {
            "rows": [{"workers": 1, "cpu_us_per_event": 10.0, "events_per_wall_s": 50_000.0}],
            "left_out": {},
        },
    }
