"""A rule: its query and all that an alert says about it, as plain frozen values.

Law of the file: a ``Rule`` that exists is one that can run; whatever is wrong with a file is
found by the loader, before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from streamproc.eql import nodes
from streamproc.eql.compiler import Matcher
from streamproc.ruleset.investigate import Investigation

SEVERITIES = ("low", "medium", "high", "critical")

DEFAULT_FROM = "now-6m"
DEFAULT_INTERVAL = "5m"
DEFAULT_MAX_SIGNALS = 100
DEFAULT_EVENT_CATEGORY_FIELD = "event.category"
DEFAULT_TIMESTAMP_FIELD = "@timestamp"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that can run.

    Attributes:
        rule_id: Elastic's stable id; the same over all versions.
        version: From the lock file of a checkout, else from the rule, else 1.
        path: The file, as found from the path that the user named.
        query_text: The query as written.
        query: Its syntax tree: an event query or a sequence.
        description: On one line, as Elastic publishes it.
        threat: MITRE mappings, ready for JSON; each has a ``technique`` list.
        note: The investigation guide, with its investigate blocks in place.
        from_: Start of the time range that Elastic would search, in date math; a stream reads
            every event once, so it is passed on and not used.
        to: End of that range.
        interval: How often Elastic would run it; the span to which ``max_signals`` applies.
        max_signals: Alerts at most per interval.
        indices: Index patterns; empty: any event.
        building_block_type: ``default`` for a building block rule.
        timestamp_field: The event's time, for the order of events.
        investigate: The guide's queries, in the order of the file.
        severity_mapping: As in the file; not applied.
        created_at: Date of the rule's creation, ISO 8601 in UTC; None if the file has none.
        min_stack_version: Oldest Elastic release that the rule is written for; passed on only.
        parameters: The whole rule in the form of Elastic's API, without the note, ready for JSON.
        matchers: The compiled event queries: one, or those of a sequence's steps and then of its
            ``until``. Kept from loading, which compiles every query to find its faults.
    """

    rule_id: str
    name: str
    version: int
    path: str
    query_text: str
    query: nodes.Query
    severity: str
    risk_score: int
    description: str = ""
    tags: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    license: str = ""
    references: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    threat: tuple[dict[str, Any], ...] = ()
    note: str = ""
    setup: str = ""
    from_: str = DEFAULT_FROM
    to: str = "now"
    interval: str = DEFAULT_INTERVAL
    max_signals: int = DEFAULT_MAX_SIGNALS
    indices: tuple[str, ...] = ()
    building_block_type: str | None = None
    timestamp_override: str | None = None
    event_category_field: str = DEFAULT_EVENT_CATEGORY_FIELD
    timestamp_field: str = DEFAULT_TIMESTAMP_FIELD
    tiebreaker_field: str | None = None
    investigate: tuple[Investigation, ...] = ()
    investigation_fields: tuple[str, ...] = ()
    severity_mapping: tuple[dict[str, Any], ...] = ()
    risk_score_mapping: tuple[dict[str, Any], ...] = ()
    rule_name_override: str | None = None
    timeline_id: str | None = None
    timeline_title: str | None = None
    exceptions_list: tuple[dict[str, Any], ...] = ()
    created_at: str | None = None
    updated_at: str | None = None
    min_stack_version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    matchers: tuple[Matcher, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_sequence(self) -> bool:
        """Whether the query is a sequence."""
        return isinstance(self.query.body, nodes.Sequence)

    def content_digest(self) -> str:
        """Return the SHA-256, in hex, of all that decides what the rule finds and says."""
        content = [self.rule_id, self.version, self.parameters, self.note, repr(self.investigate)]
        return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return JSON that is the same for equal values: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
