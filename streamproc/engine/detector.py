"""Batches of records in, detections out: the stages of the product, in order, on one screen.

1. ``decode.suspects``: what is plainly no JSON object goes to dead letters.
2. ``prefilter.candidates``: most records end here, undecoded.
3. ``Program.examine``: most candidates end here, by the few fields that their rules ask about.
   ``decode.decode``, then the matchers of the rules that are left and look at the event's index.
4. ``SequenceRules.offers`` and ``PartitionSequences``: events that are steps of sequences.
5. ``AlertWriter`` and ``ContextWriter``: what the matches say.

Law of the file: no input stops it, and every record has exactly one outcome. The same records
give the same outputs (but for the time of detection), however they are cut into batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, NamedTuple

import msgspec

from streamproc.engine.alert_json import TRUNCATED
from streamproc.engine.alerts import AlertWriter, Match
from streamproc.engine.batch import Batch, record_of
from streamproc.engine.context import ContextRequest, ContextWriter
from streamproc.engine.costs import CostSampler
from streamproc.engine.dead_letters import dead_letter
from streamproc.engine.decode import decode, suspects
from streamproc.engine.identity import first
from streamproc.engine.program import Program, lacks_timestamp
from streamproc.engine.sequence_budget import SequenceLimits
from streamproc.engine.sequence_keys import SequenceMatch
from streamproc.engine.sequence_reader import StepReader
from streamproc.engine.sequence_rules import Candidate, head_of, rule_id_of
from streamproc.engine.sequence_scope import Arrival
from streamproc.engine.sequence_states import SequenceStates
from streamproc.eql.event import Event
from streamproc.eql.sequence import JoinKey
from streamproc.errors import DecodeError
from streamproc.model import Output, Record
from streamproc.ops.counters import Counters, Partition
from streamproc.ruleset.datemath import iso_utc
from streamproc.ruleset.rule import Rule

FAILED = "failed"
IS_CUT = f'"{TRUNCATED}":true'.encode()
_COUNTED = (
    "outcomes",
    "invalid",
    "incomplete",
    "dead_letters",
    "rule_matches",
    "rule_errors",
    "alerts",
    "context_requests",
    "suppressed",
    "truncated",
)
HEADERS_ROOM_BYTES = 40_000  # key and headers of a context request; values are cut at 32 KiB
# Later than any event: the year 294,276, the last that 64 bits of microseconds hold.
_THE_END_MS = 9_223_372_036_854_775
# Files have no partitions: what a replay reads is one stream, whatever number of files it is in.
_FILES: Partition = ("", 0)


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
        has_broker_time: Whether records bear the time at which a broker got them; those of files
            do not, and time passes by their events alone.
        sequence_limits: Lateness and bounds of sequence state.
    """

    record_bytes_max: int = 10 * 1024 * 1024
    output_bytes_max: int = 1_000_000
    dead_letter_bytes_max: int = 900_000
    look_ahead_s: float = 900
    default_context_requests: bool = True
    has_broker_time: bool = True
    sequence_limits: SequenceLimits = field(default_factory=SequenceLimits)


class Detections(NamedTuple):
    """Outputs of a batch, each list in the order of the records.

    But for dead letters: those of records that are plainly no JSON object come first. Alerts of
    the worker's own canary are apart: they are no alerts.
    """

    alerts: list[Output]
    context_requests: list[Output]
    dead_letters: list[Output]
    canaries: Sequence[Output] = ()


@dataclass(slots=True)
class Tally:
    """What one batch amounts to; added to the counters only when the batch is through."""

    detections: Detections = field(default_factory=lambda: Detections([], [], []))
    offers: list[tuple[str, Arrival]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    incomplete: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    rule_matches: Counter[str] = field(default_factory=Counter)
    rule_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    context_requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)
    canaries: list[Output] = field(default_factory=list)

    def add_to(self, counters: Counters) -> None:
        """Add every count."""
        for name in _COUNTED:
            if found := getattr(self, name):
                getattr(counters, name).update(found)


