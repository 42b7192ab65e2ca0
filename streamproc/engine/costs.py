"""What rules cost: the time of their evaluation, and of the reading that they ask for.

Law of the file: measuring changes nothing. A rule is evaluated once more, on an event of its
own, so that what other rules have read of the event does not make it look cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from streamproc.engine.decode import decode
from streamproc.engine.program import Asked, Program
from streamproc.eql.event import Event
from streamproc.errors import DecodeError

SAMPLED_EVERY = 256
"""One event in so many is measured while a worker runs."""


class CostSampler:
    """Measures one event in ``every``, and adds what all of them will have cost.

    Args:
        seconds: Rule id to seconds; added to.
        every: How many events one that is measured stands for.
    """

    def __init__(self, seconds: dict[str, float], every: int = SAMPLED_EVERY) -> None:
        self._seconds = seconds
        self._every = every
        self._until_next = every

    def is_due(self) -> bool:
        """Whether this event is to be measured; to be asked once for each."""
        self._until_next -= 1
        if self._until_next:
            return False
        self._until_next = self._every
        return True

    def measure(self, program: Program, asked: Asked, value: bytes) -> None:
        """Evaluate the rules that are asked under the clock, unless ``value`` is no event."""
        document = _read(program, asked, value)
        if document is None:
            return
        for position in asked.positions:
            rule_id = program.rules[position].rule_id
            cost_s = _evaluation_s(program, document, position)
            self._seconds[rule_id] = self._seconds.get(rule_id, 0.0) + cost_s * self._every


@dataclass(slots=True)
class RuleCost:
    """What one rule cost over some events.

    Attributes:
        candidates: Events that the prefilter let through for it.
        evaluation_s: Time of its evaluation.
        reading_s: Its share of reading these events, divided among their candidates.
    """

    candidates: int = 0
    evaluation_s: float = 0.0
    reading_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Both together."""
        return self.evaluation_s + self.reading_s


@dataclass(slots=True)
class CostReport:
    """What a program cost over some events.

    Attributes:
        events: How many there were.
        undecodable: Those among them that are no events.
        passed: Those that the prefilter let through for some rule.
        prefilter_s: Time of the prefilter.
        rules: By position in the program; rules that were never a candidate are missing.
    """

    events: int = 0
    undecodable: int = 0
    passed: int = 0
    prefilter_s: float = 0.0
    rules: dict[int, RuleCost] = field(default_factory=dict)

    def add(self, program: Program, values: Sequence[bytes]) -> None:
        """Run a batch of undecoded events through the program and add what it costs.

        Steps of sequences are evaluated whenever they are candidates; a worker asks many of them
        only once a sequence has begun, so theirs is the most that they can cost.
        """
        began_s = perf_counter()
        found = program.prefilter.candidates(values)
        self.prefilter_s += perf_counter() - began_s
        self.events += len(values)
        for index, candidates in found:
            self._add_event(program, values[index], candidates)

    def _add_event(self, program: Program, value: bytes, candidates: tuple[int, ...]) -> None:
        asked, sequences = program.split(candidates)
        singles = () if asked is None else asked.positions
        began_s = perf_counter()
        document = _read(program, None if sequences else asked, value)
        if document is None:
            self.undecodable += 1
            return
        shared_s = (perf_counter() - began_s) / max(len(singles) + len(sequences), 1)
        self.passed += 1
        for position in singles:
            self._add_rule(position, _evaluation_s(program, document, position), shared_s)
        for candidate in sequences:
            machine = program.sequences.rules[candidate.position].machine
            event = Event(document)
            began_s = perf_counter()
            with suppress(Exception):  # the worker counts it and goes on, too
                machine.hits(event, candidate.queries)
            position = len(program.matchers) + candidate.position
            self._add_rule(position, perf_counter() - began_s, shared_s)

    def _add_rule(self, position: int, evaluation_s: float, reading_s: float) -> None:
        cost = self.rules.setdefault(position, RuleCost())
        cost.candidates += 1
        cost.evaluation_s += evaluation_s
        cost.reading_s += reading_s


def _read(program: Program, asked: Asked | None, value: bytes) -> dict[str, Any] | None:
    """The fields that the rules ask about, or all of them where that takes decoding it."""
    document = None if asked is None else program.reader(asked).read(value)
    if document is not None:
        return document
    try:
        return decode(value)
    except DecodeError:
        return None


def _evaluation_s(program: Program, document: dict[str, object], position: int) -> float:
    event = Event(document)
    began_s = perf_counter()
    with suppress(Exception):  # the detector counts it and goes on, too
        program.matchers[position](event)
    return perf_counter() - began_s
