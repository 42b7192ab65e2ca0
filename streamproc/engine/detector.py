"""Batches of records in, detections out: the stages of the product, in order, on one screen.

1. ``decode.suspects``: what is plainly no JSON object goes to dead letters.
2. ``prefilter.candidates``: most records end here, undecoded.
3. ``decode.decode``, then the matchers of the candidate rules that the event's index belongs to.
4. ``AlertWriter`` and ``ContextWriter``: what the matches say.

Law of the file: no input stops it, and every record has exactly one outcome. The same records
give the same outputs (but for the time of detection), however they are cut into batches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamproc.engine.alerts import AlertWriter, Match
from streamproc.engine.batch import Batch
from streamproc.engine.context import ContextWriter
from streamproc.engine.dead_letters import dead_letter
from streamproc.engine.decode import decode, suspects
from streamproc.engine.program import Program
from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Event
from streamproc.errors import DecodeError
from streamproc.model import Output, Record
from streamproc.ops.counters import Counters
from streamproc.ruleset.datemath import iso_utc
from streamproc.ruleset.rule import Rule

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """Limits and choices of the detector.

    Attributes:
        record_bytes_max: Largest record that is looked into, bytes.
        output_bytes_max: Largest output, key and headers included, bytes.
        dead_letter_bytes_max: Most of a record that its dead letter keeps, bytes.
        look_ahead_s: How far ``now`` as the end of a context request lies behind the event,
            seconds.
        default_context_requests: Whether rules without investigate queries get the default set.
    """

    record_bytes_max: int = 10 * 1024 * 1024
    output_bytes_max: int = 1_000_000
    dead_letter_bytes_max: int = 900_000
    look_ahead_s: float = 900
    default_context_requests: bool = True


class Detections(NamedTuple):
    """Outputs of a batch, each list in the order of the records."""

    alerts: list[Output]
    context_requests: list[Output]
    dead_letters: list[Output]


@dataclass(slots=True)
class Tally:
    """What one batch amounts to; added to the counters only when the batch is through."""

    detections: Detections = field(default_factory=lambda: Detections([], [], []))
    outcomes: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    incomplete: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    rule_matches: Counter[str] = field(default_factory=Counter)
    rule_errors: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    context_requests: Counter[str] = field(default_factory=Counter)

    def add_to(self, counters: Counters) -> None:
        """Add every count."""
        counters.outcomes.update(self.outcomes)
        counters.invalid.update(self.invalid)
        counters.incomplete.update(self.incomplete)
        counters.dead_letters.update(self.dead_letters)
        counters.rule_matches.update(self.rule_matches)
        counters.rule_errors.update(self.rule_errors)
        counters.alerts.update(self.alerts)
        counters.context_requests.update(self.context_requests)


class Detector:
    """Runs a program over batches. Not for use by two threads."""

    def __init__(self, program: Program, options: DetectorOptions, counters: Counters) -> None:
        self._program = program
        self._options = options
        self._counters = counters
        self._alerts = AlertWriter(program.digest, bytes_max=options.output_bytes_max)
        self._context = ContextWriter(
            look_ahead_s=options.look_ahead_s, use_defaults=options.default_context_requests
        )

    def process(self, batch: Batch, now_ms: int) -> Detections:
        """Evaluate a batch and count what became of its records.

        Args:
            batch: Records of one partition.
            now_ms: The time of detection, milliseconds since the epoch.
        """
        tally = self._isolate(batch, now_ms)
        tally.add_to(self._counters)
        return tally.detections

    def _isolate(self, batch: Batch, now_ms: int) -> Tally:
        """Evaluate; on an error of ours, halve the batch until the record that causes it is alone.

        Evaluation has no effect but its tally, so a half that is evaluated again loses nothing.
        """
        tally = Tally()
        try:
            self._evaluate_batch(batch, now_ms, tally)
        except Exception as error:  # noqa: BLE001  # whatever it is, the other records must go on
            if len(batch) == 1:
                tally = Tally()
                self._fail(tally, batch.record(0), f"{type(error).__name__}: {error}")
                return tally
            middle = len(batch) // 2
            tally = self._isolate(batch.slice(0, middle), now_ms)
            _join(tally, self._isolate(batch.slice(middle, len(batch)), now_ms))
        return tally

    def _evaluate_batch(self, batch: Batch, now_ms: int, tally: Tally) -> None:
        values: Any = batch.values()
        total = len(values)
        faults = suspects(values, self._options.record_bytes_max)
        if faults:
            for position, fault in faults.items():
                self._reject(tally, batch.record(position), fault)
            positions = [position for position in range(total) if position not in faults]
            values = [values[position] for position in positions]
        candidates = self._program.prefilter.candidates(values)
        for index, rules in candidates:
            record = batch.record(positions[index] if faults else index)
            self._evaluate(record, rules, now_ms, tally)
        filtered = total - len(faults) - len(candidates)
        if filtered:
            tally.outcomes["filtered"] += filtered

    def _evaluate(
        self, record: Record, candidates: tuple[int, ...], now_ms: int, tally: Tally
    ) -> None:
        try:
            document = decode(record.value or b"")
        except DecodeError as fault:
            self._reject(tally, record, fault)
            return
        event = Event(document)
        if not event.values("host.id"):
            tally.incomplete["host.id"] += 1
        stamps = event.values("@timestamp")
        if not stamps or parse_instant(stamps[0]) is None:
            tally.incomplete["@timestamp"] += 1
            event = _with_timestamp(document, record.timestamp_ms or now_ms)
        applicable = self._program.selector.applicable(event)
        outcome = "unmatched"
        for position in candidates:
            if applicable is not None and position not in applicable:
                continue
            rule = self._program.rules[position]
            try:
                if self._program.matchers[position](event):
                    self._detect(Match(rule, event, record, now_ms), tally)
                    outcome = "matched" if outcome == "unmatched" else outcome
            except Exception as error:  # noqa: BLE001  # one rule's error must not stop the others
                tally.rule_errors[rule.rule_id] += 1
                if outcome != FAILED:
                    outcome = FAILED
                    self._letter(
                        tally,
                        record,
                        FAILED,
                        f"rule {rule.rule_id}: {type(error).__name__}: {error}",
                    )
        tally.outcomes[outcome] += 1

    def _detect(self, match: Match, tally: Tally) -> None:
        rule: Rule = match.rule
        alert = self._alerts.write(match)
        if alert is None:
            return  # the event is an alert of this very rule
        requests = self._context.write(match, alert.alert_id)
        tally.rule_matches[rule.rule_id] += 1
        tally.alerts[rule.severity] += 1
        tally.detections.alerts.append(alert.output)
        for request in requests:
            tally.context_requests[request.status] += 1
            tally.detections.context_requests.append(request.output)

    def _reject(self, tally: Tally, record: Record, fault: DecodeError) -> None:
        tally.outcomes["invalid"] += 1
        tally.invalid[fault.reason] += 1
        self._letter(tally, record, fault.reason, str(fault))

    def _fail(self, tally: Tally, record: Record, error: str) -> None:
        tally.outcomes[FAILED] += 1
        self._letter(tally, record, FAILED, error)

    def _letter(self, tally: Tally, record: Record, reason: str, error: str) -> None:
        tally.dead_letters[reason] += 1
        tally.detections.dead_letters.append(
            dead_letter(
                record, reason, error, self._program.digest, self._options.dead_letter_bytes_max
            )
        )


def _with_timestamp(document: dict[str, Any], timestamp_ms: int) -> Event:
    """Return the event with the record's time in place of a missing or unreadable one."""
    return Event({**document, "@timestamp": iso_utc(timestamp_ms)})


def _join(tally: Tally, other: Tally) -> None:
    """Append another tally's outputs and add its counts."""
    for outputs, more in zip(tally.detections, other.detections, strict=True):
        outputs.extend(more)
    for name in Tally.__slots__:
        if name != "detections":
            getattr(tally, name).update(getattr(other, name))
