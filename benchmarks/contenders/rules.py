"""The same compiled matchers for every contender: decode, then ask each rule, no prefilter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from streamproc.engine.program import Program
from streamproc.eql.event import Event
from streamproc.ruleset.loader import load_rules


class Matchers:
    """All single-event rules of some paths, asked one after the other.

    Attributes:
        found: Alerts so far, as ``rule id|host id|event id``.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        program = Program(load_rules(paths))
        self._selector = program.selector
        self._rules = list(enumerate(zip(program.rules, program.matchers, strict=True)))
        self.found: set[str] = set()

    def evaluate(self, value: bytes) -> None:
        """Decode one record and note which rules match it."""
        event = Event(orjson.loads(value))
        applicable = self._selector.applicable(event)
        for position, (rule, matches) in self._rules:
            if (applicable is None or position in applicable) and matches(event):
                self.found.add(alert_name(rule.rule_id, event))


def alert_name(rule_id: str, event: Event, event_id_field: str = "event.id") -> str:
    """What an alert is called in every contender's report."""
    host_id, event_id = event.values("host.id")[0], event.values(event_id_field)[0]
    return f"{rule_id}|{host_id}|{event_id}"
