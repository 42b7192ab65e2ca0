"""Two workers of one group beside one: does sharing the partitions cost CPU time per event?

Law of the file: the clock starts when all partitions are assigned, evenly, and all events are
there. Until then the workers are held still.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from statistics import median

from benchmarks.contenders.worker import SILENCE_S, WorkerProcess, pause_s, read_alerts
from benchmarks.meter import WINDOW, Mark
from benchmarks.session import PARTITIONS, Session, alert_names, check_found
from benchmarks.stages.stage import Result, Target
from benchmarks.traffic.stream import Traffic

EVENTS = (100_000, 40_000)
ROUNDS = (3, 1)
CPU_NAME = "CPU per event, two workers / one"
CPU_WANTED = 1.1
WALL_NAME = "wall clock, two workers / one"
WALL_WANTED = 1.8
CORES_MIN = 4  # fewer are taken by the broker and the first worker already


def measure(session: Session, _: float) -> Result:
    """Run one, then two, on the same events; as often as there are rounds."""
    quick = session.plan.is_quick
    session.tell("making events for two workers", 0)
    traffic = Traffic()
    events = list(traffic.events(EVENTS[quick]))
    expected = alert_names(traffic.planted)
    rounds, rows = ROUNDS[quick], []
    for number in range(rounds):
        for count in (1, 2):
            session.tell(f"{count} of 2 workers", 0)
            row = _run(session, count, f"workers-{number}-{count}", events, expected)
            rows.append({"round": number, "workers": count, **row})
            session.tell(f"{count} of 2 workers", 1 / (2 * rounds))
    ones, twos = ([row for row in rows if row["workers"] == count] for count in (1, 2))
    pairs = list(zip(ones, twos, strict=True))
    cpu = median(two["cpu_us_per_event"] / one["cpu_us_per_event"] for one, two in pairs)
    wall = median(two["events_per_wall_s"] / one["events_per_wall_s"] for one, two in pairs)
    cores = os.cpu_count() or 1
    targets = [Target(CPU_NAME, CPU_WANTED, cpu, is_limit=True)]
    if cores >= CORES_MIN:
        targets.append(Target(WALL_NAME, WALL_WANTED, wall))
    else:
        why = f"wanted of {CORES_MIN} cores and more; here {cores}: {wall:.2f}"
        targets.append(Target(WALL_NAME, WALL_WANTED, None, why=why))
    return Result(rows, targets, {"events": len(events), "wall_ratio": wall, "cpu_ratio": cpu})


def _run(
    session: Session,
    count: int,
    name: str,
    events: list[tuple[bytes, bytes]],
    expected: frozenset[str],
) -> dict[str, float]:
    bootstrap = session.cluster.bootstrap
    topic = session.cluster.create_topic(f"{name}-events", PARTITIONS)
    topics = session.worker_topics(name, topic)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                WorkerProcess(topics, bootstrap, name, session.rules("shipped"), session.folder)
            )
            for _ in range(count)
        ]
        for worker in workers:
            worker.wait_assigned(PARTITIONS // count)
        for worker in workers:
            worker.pause()
        session.produce_all(topic, events)
        for worker in workers:
            worker.resume()
        began = _marks(workers)
        begin = _reach(workers, len(events) * WINDOW[0], began)
        end = _reach(workers, len(events) * WINDOW[1], began)
        _reach(workers, len(events), began)
        for worker in workers:
            worker.stop()
    check_found(name, read_alerts(bootstrap, topics["alerts_topic"]), expected)
    done = end.records - begin.records
    return {
        "cpu_us_per_event": (end.cpu_s - begin.cpu_s) / done * 1e6,
        "events_per_wall_s": done / (end.at_s - begin.at_s),
    }


def _marks(workers: list[WorkerProcess]) -> Mark:
    """Where they are together."""
    marks = [worker.mark() for worker in workers]
    return Mark(
        sum(mark.records for mark in marks), sum(mark.cpu_s for mark in marks), marks[-1].at_s
    )


def _reach(workers: list[WorkerProcess], records: float, began: Mark) -> Mark:
    deadline = time.monotonic() + SILENCE_S
    while (now := _marks(workers)).records < records:
        if time.monotonic() > deadline:
            raise RuntimeError(f"stand still at {now.records:,} records")
        time.sleep(pause_s(began, now, records))
    return now
