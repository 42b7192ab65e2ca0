"""``streamproc replay`` beside RSigma's offline evaluation: same file, same rules, same matches.

Law of the file: a rate is the difference between a long and a short file, so that neither pays
for its start; CPU time is that of the whole process, so that a core is a core.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import orjson

from benchmarks.contenders.paired_rules import RULES, write_pairs
from benchmarks.contenders.rules import ALERT_EVENT_IDS, EVENT_IDS, alert_name
from benchmarks.install import RSIGMA_VERSION, NotInstalledError, rsigma, rsigma_is_built
from benchmarks.session import Session, WrongAnswerError
from benchmarks.stages.stage import Result, Target
from benchmarks.traffic.stream import Traffic
from streamproc.eql.event import Event

EVENTS = (60_000, 20_000)
ROUNDS = (2, 1)
SHORT_SHARE = 0.1
NAME = "streamproc replay / RSigma, per core"
WANTED = 1.0


def measure(session: Session, _: float) -> Result:
    """Evaluate with both, compare the matches of every event, then take the times.

    Raises:
        WrongAnswerError: They do not find the same, or find nothing.
    """
    quick = session.plan.is_quick
    try:
        if not rsigma_is_built():
            session.tell("building RSigma (once)", 0)
        program = rsigma()
    except NotInstalledError as error:
        return Result([], [Target(NAME, WANTED, None, why=str(error))], {}, {"rsigma": str(error)})
    session.tell("writing the file for RSigma", 0)
    folder = session.folder / "rsigma"
    eql, sigma = write_pairs(folder)
    events = EVENTS[quick]
    files = _write_events(folder, events)
    matches = _check(program, files[0], eql, sigma, folder)
    rounds, rows = ROUNDS[quick], []
    for number in range(rounds):
        ours, theirs = [], []
        for path in files:
            ours.append(_replay(path, eql, folder / "alerts.ndjson"))
            theirs.append(_rsigma(program, path, sigma, folder / "matches.ndjson"))
        counted = events - round(events * SHORT_SHARE)
        rows.append(
            {
                "round": number,
                "replay_events_per_cpu_s": counted / (ours[0] - ours[1]),
                "rsigma_events_per_cpu_s": counted / (theirs[0] - theirs[1]),
                "replay_start_cpu_s": ours[1],
                "rsigma_start_cpu_s": theirs[1],
            }
        )
        rate = rows[-1]["replay_events_per_cpu_s"]
        session.tell(f"replay beside RSigma: {rate:,.0f} events/CPU s", 1 / rounds)
    ratio = median(r["replay_events_per_cpu_s"] / r["rsigma_events_per_cpu_s"] for r in rows)
    facts = {
        "rules": len(RULES),
        "events": events,
        "matches": matches,
        "rsigma_version": RSIGMA_VERSION,
        "replay_events_per_cpu_s": median(row["replay_events_per_cpu_s"] for row in rows),
        "rsigma_events_per_cpu_s": median(row["rsigma_events_per_cpu_s"] for row in rows),
    }
    return Result(rows, [Target(NAME, WANTED, ratio)], facts)


def _write_events(folder: Path, count: int) -> tuple[Path, Path]:
    """The long file and its beginning."""
    paths = folder / "events.ndjson", folder / "beginning.ndjson"
    values = [value for _, value in Traffic().events(count)]
    for path, length in zip(paths, (count, round(count * SHORT_SHARE)), strict=True):
        with path.open("wb") as file:
            file.writelines(value + b"\n" for value in islice(values, length))
    return paths


def _check(program: Path, events: Path, eql: Path, sigma: Path, folder: Path) -> int:
    """Compare what both find, event by event; returns how much it is."""
    _replay(events, eql, folder / "alerts.ndjson")
    _rsigma(program, events, sigma, folder / "matches.ndjson", "--include-event")
    ours = Counter(_our_names(folder / "alerts.ndjson"))
    theirs = Counter(_their_names(folder / "matches.ndjson"))
    if ours != theirs or not ours:
        only_ours, only_theirs = sorted(ours - theirs), sorted(theirs - ours)
        raise WrongAnswerError(
            f"RSigma: {sum(theirs.values())} matches, replay: {sum(ours.values())};"
            f" only RSigma {only_theirs[:3]}, only replay {only_ours[:3]}"
        )
    return sum(ours.values())


def _our_names(path: Path) -> list[str]:
    alerts = (Event(orjson.loads(line)) for line in path.read_bytes().splitlines())
    return [
        alert_name(str(alert.values("kibana.alert.rule.rule_id")[0]), alert, ALERT_EVENT_IDS)
        for alert in alerts
    ]


def _their_names(path: Path) -> list[str]:
    matches = map(orjson.loads, path.read_bytes().splitlines())
    return [
        alert_name(str(match["rule_id"]), Event(match["event"]), EVENT_IDS) for match in matches
    ]


def _replay(events: Path, rules: Path, alerts: Path) -> float:
    command = [sys.executable, "-m", "streamproc", "replay", str(events), "--rules", str(rules)]
    return _cpu_s([*command, "--alerts", str(alerts)], None)


def _rsigma(program: Path, events: Path, rules: Path, matches: Path, *more: str) -> float:
    command = [str(program), "engine", "eval", "--rules", str(rules), "--event", f"@{events}"]
    formats = ["--input-format", "json", "--output-format", "ndjson"]
    return _cpu_s([*command, *formats, *more], matches)


def _cpu_s(command: Sequence[str], output: Path | None) -> float:
    """CPU seconds of a command, from start to end.

    Raises:
        RuntimeError: It failed; holds the end of what it said.
    """
    kept = {n: value for n, value in os.environ.items() if not n.startswith("STREAMPROC_")}
    said = Path(f"{output or command[-1]}.log")
    target = (output or Path(os.devnull)).open("wb")
    with target, said.open("wb") as errors:
        process = subprocess.Popen(command, stdout=target, stderr=errors, env=kept)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{said.read_text(errors='replace')[-2_000:]}")
    return usage.ru_utime + usage.ru_stime
