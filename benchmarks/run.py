"""Events per CPU second of the worker beside other consumers, on a real Apache Kafka.

Run: ``make bench`` or ``.venv/bin/python benchmarks/run.py [--quick] [--output FOLDER]``. What
is measured, how, and what it does not show: ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPUS_VARIABLE = "STREAMPROC_BENCH_RULES"
CORPUS_DEFAULT = ROOT.parent / "shared" / "corpus" / "detection-rules"
FULL = {"long": 400_000, "middle": 80_000, "short": 20_000}
WIDTH = 120
QUICK = {"long": 120_000, "middle": 30_000, "short": 6_000}


def main() -> None:
    """Measure, print, write the results file; exits with 1 if an answer was wrong."""
    # Run as a file, Python finds the modules beside it, not the packages of the checkout.
    sys.path[0] = str(ROOT)
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.session import Plan, WrongAnswerError, run_session

    arguments = _arguments()
    lengths, rounds = (QUICK, 3) if arguments.quick else (FULL, 5)
    plan = Plan(lengths, arguments.rounds or rounds, _corpus(), arguments.sequences)
    console = Console()
    interactive = console.is_terminal
    if not interactive:
        console = Console(width=WIDTH)  # a log has no width: nothing is cut
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    steps = 1 + plan.rounds * len(plan.contenders)
    with (
        tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("", total=steps)

        def tell(what: str, done: float) -> None:
            progress.update(task, description=what, advance=done)
            if done >= 1 and not interactive:
                console.print(what)

        try:
            session, seconds = run_session(plan, Path(folder), tell)
        except WrongAnswerError as error:
            raise SystemExit(f"wrong answer, no times: {error}") from None
    _publish(console, session, seconds, arguments)


def _publish(console: Any, session: Any, seconds: float, arguments: argparse.Namespace) -> None:
    from benchmarks import report
    from tests.kafka.broker import kafka_version
    from tests.kafka.cluster import EXTERNAL_VARIABLE

    rows = report.summary(session.runs, session.expected_counts())
    goals = report.targets(session.runs)
    facts = report.machine()
    now = datetime.now(UTC)
    kafka = "external" if os.environ.get(EXTERNAL_VARIABLE) else kafka_version()
    document = {
        "date": now.isoformat(timespec="seconds"),
        "commit": report.commit(ROOT),
        "quick": arguments.quick,
        "seconds": round(seconds, 1),
        "machine": facts,
        "versions": report.versions(kafka),
        "events": {"mean_bytes": session.event_bytes, "lengths": dict(session.plan.lengths)},
        "contenders": rows,
        "targets": goals,
        "rounds": [
            {
                key: {k: v for k, v in run.as_json().items() if k != "found"}
                | {"alerts": len(run.found), "load_before": load[key]}
                for key, run in taken.items()
            }
            for taken, load in zip(session.runs, session.loads, strict=True)
        ],
    }
    console.print(
        f"\n{session.plan.lengths['long']:,} events of {session.event_bytes:,.0f} bytes,"
        f" uncompressed, rounds: {session.plan.rounds}, Apache Kafka {kafka};"
        f" {facts['processor']}, {facts['cores']} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    console.print(report.rate_table(rows))
    console.print()
    console.print(report.target_table(goals))
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"{now:%Y-%m-%d}-{report.machine_name(facts)}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    console.print(f"\n{seconds:.0f} s; raw numbers in {path}")


def _corpus() -> Path | None:
    named = os.environ.get(CORPUS_VARIABLE)
    folder = Path(named) if named else CORPUS_DEFAULT
    if named and not folder.exists():
        raise SystemExit(f"{CORPUS_VARIABLE}: there is no {folder}")
    return folder if folder.exists() else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer events, three rounds")
    parser.add_argument("--rounds", type=int, default=0, help="instead of three or five")
    parser.add_argument(
        "--sequences", action="store_true", help="load the sequences of the corpus, too"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results",
        help="folder of the results file",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
