"""Snapshots for tests of the views."""

from __future__ import annotations

from streamproc.demo.board import ShownAlert, Snapshot, WorkerNumbers
from streamproc.demo.story import UM_RULE_ID, WORKER_RULE_ID

TAKEN_S = 1_790_000_000.0
WORKER_NAME = "Microsoft Exchange Worker Spawning Suspicious Processes"
UM_NAME = "Microsoft Exchange Server UM Spawning Suspicious Processes"


def make_alert(number: int, **changes: object) -> ShownAlert:
    """An alert of the worker rule; ``changes`` replace its facts."""
    facts: dict[str, object] = {
        "alert_id": f"alert-{number}",
        "event_id": f"event-{number}",
        "rule_id": WORKER_RULE_ID,
        "rule_name": WORKER_NAME,
        "severity": "high",
        "host": "EXCH01",
        "parent": "w3wp.exe",
        "child": "cmd.exe",
        "command_line": "cmd.exe /c whoami /all",
        "received_s": TAKEN_S - 5,
        "latency_s": 0.04 * number,
        "context": {"resolved": 5},
    }
    return ShownAlert(**{**facts, **changes})


def make_snapshot(alerts: tuple[ShownAlert, ...] = ()) -> Snapshot:
    """The seventh second of twenty."""
    return Snapshot(
        taken_s=TAKEN_S,
        hosts_count=50,
        elapsed_s=7.2,
        duration_s=20,
        rate=8012.3,
        rates=tuple(float(step % 50) for step in range(70)),
        bytes_rate=24.3e6,
        numbers=WorkerNumbers(
            57_123, 170_000_000, {"filtered": 57_103, "unmatched": 17, "matched": 3}
        ),
        alerts=alerts,
        near_misses=57,
    )


ALERTS = (
    make_alert(1),
    make_alert(
        2,
        child="powershell.exe",
        command_line="powershell.exe -EncodedCommand " + "QUJD" * 40,
        context={"resolved": 2, "partial": 2, "unresolvable": 1},
    ),
    make_alert(
        3,
        rule_id=UM_RULE_ID,
        rule_name=UM_NAME,
        severity="medium",
        host="EXCH02",
        parent="UMWorkerProcess.exe",
        child="umperf.exe",
        command_line="C:\\Windows\\Temp\\[bold]umperf.exe -install",
        context={},
    ),
)
