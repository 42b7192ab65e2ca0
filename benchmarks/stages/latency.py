"""Milliseconds from a record's append to the append of its alert, at several loads.

Both times are the broker's: events and alerts go to topics that stamp records when they are
appended (``LogAppendTime``), so there is one clock, of whole milliseconds. The alert's
acknowledgement follows its append within the same request (one replica).

Law of the file: loads are shares of the rate that producer, broker and worker sustain together on
this machine, found first; every alert that was due must be there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from math import ceil
from typing import Any

from benchmarks.contenders.worker import WorkerProcess, read_alerts
from benchmarks.session import BROKER_TIME, PARTITIONS, ROOT, LeftOutError, Session, check_found
from benchmarks.stages.stage import NOT_QUICK, Result, Target

SHARES = ((0.1, 0.25, 0.5, 0.75, 0.9), (0.25, 0.5))
CORPUS_SHARES: tuple[tuple[float, ...], ...] = ((0.25, 0.5, 0.75), ())
SECONDS = (6.0, 3.0)
HALF = 0.5
P50_MS = 15.0
P99_MS = 100.0
WARM_UP = 0.15  # share of the alerts of a load that is not counted: the pace settles
ALERT_NUMBERS = 1_000_000  # apart, between loads


def measure(session: Session, _: float) -> Result:
    """The shipped rules, and in a full run the single-event rules of the large rule set."""
    quick = session.plan.is_quick
    result = Result()
    loads = {"shipped": SHARES[quick], "corpus": CORPUS_SHARES[quick]}
    steps = sum(len(shares) + 1 for shares in loads.values())
    for rules, shares in loads.items():
        if not shares:
            result.left_out[rules] = NOT_QUICK
            continue
        try:
            _measure(session, result, rules, shares, SECONDS[quick], 1 / steps)
        except LeftOutError as error:
            result.left_out[rules] = str(error)
    result.targets = _targets(result)
    return result


def _targets(result: Result) -> list[Target]:
    found = []
    titles = {"shipped": "two rules", "corpus": "corpus"}
    for rules, title in titles.items():
        half = [r for r in result.rows if r["rules"] == rules and r["share"] == HALF]
        why = result.left_out.get(rules, "")
        for name, wanted in (("p50", P50_MS), ("p99", P99_MS)):
            measured = half[0][f"{name}_ms"] if half else None
            text = f"append to alert at half load, {title}, {name}"
            found.append(Target(text, wanted, measured, "ms", is_limit=True, why=why))
    return found


def _measure(
    session: Session,
    result: Result,
    rules: str,
    shares: tuple[float, ...],
    seconds: float,
    step: float,
) -> None:
    paths = session.rules(rules)
    name = f"latency-{rules}"
    events = session.cluster.create_topic(name, PARTITIONS, BROKER_TIME)
    topics = session.worker_topics(name, events, BROKER_TIME)
    bootstrap = session.cluster.bootstrap
    with WorkerProcess(topics, bootstrap, name, paths, session.folder) as worker:
        worker.wait_assigned(PARTITIONS)
        session.tell(f"the rate that is sustained, {rules}", 0)
        feeds = [_feed(worker, bootstrap, events, 0.0, seconds, 0)]
        total = feeds[0]["sent"]
        worker.reach(total)
        sustained = total / feeds[0]["seconds"]
        session.tell(f"sustained, {rules}: {sustained:,.0f} events/s", step)
        for number, share in enumerate(shares, 1):
            session.tell(f"latency at {share:.0%}, {rules}", 0)
            first = number * ALERT_NUMBERS
            feed = _feed(worker, bootstrap, events, sustained * share, seconds, first)
            total += feed["sent"]
            worker.reach(total)
            feeds.append(feed)
            session.tell(f"latency at {share:.0%}, {rules}", step)
        worker.stop()
    alerts = read_alerts(bootstrap, topics["alerts_topic"])
    check_found(f"latency, {rules}", alerts, [n for feed in feeds for n in feed["appended_ms"]])
    result.facts[f"sustained_{rules}"] = sustained
    for share, feed in zip(shares, feeds[1:], strict=True):
        result.rows.append(_row(rules, share, feed, alerts))


def _row(rules: str, share: float, feed: dict[str, Any], alerts: dict[str, int]) -> dict[str, Any]:
    appended = sorted(feed["appended_ms"].items(), key=lambda item: item[1])
    counted = appended[int(len(appended) * WARM_UP) :]
    waits = sorted(alerts[name] - at_ms for name, at_ms in counted)
    return {
        "rules": rules,
        "share": share,
        "events_per_s": feed["sent"] / feed["seconds"],
        "p50_ms": percentile(waits, 0.50),
        "p99_ms": percentile(waits, 0.99),
        "max_ms": waits[-1],
        "alerts": len(waits),
        "late_s": feed["late_s"],
    }


def percentile(ascending: list[int], share: float) -> int:
    """The value that so much of the whole does not exceed (nearest rank)."""
    return ascending[max(ceil(len(ascending) * share), 1) - 1]


def _feed(
    worker: WorkerProcess, bootstrap: str, topic: str, rate: float, seconds: float, first: int
) -> dict[str, Any]:
    """Run the feeder.

    Raises:
        RuntimeError: It failed; holds the end of what it said.
    """
    arguments = [bootstrap, topic, str(rate), str(seconds), str(first), str(worker.port)]
    command = [sys.executable, "-m", "benchmarks.contenders.feeder", *arguments]
    limit_s = seconds * 10 + 60
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s)
    if done.returncode:
        raise RuntimeError(f"the feeder failed:\n{done.stderr[-3_000:]}")
    fed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return fed
