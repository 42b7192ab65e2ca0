"""A match -> the alert document that Elastic Security would have written, as an output record.

A sequence becomes one building-block alert for each of its events and a shell alert, which holds
the fields that all of them have in common.

The document is the source event as it came plus ``kibana.alert.*``, all of it as flat dotted
keys at the top level. ECS ``rule.*``, ``threat.*`` and ``event.severity`` say the same once
more, because Kibana removes ``kibana.*`` from documents that it did not write itself.

Law of the file: no path stands in the document twice, dotted and nested; redelivered events
give alerts of the same ids.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from streamproc import __version__
from streamproc.engine.alert_json import fit_alert
from streamproc.engine.common_fields import common_fields
from streamproc.engine.headers import output_headers
from streamproc.engine.identity import (
    alert_id,
    building_block_id,
    event_identity,
    first,
    raw_coordinates,
    sequence_alert_id,
)
from streamproc.engine.reason import reason_text
from streamproc.engine.source_fields import copy_source, fields_below, raw_values, take_out_all
from streamproc.eql.event import Event
from streamproc.eql.sequence import JoinKey
from streamproc.model import Output, Place, Record
from streamproc.ruleset.datemath import iso_utc, time_ms
from streamproc.ruleset.indices import index_name
from streamproc.ruleset.rule import Rule

SEVERITY_SCORES = {"low": 21, "medium": 47, "high": 73, "critical": 99}
"""Elastic's own scores: a promotion rule maps ``event.severity`` back by them."""

# Any fixed value will do; this one names the copies of rules that this product runs.
_RULE_NAMESPACE = uuid.UUID("7f7d2c07-3a58-5c0f-9d0e-6b1f5a0c9a11")

# What of the source gives way to fields of the alert; kept below ``streamproc.original``.
_REPLACED = ("@timestamp", "event.kind", "event.severity", "event.risk_score")
_DISPLACED = ("rule", "threat.framework", "threat.tactic", "threat.technique")

# An alert on a sequence alert has some ten; the rest would be somebody's attempt to bloat it.
# The events of a sequence share the limit.
_ANCESTORS_MAX = 100
_ANCESTOR_KEYS = ("id", "type", "index", "depth", "rule")

# Lengths, time and offset of a record in Kafka's format, rounded up.
_FRAMING_BYTES = 100


class Match(NamedTuple):
    """One event that one rule matched.

    Attributes:
        rule: The rule.
        event: The decoded event; it is not changed.
        record: The record that it came in.
        detected_at_ms: Now, milliseconds since the epoch: the alert's own time.
    """

    rule: Rule
    event: Event
    record: Record
    detected_at_ms: int


class Alert(NamedTuple):
    """An alert ready to be produced, and its id, which its context requests carry."""

    alert_id: str
    output: Output


class SequenceAlert(NamedTuple):
    """The alerts of one sequence, ready to be produced.

    Attributes:
        alert_id: The shell alert's id, which its context requests carry.
        outputs: The building blocks in the order of the events, then the shell.
    """

    alert_id: str
    outputs: list[Output]


