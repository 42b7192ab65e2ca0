"""What sequence rules cost beside single-event rules, in one process and without Kafka.

Run: ``python -m benchmarks.sequences RULES_FOLDER [EVENTS]`` from the root of the checkout. Two
detectors, one with all rules of the folder and one with its single-event rules, take the same
batches in turns, so that a busy machine is as busy for both; CPU time counts, and the ratio is
that of the medians of the batches.

Expected, and checked before any number is shown: both raise the same alerts of single-event
rules, those that the traffic planted for the shipped rules among them; the traffic completes no
sequence; no event is late, and none is let go early.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.traffic.stream import Traffic
from streamproc.engine.batch import RecordList
from streamproc.engine.detector import Detector, DetectorOptions
from streamproc.engine.program import Program
from streamproc.model import Record
from streamproc.ops.counters import Counters
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.ruleset import RuleSet

EVENTS = 40_000
BATCH = 500
WARM_UP = 0.15  # of the batches: until starts are dropped as fast as they come
NOW_MS = 1_795_000_000_000
GC_THRESHOLDS = (100_000, 20, 100)  # a worker's


class Contender:
    """A detector, what its batches took, and what it found."""

    def __init__(self, rules: RuleSet) -> None:
        self.counters = Counters()
        self.detector = Detector(Program(rules), DetectorOptions(), self.counters)
        self.batches_us: list[float] = []

    def take(self, batch: RecordList) -> None:
        """Process one batch and note the CPU time of an event."""
        begin_ns = time.process_time_ns()
        self.detector.process(batch, NOW_MS)
        self.batches_us.append((time.process_time_ns() - begin_ns) / 1_000 / len(batch))

    def event_us(self) -> float:
        """CPU microseconds an event: median of the batches after the warm-up."""
        return statistics.median(self.batches_us[int(len(self.batches_us) * WARM_UP) :])


def main(folder: str, events: int) -> None:
    """Measure and print."""
    loaded = load_rules([Path(folder)])
    singles = replace(loaded, rules=tuple(r for r in loaded.rules if not r.is_sequence))
    contenders = {"single-event rules": Contender(singles), "all rules": Contender(loaded)}
    traffic = Traffic()
    records = [
        Record(value, "events", 0, offset, NOW_MS - 1_000, [])
        for offset, (_, value) in enumerate(traffic.events(events))
    ]
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    for turn, start in enumerate(range(0, events, BATCH)):
        order = list(contenders.values())
        for contender in order if turn % 2 else reversed(order):
            contender.take(RecordList(records[start : start + BATCH]))
    base, whole = contenders.values()
    _check(base, whole, loaded, Counter(item.rule_id for item in traffic.expected(events)))
    sequences = len(loaded.rules) - len(singles.rules)
    print(f"{events:,} events, {len(singles.rules)} single-event and {sequences} sequence rules")
    for name, contender in contenders.items():
        print(f"{name:>20}: {contender.event_us():7.2f} us an event")
    print(f"{'sequences':>20}: {whole.event_us() - base.event_us():7.2f} us an event")
    print(f"{'ratio':>20}: {base.event_us() / whole.event_us():7.2f} (wanted: at least 0.70)")
    state = whole.detector.sequences.budget
    print(f"waiting {state.waiting:,}, starts {state.starts:,}, join keys {state.keys:,}")


def _check(base: Contender, whole: Contender, loaded: RuleSet, planted: Counter[str]) -> None:
    """End the run if the answers are not those that were expected."""
    found, counters = base.counters.rule_matches, whole.counters
    known = {rule.rule_id for rule in loaded.rules}
    expected = {rule: number for rule, number in planted.items() if rule in known}
    if any(found[rule] != number for rule, number in expected.items()):
        sys.exit(f"wrong: {expected} were planted, {dict(found)} found")
    if counters.rule_matches != found:
        sys.exit(f"wrong: {dict(counters.rule_matches)} with sequences, {dict(found)} without")
    if counters.late_events or counters.released_early:
        sys.exit(f"wrong: {counters.late_events} late, {counters.released_early} let go early")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else EVENTS)
