"""``streamproc replay``: the worker's engine over NDJSON files, without Kafka.

Law of the file: nothing here decides anything about an event. Lines become batches, batches go
through the same ``Detector`` as in the worker, and what comes out is written and counted.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import orjson

from streamproc.cli.console import ReadingBar, complain, count, counting_bar, say, size, warn
from streamproc.cli.outputs import STANDARD_OUTPUT, NdjsonOutput, dead_letter_line
from streamproc.cli.rule_paths import load_for_running, rules_option
from streamproc.config_sources import load_settings
from streamproc.engine.batch import RecordList
from streamproc.engine.detector import Detections, Detector, DetectorOptions
from streamproc.engine.program import Program
from streamproc.engine_options import detector_options
from streamproc.errors import InputError
from streamproc.model import Record
from streamproc.ndjson import Line, NdjsonFile, open_files
from streamproc.ops.counters import Counters
from streamproc.ruleset.ruleset import RuleSet

EXIT_INCOMPLETE = 1

OUTCOMES = ("matched", "unmatched", "filtered", "invalid", "failed")

_RULES_SHOWN_MAX = 10  # the busiest ones; the summary has all

EPILOG = """\b
Examples:
  streamproc replay events.ndjson.gz > alerts.ndjson
  streamproc replay --rules my-rules/ --alerts alerts.ndjson --summary - day1.zst day2.zst
  zcat *.gz | streamproc replay - | jq -r '."kibana.alert.reason"'
  streamproc replay events.ndjson --alerts a.ndjson --context-requests c.ndjson \\
      --dead-letters d.ndjson