class AlertWriter:
    """Writes the alerts of one rule set; what does not hang on the event is prepared once."""

    def __init__(
        self,
        ruleset_digest: str,
        *,
        bytes_max: int | None = None,
        space_ids: Iterable[str] = ("default",),
    ) -> None:
        """Make a writer.

        Args:
            ruleset_digest: Said in every alert, so that it can be traced to the exact rules.
            bytes_max: Longest record that may be produced, key and headers included; longer
                documents are cut, largest source fields first. None: no limit.
            space_ids: Kibana spaces that the alerts belong to.
        """
        self._digest = ruleset_digest
        self._bytes_max = bytes_max
        self._space_ids = list(space_ids)
        self._rule_fields: dict[int, tuple[Rule, dict[str, Any]]] = {}

    def write(self, match: Match) -> Alert | None:
        """Write an alert, or None if the event is itself an alert of this rule or made from one.

        A rule that sees its own alerts would never come to an end.
        """
        rule = match.rule
        ancestors = parent_ancestors(match)
        if _is_own_alert(rule, match.event, ancestors):
            return None
        identity = event_identity(match.event, match.record)
        alert = alert_id(rule.rule_id, identity)
        document = self._document(match, alert, ancestors)
        step = match.event, match.record
        output = self._output(rule, [step], alert, document)
        return Alert(alert, _measured(output, rule, *step))

    def write_sequence(
        self,
        rule: Rule,
        steps: Sequence[tuple[Event, Record]],
        join_key: JoinKey,
        detected_at_ms: int,
    ) -> SequenceAlert | None:
        """Write the alerts of a sequence; None if ``write`` would refuse one of its events.

        The shell's ``kibana.alert.original_time`` is the time of the last event. Elastic puts the
        blocks' own time there, which is the time of detection and says nothing of the events.

        Args:
            rule: The rule.
            steps: Its events with their records, in the order of the result, without positions
                of missing events; at least one.
            join_key: The values of the join fields that the sequence was found for.
            detected_at_ms: Now, milliseconds since the epoch.
        """
        matches = [Match(rule, event, record, detected_at_ms) for event, record in steps]
        lineages = [parent_ancestors(match) for match in matches]
        if any(
            _is_own_alert(rule, event, lineage)
            for (event, _), lineage in zip(steps, lineages, strict=True)
        ):
            return None
        identities = [event_identity(event, record) for event, record in steps]
        shell_id = sequence_alert_id(rule.rule_id, identities, join_key)
        share = max(_ANCESTORS_MAX // len(steps), 1)
        blocks = [
            self._document(match, building_block_id(shell_id, index), lineage[-share:])
            for index, (match, lineage) in enumerate(zip(matches, lineages, strict=True))
        ]
        # Before any of them is cut: what one block lost to its length is still common.
        shell = self._shell(rule, blocks, shell_id)
        outputs = []
        for index, (match, block) in enumerate(zip(matches, blocks, strict=True)):
            block |= {
                "kibana.alert.building_block_type": "default",
                "kibana.alert.group.id": shell_id,
                "kibana.alert.group.index": index,
            }
            block_id = block["kibana.alert.uuid"]
            outputs.append(self._output(rule, [(match.event, match.record)], block_id, block))
        output = self._output(rule, steps, shell_id, shell)
        outputs.append(_measured(output, rule, *steps[-1]))
        return SequenceAlert(shell_id, outputs)

    def _shell(self, rule: Rule, blocks: list[dict[str, Any]], shell_id: str) -> dict[str, Any]:
        static = self._static_fields(rule)
        document = common_fields(
            [{path: block[path] for path in block if path not in static} for block in blocks]
        )
        ancestors = [
            ancestor
            for block in blocks
            for ancestor in (*block["kibana.alert.ancestors"], _block_ancestor(rule, block))
        ]
        return (
            document
            | static
            | {
                "kibana.space_ids": self._space_ids,
                "kibana.alert.uuid": shell_id,
                "kibana.alert.instance.id": shell_id,
                "kibana.alert.group.id": shell_id,
                "kibana.alert.original_time": blocks[-1]["kibana.alert.original_time"],
                "kibana.alert.ancestors": ancestors,
                "kibana.alert.depth": max(block["kibana.alert.depth"] for block in blocks) + 1,
                "kibana.alert.reason": reason_text(rule, Event(document)),
            }
        )

    def _output(
        self,
        rule: Rule,
        steps: Sequence[tuple[Event, Record]],
        alert: str,
        document: dict[str, Any],
    ) -> Output:
        headers = output_headers(rule, steps)
        room = self._bytes_max
        if room is not None:
            room -= len(alert) + sum(len(name) + len(value) for name, value in headers)
            room -= _FRAMING_BYTES
        return Output(alert.encode(), fit_alert(document, room), headers)

    def _document(
        self, match: Match, alert: str, ancestors: list[dict[str, Any]]
    ) -> dict[str, Any]:
        source, dropped = copy_source(match.event.document)
        fields = _event_fields(match, source)
        fields |= _ancestry_fields(match, ancestors)
        fields |= self._static_fields(match.rule)
        fields |= _own_fields(match, source, self._digest)
        if dropped:
            # Paths come from the event: bounded, or they would be a way to bloat an alert.
            fields["streamproc.dropped_fields"] = [path[:256] for path in dropped[:100]]
        fields |= {
            "kibana.space_ids": self._space_ids,
            "kibana.alert.uuid": alert,
            "kibana.alert.instance.id": alert,
            "kibana.alert.reason": reason_text(match.rule, match.event),
        }
        own = [path for path in fields if path.startswith("streamproc.")]
        take_out_all(source, (*_REPLACED, *_DISPLACED, *own))
        return {"@timestamp": iso_utc(match.detected_at_ms), **source, **fields}

    def _static_fields(self, rule: Rule) -> dict[str, Any]:
        # By identity: two rule sets live side by side for a moment while rules are reloaded.
        known = self._rule_fields.get(id(rule))
        if known is None:
            fields = rule_fields(rule)
            # A stream has no runs: a rule is executed for as long as its rule set is.
            run = uuid.uuid5(_RULE_NAMESPACE, f"{self._digest}:{rule.rule_id}")
            fields["kibana.alert.rule.execution.uuid"] = str(run)
            known = self._rule_fields[id(rule)] = (rule, fields)
        return known[1]


def _is_own_alert(rule: Rule, event: Event, ancestors: list[dict[str, Any]]) -> bool:
    """Whether an event is an alert of the rule or made from one.

    It must call itself a signal, too: a stray field of an alert is no way around a rule.
    """
    own = rule_uuid(rule)
    return "signal" in event.values("event.kind") and any(
        ancestor.get("rule") == own for ancestor in ancestors
    )


def event_time_ms(rule: Rule, event: Event, record: Record) -> int:
    """Return the event's time, milliseconds since the epoch.

    The rule's ``timestamp_field``, else ``@timestamp``, else the record's own time; a value that
    is no time counts as missing.
    """
    for path in (rule.timestamp_field, "@timestamp"):
        stamp = first(event, path)
        at = None if stamp is None else time_ms(stamp)
        if at is not None:
            return at
    return record.timestamp_ms


def _measured(output: Output, rule: Rule, event: Event, record: Record) -> Output:
    """Return an alert with the time and place of the event that it is measured by."""
    place = Place(record.topic, record.partition, record.offset)
    return output._replace(event_ms=event_time_ms(rule, event, record), place=place)


def rule_uuid(rule: Rule) -> str:
    """Return the id of this product's copy of a rule; the same for all its versions."""
    return _uuid_of(rule.rule_id)


@lru_cache(maxsize=16_384)
def _uuid_of(rule_id: str) -> str:
    return str(uuid.uuid5(_RULE_NAMESPACE, rule_id))


def rule_fields(rule: Rule) -> dict[str, Any]:
    """Return the fields of an alert that hang on the rule alone."""
    elastic: dict[str, Any] = {
        "actions": [],
        "author": list(rule.author),
        "building_block_type": rule.building_block_type,
        "category": "Event Correlation Rule",
        "consumer": "siem",
        "created_at": rule.created_at,
        "created_by": "streamproc",
        "description": rule.description,
        "enabled": True,
        "exceptions_list": list(rule.exceptions_list),
        "execution.type": "scheduled",
        "false_positives": list(rule.false_positives),
        "from": rule.from_,
        "immutable": True,
        "indices": list(rule.indices),
        "interval": rule.interval,
        "license": rule.license,
        "max_signals": rule.max_signals,
        "name": rule.name,
        "note": rule.note,
        "parameters": rule.parameters,
        "producer": "siem",
        "references": list(rule.references),
        "revision": 0,
        "risk_score": rule.risk_score,
        "risk_score_mapping": list(rule.risk_score_mapping),
        "rule_id": rule.rule_id,
        "rule_name_override": rule.rule_name_override,
        "rule_type_id": "siem.eqlRule",
        "severity": rule.severity,
        "severity_mapping": list(rule.severity_mapping),
        "tags": list(rule.tags),
        "threat": list(rule.threat),
        "timeline_id": rule.timeline_id,
        "timeline_title": rule.timeline_title,
        "timestamp_override": rule.timestamp_override,
        "to": rule.to,
        "type": "eql",
        "updated_at": rule.updated_at,
        "updated_by": "streamproc",
        "uuid": rule_uuid(rule),
        "version": rule.version,
    }
    fields = {
        f"kibana.alert.rule.{key}": value for key, value in elastic.items() if value is not None
    }
    fields |= {
        "kibana.alert.risk_score": rule.risk_score,
        "kibana.alert.severity": rule.severity,
        "kibana.alert.status": "active",
        "kibana.alert.workflow_assignee_ids": [],
        "kibana.alert.workflow_status": "open",
        "kibana.alert.workflow_tags": [],
        "event.kind": "signal",
        "event.risk_score": rule.risk_score,
        "event.severity": SEVERITY_SCORES[rule.severity],
    }
    if rule.building_block_type is not None:
        fields["kibana.alert.building_block_type"] = rule.building_block_type
    return fields | _ecs_rule_fields(rule) | _ecs_threat_fields(rule)


def parent_ancestors(match: Match) -> list[dict[str, Any]]:
    """Return where the alert comes from, eldest first; the event itself stands last.

    An event that is an alert hands on its own ancestors.
    """
    event = match.event
    parent_rule = first(event, "kibana.alert.rule.uuid")
    depth = first(event, "kibana.alert.depth")
    is_alert = parent_rule is not None or depth is not None
    kept = _handed_on(event.document) if is_alert else []
    coordinates = raw_coordinates(match.record)
    own_id = first(event, "kibana.alert.uuid" if is_alert else "event.id")
    ancestor: dict[str, Any] = {
        "id": str(coordinates if own_id is None else own_id)[:1_024],
        "type": "signal" if is_alert else "event",
        "index": index_name(event) or f"kafka:{coordinates}",
        "depth": _depth(depth, kept) if is_alert else 0,
    }
    if parent_rule is not None:
        ancestor["rule"] = str(parent_rule)[:1_024]
    return [*kept, ancestor]


def _block_ancestor(rule: Rule, block: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": block["kibana.alert.uuid"],
        "type": "signal",
        "index": "",
        "depth": block["kibana.alert.depth"],
        "rule": rule_uuid(rule),
    }


def _handed_on(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for value in raw_values(document, "kibana.alert.ancestors"):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                found.append({key: item[key] for key in _ANCESTOR_KEYS if _is_plain(item.get(key))})
    return found[-_ANCESTORS_MAX:]


def _is_plain(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and len(value) <= 1_024)


def _depth(depth: Any, kept: list[dict[str, Any]]) -> int:
    if isinstance(depth, int) and not isinstance(depth, bool) and depth > 0:
        return depth
    known = [item["depth"] for item in kept if isinstance(item.get("depth"), int)]
    return max(known, default=0) + 1


def _event_fields(match: Match, source: dict[str, Any]) -> dict[str, Any]:
    """Return the event's time and its ``event.*`` and ``data_stream.*``, kept as originals."""
    detected_at = iso_utc(match.detected_at_ms)
    stamp = first(match.event, "@timestamp")
    original_time = (
        stamp
        if isinstance(stamp, str) and time_ms(stamp) is not None
        else iso_utc(event_time_ms(match.rule, match.event, match.record))
    )
    fields = {
        f"kibana.alert.original_{path}": value
        for path, value in fields_below(source, "event", "data_stream").items()
        if "." in path
    }
    return fields | {
        "kibana.alert.original_time": original_time,
        "kibana.alert.start": detected_at,
        "kibana.alert.last_detected": detected_at,
        "kibana.alert.intended_timestamp": detected_at,
        "kibana.alert.rule.execution.timestamp": detected_at,
    }


def _ancestry_fields(match: Match, ancestors: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kibana.alert.ancestors": ancestors,
        "kibana.alert.depth": ancestors[-1]["depth"] + 1,
    }


def _own_fields(match: Match, source: dict[str, Any], digest: str) -> dict[str, Any]:
    coordinates = raw_coordinates(match.record)
    fields = {
        f"streamproc.original.{path}": value
        for path, value in fields_below(source, *_DISPLACED).items()
    }
    return fields | {
        "streamproc.version": __version__,
        "streamproc.ruleset.digest": digest,
        "streamproc.record.topic": coordinates.topic,
        "streamproc.record.partition": coordinates.partition,
        "streamproc.record.offset": coordinates.offset,
    }


def _ecs_rule_fields(rule: Rule) -> dict[str, Any]:
    fields = {
        "rule.id": rule.rule_id,
        "rule.name": rule.name,
        "rule.uuid": rule_uuid(rule),
        "rule.version": str(rule.version),
        "rule.description": rule.description,
        "rule.author": list(rule.author),
        "rule.license": rule.license,
    }
    return {path: value for path, value in fields.items() if value}


def _ecs_threat_fields(rule: Rule) -> dict[str, Any]:
    tactics = [entry["tactic"] for entry in rule.threat if isinstance(entry.get("tactic"), dict)]
    techniques = [item for entry in rule.threat for item in _tables(entry, "technique")]
    subtechniques = [item for entry in techniques for item in _tables(entry, "subtechnique")]
    fields: dict[str, Any] = {}
    for path, entries in (
        ("threat.tactic", tactics),
        ("threat.technique", techniques),
        ("threat.technique.subtechnique", subtechniques),
    ):
        for key in ("id", "name", "reference"):
            values = [entry[key] for entry in entries if isinstance(entry.get(key), str)]
            if values:
                fields[f"{path}.{key}"] = list(dict.fromkeys(values))
    frameworks = [entry["framework"] for entry in rule.threat if "framework" in entry]
    if frameworks:
        fields["threat.framework"] = frameworks[0]
    return fields


def _tables(entry: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = entry.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
