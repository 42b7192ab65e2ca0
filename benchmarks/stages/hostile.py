"""Streams that are large, full of candidates, or all in one partition, beside ordinary ones.

Law of the file: each is measured in the same round as the ordinary stream of the same length;
no target, but the answer is checked: what is odd must not be missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.session import PARTITIONS, Session, alert_names, check_found
from benchmarks.stages.stage import Result
from benchmarks.traffic.hostile import LARGE, STREAMS
from benchmarks.traffic.stream import Traffic

EVENTS = (40_000, 12_000)
LARGE_EVENTS = (12_000, 3_000)  # each hundredth is as large as three hundred others
ROUNDS = (2, 1)
ORDINARY = "ordinary"
TOPIC = {"max.message.bytes": "2000000"}


@dataclass(frozen=True, slots=True)
class _Filled:
    title: str
    topic: str
    records: int
    bytes: int
    planted: frozenset[str]


def measure(session: Session, _: float) -> Result:
    """Fill, run a worker with the shipped rules on each, check what it found."""
    quick = session.plan.is_quick
    filled = _fill(session, EVENTS[quick], LARGE_EVENTS[quick])
    rounds = ROUNDS[quick]
    taken: dict[str, list[tuple[float, float, int]]] = {key: [] for key in filled}
    for number in range(rounds):
        for key, stream in filled.items():
            session.tell(stream.title, 0)
            name = f"hostile-{key}-{number}"
            rules = session.rules("shipped")
            run = session.run_worker(name, stream.topic, stream.records, rules)
            check_found(stream.title, run.found, stream.planted)
            taken[key].append((run.rate, run.wall_rate, run.peak_bytes))
            title = f"{stream.title}: {run.rate:,.0f} events/CPU s"
            session.tell(title, 1 / (rounds * len(filled)))
    return Result([_row(key, filled[key], runs, taken[ORDINARY]) for key, runs in taken.items()])


def _row(
    key: str,
    stream: _Filled,
    runs: list[tuple[float, float, int]],
    ordinary: list[tuple[float, float, int]],
) -> dict[str, Any]:
    rate = median(run[0] for run in runs)
    size = stream.bytes / stream.records
    return {
        "key": key,
        "title": stream.title,
        "mean_bytes": size,
        "events_per_cpu_s": rate,
        "megabytes_per_cpu_s": rate * size / 1e6,
        "events_per_wall_s": median(run[1] for run in runs),
        "peak_bytes": max(run[2] for run in runs),
        "to_ordinary": median(a[0] / b[0] for a, b in zip(runs, ordinary, strict=True)),
        "found": len(stream.planted),
    }


def _fill(session: Session, count: int, large_count: int) -> dict[str, _Filled]:
    session.tell("producing hostile events", 0)
    ordinary = Traffic()
    events = ordinary.events(count)
    filled = {ORDINARY: _filled(session, "ordinary events", ORDINARY, events, ordinary, None)}
    for stream in STREAMS:
        traffic = stream.traffic()
        length = large_count if stream.key == LARGE else count
        events = stream.events(traffic, length)
        filled[stream.key] = _filled(
            session, stream.title, stream.key, events, traffic, stream.partition
        )
    return filled


def _filled(
    session: Session,
    title: str,
    key: str,
    events: Iterable[tuple[bytes, bytes]],
    traffic: Traffic,
    partition: int | None,
) -> _Filled:
    topic = session.cluster.create_topic(f"hostile-{key}", PARTITIONS, TOPIC)
    sizes: list[int] = []
    more = {} if partition is None else {"partition": partition}
    session.produce_all(topic, _measured(events, sizes), **more)
    return _Filled(title, topic, len(sizes), sum(sizes), alert_names(traffic.planted))


def _measured(
    events: Iterable[tuple[bytes, bytes]], sizes: list[int]
) -> Iterable[tuple[bytes, bytes]]:
    for key, value in events:
        sizes.append(len(value))
        yield key, value