"""


@dataclass(slots=True)
class Outputs:
    """Where the three kinds of results go; None drops a kind (it is counted all the same)."""

    alerts: NdjsonOutput
    context_requests: NdjsonOutput | None
    dead_letters: NdjsonOutput | None

    @property
    def is_on_screen(self) -> bool:
        """Whether writing moves lines onto a terminal, where the progress bar is."""
        outputs = (self.alerts, self.context_requests, self.dead_letters)
        return any(output is not None and output.is_terminal for output in outputs)

    def write(self, detections: Detections) -> None:
        """Write the results of one batch."""
        self.alerts.write(alert.value for alert in detections.alerts)
        if self.context_requests is not None:
            self.context_requests.write(request.value for request in detections.context_requests)
        if self.dead_letters is not None:
            self.dead_letters.write(map(dead_letter_line, detections.dead_letters))


@dataclass(slots=True)
class Tally:
    """What one replay read and found."""

    records: int = 0
    bytes: int = 0
    faults: list[str] = field(default_factory=list)  # files that could not be read to their end
    seconds: float = 0.0


@click.command(epilog=EPILOG, short_help="Run the rules over NDJSON files (no Kafka).")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@rules_option
@click.option(
    "--alerts",
    "alerts_name",
    default=STANDARD_OUTPUT,
    metavar="FILE",
    help="Where alerts go, one JSON document a line.  [default: standard output]",
)
@click.option(
    "--context-requests",
    "requests_name",
    metavar="FILE",
    help="Where context requests go.  [default: counted only]",
)
@click.option(
    "--dead-letters",
    "letters_name",
    metavar="FILE",
    help="Where records go that are no events, each with the reason and the line."
    "  [default: counted only]",
)
@click.option(
    "--summary", "summary_name", metavar="FILE", help="Write the counts as one JSON object."
)
def replay(
    files: tuple[str, ...],
    rules_paths: tuple[str, ...],
    alerts_name: str,
    requests_name: str | None,
    letters_name: str | None,
    summary_name: str | None,
) -> None:
    """Run the rules over events in NDJSON files, with the same engine as the worker.

    Files may be plain, gzip or zstd (told by their content, not by their name); - is standard
    input. An output named - is standard output. Alerts carry the same ids as those of the
    worker where events carry host.id and event.id. The worker's settings hold that concern the
    engine: record_bytes_max, look_ahead_s, default_context_requests (see: streamproc config).

    Ends with 0 when all files were read to their end, dead letters or not; with 1 when a file
    is cut or damaged (what could be read was evaluated); with 2 when nothing was done.

    Files are read one after the other, and sequences go on from one into the next: name them in
    the order of their time.
    """  # fmt: skip
    sources = open_files(files)
    _refuse_clashes(files, (alerts_name, requests_name, letters_name, summary_name))
    options = replay_options()
    ruleset = load_for_running(rules_paths)
    counters = Counters()
    detector = Detector(compile_program(ruleset), options, counters)
    with ExitStack() as stack:
        outputs = Outputs(
            stack.enter_context(NdjsonOutput(alerts_name)),
            stack.enter_context(NdjsonOutput(requests_name)) if requests_name else None,
            stack.enter_context(NdjsonOutput(letters_name)) if letters_name else None,
        )
        summary = stack.enter_context(NdjsonOutput(summary_name)) if summary_name else None
        tally = run(detector, sources, outputs)
        if summary is not None:
            document = summarize(tally, files, counters, ruleset)
            summary.write([orjson.dumps(document, option=orjson.OPT_INDENT_2)])
    _close(tally, sources, counters, ruleset)


def replay_options() -> DetectorOptions:
    """Return the worker's settings of the engine, without the limits of its topics.

    Raises:
        ConfigError: A setting is wrong.
    """
    return replace(
        detector_options(load_settings().settings),
        output_bytes_max=sys.maxsize,
        dead_letter_bytes_max=sys.maxsize,
        has_broker_time=False,
    )


def compile_program(ruleset: RuleSet) -> Program:
    """Compile rules for running, with a progress bar."""
    with counting_bar("Compiling rules") as progress:
        program = Program(ruleset, progress=progress)
    return program


def run(detector: Detector, sources: Sequence[NdjsonFile], outputs: Outputs) -> Tally:
    """Send every line of every file through the detector, in order."""
    tally = Tally()
    started_s = time.monotonic()
    with ReadingBar("Replaying", sources) as bar:
        for source in sources:
            try:
                for lines in source.batches():
                    detections = _process(detector, source, lines, tally)
                    if any(detections[:3]) and outputs.is_on_screen:
                        with bar.paused():
                            outputs.write(detections)
                    else:
                        outputs.write(detections)
                    bar.update(tally.records)
            except InputError as error:
                tally.faults.append(str(error))
        outputs.write(detector.finish(time.time_ns() // 1_000_000))
    tally.seconds = time.monotonic() - started_s
    return tally


def _process(
    detector: Detector, source: NdjsonFile, lines: Iterable[Line], tally: Tally
) -> Detections:
    # The record's own time stands in for a missing @timestamp. The file's is nearer to the
    # event's than the clock is, and a second replay of the file repeats it.
    modified_ms = source.modified_ms
    records = [
        Record(line.value, source.name, 0, line.number - 1, modified_ms, []) for line in lines
    ]
    detections = detector.process(RecordList(records), now_ms=time.time_ns() // 1_000_000)
    tally.records += len(records)
    tally.bytes += sum(len(record.value or b"") for record in records)
    return detections


def summarize(
    tally: Tally, files: Sequence[str], counters: Counters, ruleset: RuleSet
) -> dict[str, Any]:
    """Return the counts of a replay as a JSON object."""
    return {
        "files": list(files),
        "complete": not tally.faults,
        "faults": tally.faults,
        "records": tally.records,
        "bytes": tally.bytes,
        "outcomes": {outcome: counters.outcomes[outcome] for outcome in OUTCOMES},
        "alerts": sum(counters.alerts.values()),
        "alerts_by_rule": dict(counters.rule_matches),
        "context_requests": _by_result(counters.context_requests),
        "dead_letters": dict(counters.dead_letters),
        "incomplete": dict(counters.incomplete),
        "sequences": {
            "late_events": counters.late_events,
            "released_early": counters.released_early,
            "evicted": dict(counters.state_evictions),
        },
        "rules": {
            "loaded": len(ruleset.rules),
            "rejected": len(ruleset.rejected),
            "skipped": len(ruleset.skipped),
        },
        "ruleset_digest": ruleset.digest,
        "seconds": round(tally.seconds, 3),
        "events_per_second": round(tally.records / max(tally.seconds, 1e-9), 1),
    }


def _close(
    tally: Tally, sources: Sequence[NdjsonFile], counters: Counters, ruleset: RuleSet
) -> None:
    """Say how it went; end with EXIT_INCOMPLETE if a file could not be read whole."""
    names = {rule.rule_id: rule.name for rule in ruleset.rules}
    for rule_id, matches in counters.rule_matches.most_common(_RULES_SHOWN_MAX):
        say(f"{matches:>8,}  {names.get(rule_id, rule_id)}")
    more = len(counters.rule_matches) - _RULES_SHOWN_MAX
    if more > 0:
        say(f"          and {count(more, 'more rule', 'more rules')} (all: --summary FILE)")
    pace = tally.records / max(tally.seconds, 1e-9)
    share = counters.outcomes["filtered"] / max(tally.records, 1)
    say(
        f"Replayed {count(tally.records, 'event')} ({size(tally.bytes)}) of "
        f"{count(len(sources), 'file')} in {tally.seconds:,.1f} s, {pace:,.0f} events/s, "
        f"{share:.1%} ended by the prefilter: "
        f"{count(sum(counters.alerts.values()), 'alert')}, "
        f"{count(sum(counters.context_requests.values()), 'context request')}, "
        f"{count(sum(counters.dead_letters.values()), 'dead letter')}.",
        "bold",
    )
    _tell_unused(counters)
    _tell_if_no_events(counters, tally)
    for fault in tally.faults:
        complain(fault)
    if tally.faults:
        raise SystemExit(EXIT_INCOMPLETE)


def _by_result(requests: Counter[tuple[str, str]]) -> dict[str, int]:
    """Context requests of all kinds together."""
    found: Counter[str] = Counter()
    for (_, result), number in requests.items():
        found[result] += number
    return dict(found)


def _tell_unused(counters: Counters) -> None:
    """Say what sequences may have missed, and the setting that it is due to."""
    if late := counters.late_events:
        say(f"{count(late, 'event')} came too late for sequences (lateness_s).")
    if early := counters.released_early:
        say(f"{count(early, 'event')} of sequences waited less than lateness_s: too many did.")
    if evicted := sum(counters.state_evictions.values()):
        verb = "was" if evicted == 1 else "were"
        say(
            f"{count(evicted, 'partial sequence')} {verb} forgotten"
            " (sequence_keys_max, sequence_rule_keys_max)."
        )


def _tell_if_no_events(counters: Counters, tally: Tally) -> None:
    """Say what is most likely wrong with input of which most is no event."""
    if 2 * sum(counters.dead_letters.values()) > tally.records:
        warn(
            "most lines are no events; each is to be one whole JSON object"
            " (`jq -c . FILE`, or `jq -c '.[]' FILE` for an array, makes such lines);"
            " --dead-letters FILE says what is wrong with each"
        )


def _refuse_clashes(inputs: Sequence[str], outputs: Iterable[str | None]) -> None:
    """Refuse to write a file that is read, or two outputs into one file.

    Raises:
        InputError: Two names mean one file.
    """
    taken = {_identity(name): name for name in inputs if name != STANDARD_OUTPUT}
    for name in outputs:
        if name is None or name == STANDARD_OUTPUT:
            continue
        identity = _identity(name)
        is_file = os.path.isfile(name) or not os.path.exists(name)
        if is_file and identity in taken:
            raise InputError(f"{name}: is named twice; it would be overwritten")
        taken[identity] = name


def _identity(name: str) -> str:
    return str(Path(name).resolve())
