"""What ``/livez``, ``/readyz`` and ``/status`` say.

Law of the file: read only, from any thread, and no secrets: settings come here masked.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from streamproc.ops.collector import StreamprocCollector
from streamproc.ops.counters import Counters
from streamproc.ops.health import Health
from streamproc.ops.metrics import Page, Pages

REJECTED_SHOWN_MAX = 1_000


def health_pages(
    counters: Counters,
    health: Health,
    collector: StreamprocCollector,
    clock: Callable[[], float] = time.time,
) -> Pages:
    """Return the pages by path.

    Args:
        counters: The worker's.
        health: The worker's.
        collector: Has the facts, and says why the worker is not ready.
        clock: Seconds since the epoch; replaced in tests.
    """
    started_s = clock()

    def live() -> Page:
        return _page(health.is_live(), {"live": health.is_live(), "standstill": _stall(health)})

    def ready() -> Page:
        reasons = sorted(collector.unready())
        return _page(not reasons, {"ready": not reasons, "reasons": reasons})

    def status() -> Page:
        facts, now_s = collector.facts, clock()
        reasons = sorted(collector.unready())
        answer = {
            "version": facts.version,
            "revision": facts.revision,
            "uptime_s": round(now_s - started_s, 3),
            "live": health.is_live(),
            "standstill": _stall(health),
            "ready": not reasons,
            "reasons": reasons,
            "ruleset": {
                "digest": facts.ruleset_digest,
                "loaded_at_s": round(counters.reloaded_at_s or facts.loaded_at_s, 3),
                "rules": dict(sorted(Counter(rule.type for rule in facts.rules).items())),
                "reloads": dict(counters.reloads),
                "refusal": counters.reload_refusal or None,
                "rejected": [rule._asdict() for rule in facts.rejected[:REJECTED_SHOWN_MAX]],
                "rejected_count": len(facts.rejected),
            },
            "events": dict(sorted(dict(counters.outcomes).items())),
            "partitions": _partitions(counters, now_s),
            "backpressure": counters.is_held_back,
            "outputs_pending": counters.outputs_pending,
            "canary": {
                "sent": counters.canary.sent,
                "received": counters.canary.received,
                "failed": dict(counters.canary.failed),
                "last_seen_s": counters.canary.last_seen_s,
                "latency_s": counters.canary.latency_s,
            },
            "config_digest": facts.config_digest,
            "settings": facts.settings,
        }
        return _page(True, answer)

    return {"/livez": live, "/readyz": ready, "/status": status}


def _stall(health: Health) -> dict[str, Any] | None:
    stall = health.stall()
    if stall is None:
        return None
    return {"reason": stall.reason, "seconds": round(max(health.clock() - stall.since_s, 0), 3)}


def _partitions(counters: Counters, now_s: float) -> list[dict[str, Any]]:
    return [
        {
            "topic": topic,
            "partition": partition,
            "position": lag.place(),
            "end": lag.end,
            "lag_records": lag.records(),
            "lag_seconds": lag.seconds(now_s),
        }
        for (topic, partition), lag in sorted(dict(counters.partitions).items())
    ]


def _page(is_good: bool, answer: dict[str, Any]) -> Page:
    return Page(is_good, json.dumps(answer, indent=1).encode() + b"\n")
