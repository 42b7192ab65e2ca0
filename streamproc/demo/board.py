"""What the demonstration knows at a moment: numbers, alerts, context requests, the verdict.

Law of the file: no I/O, no clock and no terminal. The board takes what came in, with the time
that the caller names, and gives a frozen ``Snapshot`` that the views draw.
"""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streamproc.demo.traffic import Expected

# Rates are averaged over this long.
RATE_WINDOW_S = 1.0
# As many rates are kept for the throughput line: ten minutes of readings.
RATES_KEPT = 6_000


@dataclass(frozen=True, slots=True)
class WorkerNumbers:
    """What the worker's metrics page said last. Outcomes are named as in ``ops.counters``."""

    consumed: int = 0
    consumed_bytes: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    records_lost: int = 0

    @property
    def filtered_share(self) -> float | None:
        """Share of the processed events that the prefilter ended, 0 to 1; None before any."""
        processed = sum(self.outcomes.values())
        return self.outcomes.get("filtered", 0) / processed if processed else None


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """One alert as the views show it.

    Attributes:
        received_s: When it arrived here, seconds since the epoch.
        latency_s: From the event's own time to the arrival.
        context: Context requests by status, as far as they have arrived.
    """

    alert_id: str
    event_id: str
    rule_id: str
    rule_name: str
    severity: str
    host: str
    parent: str
    child: str
    command_line: str
    received_s: float
    latency_s: float
    context: dict[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a view draws.

    Attributes:
        taken_s: When, seconds since the epoch.
        elapsed_s: How long events have been flowing; 0 while the worker starts.
        duration_s: How long they shall flow.
        rate: Events a second that the worker took in over the last second.
        rates: Earlier rates, oldest first, for the throughput line.
        near_misses: Look-alikes sent so far.
    """

    taken_s: float
    hosts_count: int
    elapsed_s: float
    duration_s: float
    rate: float
    rates: tuple[float, ...]
    bytes_rate: float
    numbers: WorkerNumbers
    alerts: tuple[ShownAlert, ...]
    near_misses: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Expected against got."""

    missing: tuple[Expected, ...]
    unexpected: tuple[ShownAlert, ...]


class Board:
    """Collects what comes in."""

    def __init__(self) -> None:
        self._alerts: dict[str, dict[str, Any]] = {}
        self._context: dict[str, dict[str, str]] = {}
        self._samples: deque[tuple[float, int, int]] = deque()
        self._rates: deque[float] = deque(maxlen=RATES_KEPT)
        self.numbers = WorkerNumbers()
        self.rate = 0.0
        self.bytes_rate = 0.0

    def add_numbers(self, numbers: WorkerNumbers, now_s: float, *, is_flowing: bool = True) -> None:
        """Take the metrics page's numbers, read at ``now_s``.

        Rates begin at the first event, and stay as they are once events flow no more.
        """
        self.numbers = numbers
        if not (numbers.consumed and is_flowing):
            return
        samples = self._samples
        samples.append((now_s, numbers.consumed, numbers.consumed_bytes))
        while len(samples) > 2 and now_s - samples[1][0] >= RATE_WINDOW_S:
            samples.popleft()
        then_s, consumed, consumed_bytes = samples[0]
        if now_s > then_s:
            self.rate = (numbers.consumed - consumed) / (now_s - then_s)
            self.bytes_rate = (numbers.consumed_bytes - consumed_bytes) / (now_s - then_s)
            self._rates.append(self.rate)

    def add_alert(self, document: dict[str, Any], now_s: float) -> None:
        """Take an alert document that arrived at ``now_s``; a repetition changes nothing."""
        alert_id = str(document["kibana.alert.uuid"])
        self._alerts.setdefault(alert_id, _read_alert(document, now_s))

    def add_context_request(self, document: dict[str, Any]) -> None:
        """Take a context request; it may come before its alert."""
        requests = self._context.setdefault(str(document["alert_id"]), {})
        requests[str(document["id"])] = str(document["status"])

    def alerts(self) -> tuple[ShownAlert, ...]:
        """The alerts so far, in the order of their arrival."""
        return tuple(
            ShownAlert(
                **facts, context=dict(Counter(self._context.get(facts["alert_id"], {}).values()))
            )
            for facts in self._alerts.values()
        )

    def snapshot(
        self,
        *,
        taken_s: float,
        hosts_count: int,
        elapsed_s: float,
        duration_s: float,
        near_misses: int,
    ) -> Snapshot:
        """The state as a value; the arguments are what the board cannot know."""
        return Snapshot(
            taken_s=taken_s,
            hosts_count=hosts_count,
            elapsed_s=elapsed_s,
            duration_s=duration_s,
            rate=self.rate,
            rates=tuple(self._rates),
            bytes_rate=self.bytes_rate,
            numbers=self.numbers,
            alerts=self.alerts(),
            near_misses=near_misses,
        )


def judge(expected: Sequence[Expected], alerts: Sequence[ShownAlert]) -> Verdict:
    """Which alerts lack, and which the story's rules raised without cause.

    Alerts of rules that no step names are neither: a larger rule set may well see more.
    """
    wanted = {(item.rule_id, item.event_id) for item in expected}
    got = {(alert.rule_id, alert.event_id) for alert in alerts}
    rules = {item.rule_id for item in expected}
    return Verdict(
        tuple(item for item in expected if (item.rule_id, item.event_id) not in got),
        tuple(
            alert
            for alert in alerts
            if alert.rule_id in rules and (alert.rule_id, alert.event_id) not in wanted
        ),
    )


def median_latency_s(alerts: Sequence[ShownAlert]) -> float | None:
    """Median time from event to alert; None without alerts."""
    return statistics.median(alert.latency_s for alert in alerts) if alerts else None


def _read_alert(document: dict[str, Any], now_s: float) -> dict[str, Any]:
    process = document.get("process", {})
    event_time = datetime.fromisoformat(str(document["kibana.alert.original_time"]))
    return {
        "alert_id": str(document["kibana.alert.uuid"]),
        "event_id": str(document.get("kibana.alert.original_event.id", "")),
        "rule_id": str(document["kibana.alert.rule.rule_id"]),
        "rule_name": str(document["kibana.alert.rule.name"]),
        "severity": str(document["kibana.alert.severity"]),
        "host": str(document.get("host", {}).get("name", "")),
        "parent": str(process.get("parent", {}).get("name", "")),
        "child": str(process.get("name", "")),
        "command_line": str(process.get("command_line", "")),
        "received_s": now_s,
        "latency_s": now_s - event_time.timestamp(),
    }
