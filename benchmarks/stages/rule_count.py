"""Events per CPU second of a worker by the number of its rules: one run for each number.

Law of the file: same stream, same answer, only the rules differ.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.session import LeftOutError, Session, check_found
from benchmarks.stages.stage import NOT_QUICK, Result
from streamproc.ruleset.loader import load_rules

STREAM = "middle"
UNCONCERNED_COUNTS = ((2, 10, 100, 1_000), (2, 300))
CORPUS_PARTS: tuple[tuple[float, ...], ...] = ((0.1, 0.3, 1.0), ())


def measure(session: Session, _: float) -> Result:
    """Measure both curves: rules that the traffic does not concern, and the large rule set."""
    session.fill()
    quick = session.plan.is_quick
    result = Result()
    counts, parts = UNCONCERNED_COUNTS[quick], CORPUS_PARTS[quick]
    share = 1 / (len(counts) + len(parts))
    for count in counts:
        _point(session, result, "unconcerned", session.unconcerned_rules(count), share)
    if not parts:
        result.left_out["corpus"] = NOT_QUICK
        return result
    try:
        whole = sorted(session.single_event_rules().glob("*.toml"))
    except LeftOutError as error:
        result.left_out["corpus"] = str(error)
        return result
    for part in parts:
        # Names are random ids: the beginning of their order is no choice.
        chosen = whole[: round(len(whole) * part)]
        folder = session.folder / f"corpus-{len(chosen)}"
        folder.mkdir(exist_ok=True)
        for path in chosen:
            shutil.copy(path, folder)
        _point(session, result, "corpus", [*session.rules("shipped"), folder], share)
    return result


def _point(session: Session, result: Result, kind: str, rules: list[Path], share: float) -> None:
    count = len(load_rules(rules).rules)
    title = f"{count:,} rules ({kind})"
    session.tell(title, 0)
    records = session.plan.lengths[STREAM]
    name = f"count-{kind}-{count}"
    run = session.run_worker(name, session.topics[STREAM], records, rules)
    check_found(title, run.found, session.planted[STREAM])
    result.rows.append(
        {"kind": kind, "rules": count, "events_per_cpu_s": run.rate, "peak_bytes": run.peak_bytes}
    )
    session.tell(f"{title}: {run.rate:,.0f} events/CPU s", share)
