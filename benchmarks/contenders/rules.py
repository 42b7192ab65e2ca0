"""The same compiled matchers for every contender: decode, then ask each rule, no prefilter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from streamproc.eql.event import Event
from streamproc.ruleset.indices import IndexSelector
from streamproc.ruleset.loader import load_rules

# Sysmon's events have no id of their own: the record's number tells those of a host apart.
EVENT_IDS = ("event.id", "winlog.record_id")
ALERT_EVENT_IDS = ("kibana.alert.original_event.id", "winlog.record_id")


class Matchers:
    """All single-event rules of some paths, asked one after the other.

    Attributes:
        found: Alerts so far, as ``rule id|host id|event id``.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        rules = [rule for rule in load_rules(paths).rules if not rule.is_sequence]
        self._selector = IndexSelector(rules)
        self._rules = [
            (position, rule.rule_id, rule.matchers[0]) for position, rule in enumerate(rules)
        ]
        self.found: set[str] = set()

    def evaluate(self, value: bytes) -> None:
        """Decode one record and note which rules match it."""
        event = Event(orjson.loads(value))
        applicable = self._selector.applicable(event)
        for position, rule_id, matches in self._rules:
            if (applicable is None or position in applicable) and matches(event):
                self.found.add(alert_name(rule_id, event))


def alert_name(rule_id: str, event: Event, event_ids: Sequence[str] = EVENT_IDS) -> str:
    """What an alert is called in every contender's report."""
    event_id = next(values[0] for path in event_ids if (values := event.values(path)))
    return f"{rule_id}|{event.values('host.id')[0]}|{event_id}"