class Detector:
    """Runs a program over batches. Not for use by two threads."""

    def __init__(self, program: Program, options: DetectorOptions, counters: Counters) -> None:
        self._program = program
        self._options = options
        self._counters = counters
        self._alerts = AlertWriter(program.digest, bytes_max=options.output_bytes_max)
        self._context = ContextWriter(
            look_ahead_s=options.look_ahead_s,
            use_defaults=options.default_context_requests,
            bytes_max=max(
                options.output_bytes_max - HEADERS_ROOM_BYTES, options.output_bytes_max // 2
            ),
        )
        shift = len(program.matchers)
        self._reader = StepReader(
            program.sequences,
            lambda event, position: program.selector.applies(event, position + shift),
            _stamped,
        )
        self.sequences = SequenceStates(
            program.sequences.machines, options.sequence_limits, self._reader
        )
        self._sampler = CostSampler(counters.rule_seconds)
        self._file = ""
        self._order = count()  # of events from files, for each file's offsets begin anew

    def rehearsal(self) -> Callable[[Batch, int], object]:
        """Return what evaluates a batch, at a time, to no effect but that the program has met it.

        What a program makes when it is asked for the first time is there when this detector asks.
        Nothing is counted, and no sequence moves. Not to be used beside this detector.
        """
        return Detector(self._program, self._options, Counters())._isolate

    def take_over(self, old: Detector) -> None:
        """Go on where another detector ends, which is used no more; to be called between batches.

        ``sequences`` is the other's from now on, so that snapshots go on. Partial sequences of
        rules that are the same in both programs survive. Options about sequences stay as they
        were. It takes as long as ``SequenceStates.adopt``.
        """
        self.sequences = old.sequences
        self.sequences.adopt(self._program.sequences.machines, self._reader)
        self._file, self._order = old._file, old._order

    def process(self, batch: Batch, now_ms: int) -> Detections:
        """Evaluate a batch and count what became of its records.

        Args:
            batch: Records of one partition.
            now_ms: The time of detection, milliseconds since the epoch.
        """
        tally = self._isolate(batch, now_ms)
        if self._program.sequences.rules:
            self._join_sequences(batch, now_ms, tally)
            self._note_faults(tally)
            self._count_state()
        tally.add_to(self._counters)
        return tally.detections._replace(canaries=tally.canaries)

    def advance(self, partition: Partition, broker_ms: int, now_ms: int) -> Detections:
        """Let time pass in a partition that was read to its end, and return what that settles.

        Args:
            partition: Topic and partition.
            broker_ms: The time that its next record will bear at least, milliseconds.
            now_ms: The time of detection, milliseconds since the epoch.
        """
        tally = Tally()
        self._report(self.sequences.of(partition).advance(broker_ms), now_ms, tally)
        self._note_faults(tally)
        self._count_state()
        tally.add_to(self._counters)
        return tally.detections

    def finish(self, now_ms: int) -> Detections:
        """Settle all sequences: no more records will come (the end of a replay)."""
        found = Detections([], [], [])
        for partition, _ in list(self.sequences.items()):
            settled = self.advance(partition, _THE_END_MS, now_ms)
            for outputs, more in zip(found[:3], settled[:3], strict=True):
                outputs.extend(more)
        return found

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
        began_s = perf_counter()
        candidates = self._program.prefilter.candidates(values)
        self._counters.phases["prefilter"].observe(perf_counter() - began_s)
        offer_unread, wall_ms = self._program.sequences.offer_unread, self._wall_ms(now_ms)
        unmatched = 0
        for index, rules in candidates:
            asked, sequences = self._program.split(rules)
            singles: tuple[int, ...] = ()
            head = None
            if asked is not None:
                if self._sampler.is_due():
                    self._sampler.measure(self._program, asked, values[index])
                singles, head = self._program.examine(
                    asked, values[index], asks_head=bool(sequences)
                )
            if singles or sequences:
                position = positions[index] if faults else index
                # Most that only sequences want wait for their turn undecoded.
                if singles or not offer_unread(
                    batch.reference(position), values[index], sequences, wall_ms, head, tally.offers
                ):
                    self._evaluate(batch.record(position), singles, sequences, now_ms, tally)
                    continue
            unmatched += 1
        filtered = total - len(faults) - len(candidates)
        for outcome, number in (("filtered", filtered), ("unmatched", unmatched)):
            if number:
                tally.outcomes[outcome] += number

    def _evaluate(
        self,
        record: Record,
        singles: tuple[int, ...],
        sequences: tuple[Candidate, ...],
        now_ms: int,
        tally: Tally,
    ) -> None:
        event = self._read(record, now_ms, tally)
        if event is None:
            return
        canary = self._program.canary
        if canary is not None and canary in singles and self._program.matchers[canary](event):
            self._take_canary(Match(self._program.rules[canary], event, record, now_ms), tally)
            return
        selector = self._program.selector
        faults: list[str] = []
        is_match = False
        doing = "evaluation"
        for position in singles:
            rule = self._program.rules[position]
            try:
                # Few rules match: asking for the index only then costs less than leaving rules out.
                if self._program.matchers[position](event) and selector.applies(event, position):
                    doing = "output"
                    self._detect(Match(rule, event, record, now_ms), tally)
                    doing = "evaluation"
                    is_match = True
            except Exception as error:  # noqa: BLE001  # one rule's error must not stop the others
                if selector.applies(event, position):
                    tally.rule_errors[rule.rule_id, doing] += 1
                    faults.append(f"rule {rule.rule_id}: {type(error).__name__}: {error}")
                doing = "evaluation"
        if sequences:
            self._offer(event, record, sequences, now_ms, tally, faults)
        if faults:
            self._fail(tally, record, "; ".join(faults))
        else:
            tally.outcomes["matched" if is_match else "unmatched"] += 1

    def _read(self, record: Record, now_ms: int, tally: Tally) -> Event | None:
        """Decode a record; None if it cannot be."""
        try:
            event = Event(decode(record.value or b""))
        except DecodeError as fault:
            self._reject(tally, record, fault)
            return None
        if first(event, "host.id") is None:
            tally.incomplete["host.id"] += 1
        if lacks_timestamp(event):
            tally.incomplete["@timestamp"] += 1
            event = _with_timestamp(event.document, record.timestamp_ms or now_ms)
        return event

    def _offer(
        self,
        event: Event,
        record: Record,
        sequences: tuple[Candidate, ...],
        now_ms: int,
        tally: Tally,
        faults: list[str],
    ) -> None:
        """Note what the event can do in sequences; their state moves when the batch is through."""
        program = self._program
        head, wall_ms = head_of(event), self._wall_ms(now_ms)
        if head is not None and program.sequences.offer_unread(
            record, record.value or b"", sequences, wall_ms, head, tally.offers
        ):
            return
        shift = len(program.matchers)

        def on_error(rule: Rule, error: Exception) -> None:
            tally.rule_errors[rule.rule_id, "evaluation"] += 1
            faults.append(f"rule {rule.rule_id}: {type(error).__name__}: {error}")

        def applies(position: int) -> bool:
            return program.selector.applies(event, position + shift)

        tally.offers.extend(
            program.sequences.offers(event, record, sequences, wall_ms, on_error, applies)
        )

    def _wall_ms(self, now_ms: int) -> int | None:
        """Return the time that no record's may pass; None where records have no time."""
        return now_ms if self._options.has_broker_time else None

    def _join_sequences(self, batch: Batch, now_ms: int, tally: Tally) -> None:
        """Move the partition's sequences by a whole batch, and by the time that it took."""
        if not self._options.has_broker_time:
            state = self.sequences.of(_FILES)
            if batch.topic != self._file:
                self._file = batch.topic
                state.begin_file()
            in_order = [
                (scope, msgspec.structs.replace(arrival, offset=next(self._order)))
                for scope, arrival in tally.offers
            ]
            self._report(state.offer_all(in_order), now_ms, tally)
            return
        state = self.sequences.of((batch.topic, batch.partition))
        self._report(state.offer_all(tally.offers), now_ms, tally)
        self._report(state.advance(min(batch.last_timestamp_ms, now_ms)), now_ms, tally)

    def _note_faults(self, tally: Tally) -> None:
        """Count and keep what could not be evaluated when its turn came.

        The record has its outcome already.
        """
        for rule, record, error in self._reader.faults:
            if isinstance(error, DecodeError):
                self._letter(tally, record, error.reason, str(error))
            elif rule is not None:
                tally.rule_errors[rule.rule_id, "evaluation"] += 1
                reason = f"rule {rule.rule_id}: {type(error).__name__}: {error}"
                self._letter(tally, record, FAILED, reason)
        self._reader.faults.clear()

    def _count_state(self) -> None:
        budget, counters = self.sequences.budget, self._counters
        counters.sequence_keys = budget.keys
        counters.sequence_keys_max = budget.limits.keys_max
        counters.sequence_waiting = budget.waiting
        counters.late_events = budget.counts.late_events
        counters.cut_join_keys = budget.counts.cut_join_keys
        counters.released_early = budget.counts.released_early
        evictions: Counter[str] = Counter()
        for name, number in budget.counts.evicted_keys.items():
            evictions[rule_id_of(name)] += number
        counters.state_evictions = evictions

    def _report(self, found: list[SequenceMatch], now_ms: int, tally: Tally) -> None:
        """Write the alerts of completed sequences."""
        for match in found:
            rule = self._program.sequences.by_name[match.rule].rule
            records = [record_of(payload) for payload in match.payloads if payload is not None]
            try:
                self._detect_sequence(rule, match.key, records, now_ms, tally)
            except Exception as error:  # noqa: BLE001  # the other sequences must come out
                tally.rule_errors[rule.rule_id, "output"] += 1
                reason = f"sequence {rule.rule_id}: {type(error).__name__}: {error}"
                self._letter(tally, records[-1], FAILED, reason)

    def _detect_sequence(
        self, rule: Rule, key: JoinKey, records: list[Record], now_ms: int, tally: Tally
    ) -> None:
        steps = [(_event_of(record, now_ms), record) for record in records]
        alert = self._alerts.write_sequence(rule, steps, key, now_ms)
        if alert is None:
            tally.suppressed["own_alert"] += 1
            return
        requests = self._context.write_sequence(rule, steps, alert.alert_id)
        self._count(rule, alert.outputs, requests, tally)

    def _take_canary(self, match: Match, tally: Tally) -> None:
        """Write the alert of a synthetic event of this worker; no rule else looks at it."""
        tally.outcomes["canary"] += 1
        alert = self._alerts.write(match)
        if alert is not None:
            tally.canaries.append(alert.output)

    def _detect(self, match: Match, tally: Tally) -> None:
        rule: Rule = match.rule
        alert = self._alerts.write(match)
        if alert is None:
            tally.suppressed["own_alert"] += 1  # the event is an alert of this very rule
            return
        requests = self._context.write(match, alert.alert_id)
        self._count(rule, [alert.output], requests, tally)

    def _count(
        self, rule: Rule, alerts: list[Output], requests: list[ContextRequest], tally: Tally
    ) -> None:
        tally.rule_matches[rule.rule_id] += 1
        tally.alerts[rule.severity] += 1
        tally.detections.alerts.extend(alerts)
        if cut := sum(IS_CUT in alert.value for alert in alerts):
            tally.truncated["alert"] += cut
        kind = "rule" if rule.investigate else "default"
        for request in requests:
            tally.context_requests[kind, request.status] += 1
            tally.detections.context_requests.append(request.output)

    def _reject(self, tally: Tally, record: Record, fault: DecodeError) -> None:
        tally.outcomes["invalid"] += 1
        tally.invalid[fault.reason] += 1
        self._letter(tally, record, fault.reason, str(fault))

    def _fail(self, tally: Tally, record: Record, error: str) -> None:
        tally.outcomes[FAILED] += 1
        self._letter(tally, record, FAILED, error)

    def _letter(self, tally: Tally, record: Record, reason: str, error: str) -> None:
        letter = dead_letter(
            record, reason, error, self._program.digest, self._options.dead_letter_bytes_max
        )
        tally.dead_letters[reason] += 1
        tally.detections.dead_letters.append(letter)
        if any(name == "truncated" for name, _ in letter.headers):
            tally.truncated["dead_letter"] += 1


def _event_of(record: Record, now_ms: int) -> Event:
    """Decode a record once more that was a good event when it was offered."""
    return _stamped(Event(decode(record.value or b"")), record.timestamp_ms or now_ms)


def _stamped(event: Event, timestamp_ms: int) -> Event:
    """Return the event, with a time if it lacks one."""
    return _with_timestamp(event.document, timestamp_ms) if lacks_timestamp(event) else event


def _with_timestamp(document: dict[str, Any], timestamp_ms: int) -> Event:
    """Return the event with the record's time in place of a missing or unreadable one."""
    return Event({**document, "@timestamp": iso_utc(timestamp_ms)})


def _join(tally: Tally, other: Tally) -> None:
    """Append another tally's outputs and add its counts."""
    for outputs, more in zip(tally.detections[:3], other.detections[:3], strict=True):
        outputs.extend(more)
    tally.offers.extend(other.offers)
    tally.canaries.extend(other.canaries)
    for name in Tally.__slots__:
        if name not in ("detections", "offers", "canaries"):
            getattr(tally, name).update(getattr(other, name))
