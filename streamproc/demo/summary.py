"""What is said in plain lines: progress, alerts, and the summary at the end.

Law of the file: text only, ASCII, whole: rules have their full names here and command lines are
not cut. Without a terminal this is all that the demonstration prints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from streamproc.demo.board import ShownAlert, Snapshot, Verdict, median_latency_s
from streamproc.demo.traffic import Expected
from streamproc.demo.view import STATUS_STYLES, format_share


def count(number: int, noun: str) -> str:
    """``1 alert``, ``2 alerts``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def progress_line(snapshot: Snapshot) -> str:
    """One line of numbers."""
    return (
        f"{snapshot.elapsed_s:5.1f} s  {snapshot.rate:7,.0f} events/s"
        f"  {snapshot.numbers.consumed:9,} events"
        f"  {format_share(snapshot.numbers.filtered_share)} ended by the prefilter"
        f"  {count(len(snapshot.alerts), 'alert')}"
    )


def alert_line(alert: ShownAlert) -> str:
    """One alert on one line."""
    return (
        f"ALERT  {alert.severity}  {alert.rule_name}  host {alert.host}"
        f"  process {alert.parent} > {alert.child}  {alert.command_line}"
        f"  context requests {format_statuses(alert.context)}"
    )


def format_statuses(context: dict[str, int]) -> str:
    """Context requests by status: ``5 (3 resolved, 2 partial)``."""
    if not context:
        return "0"
    known = [status for status in STATUS_STYLES if status in context]
    others = sorted(set(context) - set(known))
    parts = ", ".join(f"{context[status]} {status}" for status in (*known, *others))
    return f"{sum(context.values())} ({parts})"


def summary_rows(
    snapshot: Snapshot, sent: int, expected: Sequence[Expected], verdict: Verdict
) -> list[tuple[str, str]]:
    """The summary as label and value, in the order of reading.

    Args:
        snapshot: The last one.
        sent: Events sent.
        expected: The events that need an alert.
        verdict: What became of them.
    """
    numbers = snapshot.numbers
    rate = numbers.consumed / snapshot.elapsed_s if snapshot.elapsed_s else 0.0
    rows = [
        ("events", f"{numbers.consumed:,} of {sent:,} sent, {rate:,.0f}/s on average"),
        ("ended by the prefilter", format_share(numbers.filtered_share)),
    ]
    rows += _alert_rows(snapshot.alerts, expected)
    total: Counter[str] = Counter()
    for alert in snapshot.alerts:
        total.update(alert.context)
    rows.append(("context requests", format_statuses(dict(total))))
    near = f"{snapshot.near_misses:,} sent, {count(len(verdict.unexpected), 'alert')} from them"
    rows.append(("near misses", near))
    latency_s = median_latency_s(snapshot.alerts)
    if latency_s is not None:
        rows.append(("event to alert", f"{latency_s * 1000:,.0f} ms (median)"))
    return rows


def _alert_rows(
    alerts: Sequence[ShownAlert], expected: Sequence[Expected]
) -> list[tuple[str, str]]:
    names = {alert.rule_id: alert.rule_name for alert in alerts}
    wanted = Counter(item.rule_id for item in expected)
    got = Counter(alert.rule_id for alert in alerts)
    rows = [("alerts", f"{len(alerts)} of {len(expected)} expected")]
    for rule_id in (*wanted, *(other for other in got if other not in wanted)):
        name = names.get(rule_id, rule_id)
        expectation = f" of {wanted[rule_id]}" if rule_id in wanted else ""
        rows.append(("", f"{got[rule_id]}{expectation}  {name}"))
    return rows
