"""Rules asked about events whose turn in a sequence has come, which were not decoded before.

Law of the file: the answer is what the rule would have said when the event came. What goes wrong
is noted for the caller, and stops no other rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from streamproc.engine.batch import record_of
from streamproc.engine.decode import decode
from streamproc.engine.sequence_rules import SequenceRules
from streamproc.eql.event import Event
from streamproc.eql.sequence import NS_PER_MS, Hits
from streamproc.errors import DecodeError
from streamproc.model import Record
from streamproc.ruleset.rule import Rule


class Fault(NamedTuple):
    """A question that had no answer; ``rule`` is None for a record that cannot be decoded."""

    rule: Rule | None
    record: Record
    error: Exception


class StepReader:
    """Asks sequence rules about records.

    Args:
        rules: The rules.
        applies: Whether a rule, by its position among them, looks at an event's index.
        stamped: Gives an event the time, in milliseconds, that it lacks, if it does.

    Attributes:
        faults: What went wrong; cleared by the caller.
    """

    def __init__(
        self,
        rules: SequenceRules,
        applies: Callable[[Event, int], bool],
        stamped: Callable[[Event, int], Event],
    ) -> None:
        self._rules = rules
        self._applies = applies
        self._stamped = stamped
        # What was asked about last: several rules may want to know.
        self._payload: Any = None
        self._event: Event | None = None
        self.faults: list[Fault] = []

    def hits(self, rule: str, payload: Any, timestamp_ns: int, queries: tuple[int, ...]) -> Hits:
        """Return what the event can do in the rule's sequence; nothing if it cannot be read."""
        if payload is not self._payload:
            self._payload, self._event = payload, self._read(record_of(payload), timestamp_ns)
        event = self._event
        if event is None or not self._applies(event, self._rules.positions[rule]):
            return ()
        entry = self._rules.by_name[rule]
        try:
            return entry.machine.hits(event, queries)
        except Exception as error:  # noqa: BLE001  # one rule's error must not stop the others
            self.faults.append(Fault(entry.rule, record_of(payload), error))
            return ()

    def _read(self, record: Record, timestamp_ns: int) -> Event | None:
        try:
            event = Event(decode(record.value or b""))
        except DecodeError as fault:
            self.faults.append(Fault(None, record, fault))
            return None
        return self._stamped(event, timestamp_ns // NS_PER_MS)
