"""The worker beside other consumers and engines, on a real Apache Kafka: rates, latency, memory.

Run: ``make bench`` or ``.venv/bin/python benchmarks/run.py [--quick] [--only STAGE]``. What is
measured, how, and what it does not show: ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPUS_VARIABLE = "STREAMPROC_BENCH_RULES"
CORPUS_DEFAULT = ROOT.parent / "shared" / "corpus" / "detection-rules"
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / ".cache" / "bench" / "results"
FULL = {"long": 200_000, "middle": 100_000, "short": 10_000}
QUICK = {"long": 60_000, "middle": 30_000, "short": 3_000}
ROUNDS = (5, 2)
LIMIT_S = (570.0, 112.0)
WIDTH = 140


def main() -> None:
    """Measure, print, write results file and chart; exits with 1 if an answer was wrong."""
    # Run as a file, Python finds the modules beside it, not the packages of the checkout.
    sys.path[0] = str(ROOT)
    from rich.console import Console

    from benchmarks.session import Plan
    from benchmarks.stages.all import STAGES

    arguments = _arguments([stage.key for stage in STAGES])
    quick = arguments.quick
    lengths = QUICK if quick else FULL
    plan = Plan(lengths, arguments.rounds or ROUNDS[quick], _corpus(), quick)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)  # a log has no width: nothing is cut
    chosen = [stage for stage in STAGES if not arguments.only or stage.key in arguments.only]
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        document, failures = _measure(console, plan, chosen, Path(folder))
    _show(console, document)
    for key, failure in failures.items():
        console.print(f"[red]{key} failed:[/] {failure}", highlight=False)
    if failures:
        raise SystemExit("no results file: something failed, see above")
    _write(console, document, arguments)


def _measure(console: Any, plan: Any, chosen: list[Any], folder: Path) -> Any:
    """Run the stages under a progress bar.

    Returns:
        The results document, and the reason of each stage that failed.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.session import Session
    from tests.kafka.cluster import KafkaCluster

    results: dict[str, Any] = {}
    took_s: dict[str, float] = {}
    failures: dict[str, str] = {}
    loads = [os.getloadavg()[0]]
    expected = [stage.seconds[plan.is_quick] for stage in chosen]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(expected))
        _install(chosen, lambda what: progress.update(task, description=what))
        began = time.monotonic()
        progress.update(task, description="starting Apache Kafka")
        cluster = KafkaCluster.start(folder)
        try:
            session = Session(plan, cluster, folder, lambda what, done: None)
            for stage, seconds in zip(chosen, expected, strict=True):
                session.tell = _teller(console, progress, task, seconds)
                began_stage = time.monotonic()
                left_s = LIMIT_S[plan.is_quick] - (time.monotonic() - began)
                try:
                    results[stage.key] = stage.measure(session, left_s)
                    took_s[stage.key] = round(time.monotonic() - began_stage, 1)
                except Exception as error:  # noqa: BLE001 - the other stages are still worth it
                    failures[stage.key] = f"{type(error).__name__}: {error}"
                loads.append(os.getloadavg()[0])
        finally:
            cluster.close()
        seconds = time.monotonic() - began
    return _document(session, results, took_s, loads, seconds), failures


def _install(chosen: list[Any], tell: Any) -> None:
    """Install what the stages need that is not ours; its time is not the benchmark's."""
    from benchmarks import install

    for stage, title, have in (
        ("throughput", "installing Quix Streams (once)", install.quix_python),
        ("rsigma", "building RSigma (once, some minutes)", install.rsigma),
    ):
        if stage in {item.key for item in chosen}:
            tell(title)
            with suppress(install.NotInstalledError):  # the stage says so, with the reason
                have()


def _teller(console: Any, progress: Any, task: Any, seconds: float) -> Any:
    said = ""

    def tell(what: str, done: float) -> None:
        nonlocal said
        progress.update(task, description=what, advance=done * seconds)
        if done and not console.is_terminal and what != said:
            said = what
            console.print(what, highlight=False)

    return tell


def _document(
    session: Any,
    results: dict[str, Any],
    took_s: dict[str, float],
    loads: list[float],
    seconds: float,
) -> Any:
    from benchmarks.machine import commit, machine, versions
    from tests.kafka.broker import kafka_version
    from tests.kafka.cluster import EXTERNAL_VARIABLE

    kafka = "external" if os.environ.get(EXTERNAL_VARIABLE) else kafka_version()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "quick": session.plan.is_quick,
        "seconds": round(seconds, 1),
        "machine": machine(),
        "load": loads,
        "versions": versions(kafka),
        "events": {"mean_bytes": session.event_bytes, "lengths": dict(session.plan.lengths)},
        "targets": [target.as_json() for result in results.values() for target in result.targets],
        "stages": {
            key: {"seconds": took_s[key], **result.as_json()} for key, result in results.items()
        },
    }


def _show(console: Any, document: Any) -> None:
    from benchmarks.report import on_terminal, tables

    facts = document["machine"]
    console.print(
        f"\nEvents of {document['events']['mean_bytes']:,.0f} bytes, uncompressed;"
        f" Apache Kafka {document['versions']['apache-kafka']};"
        f" {facts['processor']}, {facts['cores']} cores, load {document['load'][-1]:.1f};"
        f" {document['seconds']:.0f} s\n",
        highlight=False,
    )
    # What is wanted comes last: it is then on the screen.
    found = tables(document)
    for table in found[1:] + found[:1]:
        console.print(f"[italic]{table.title}[/]", on_terminal(table), "", highlight=False)


def _write(console: Any, document: Any, arguments: argparse.Namespace) -> None:
    from benchmarks.chart import chart
    from benchmarks.machine import machine_name

    folder = arguments.output or (SCRATCH if arguments.quick or arguments.only else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['date'][:10]}-{machine_name(document['machine'])}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    path.with_suffix(".svg").write_text(chart(document))
    console.print(f"{path}\n{path.with_suffix('.svg')}", highlight=False, soft_wrap=True)


def _corpus() -> Path | None:
    named = os.environ.get(CORPUS_VARIABLE)
    folder = Path(named) if named else CORPUS_DEFAULT
    if named and not folder.exists():
        raise SystemExit(f"{CORPUS_VARIABLE}: there is no {folder}")
    return folder if folder.exists() else None


def _arguments(stages: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less of everything: two minutes")
    parser.add_argument("--only", action="append", choices=stages, help="this stage; repeatable")
    parser.add_argument("--rounds", type=int, default=0, help="instead of five or two at most")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of results file and chart; without it benchmarks/results, and for --quick"
        " and --only .cache/bench/results",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
