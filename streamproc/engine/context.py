"""An alert -> context requests: the queries of its rule's guide, filled in and ready to be run.

Time is anchored on the event, not on the moment when somebody clicks: ``now-1h`` is an hour
before the event. ``now`` as an end is the event's time plus a look-ahead, because what a process
does happens after its start.

A sequence is asked about once. Placeholders are filled with what its events have in common, and
where they have nothing in common, from the last event that has the field. A range starts from the
time of the first event and ends at that of the last, so ``now-1h`` is an hour before the first.

Law of the file: a placeholder that cannot be filled takes its group of conditions with it, and a
request without a group left has no query at all. An empty match, which would fetch everything, is
never written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from streamproc.engine.alert_json import to_json
from streamproc.engine.alerts import Match, event_time_ms
from streamproc.engine.context_query import (
    Condition,
    UnreadableValueError,
    read_condition,
    to_dsl,
    to_kql,
)
from streamproc.engine.headers import output_headers
from streamproc.engine.identity import first, first_of
from streamproc.eql.event import Event, Value
from streamproc.model import Output, Record
from streamproc.ruleset.datemath import DateMathError, iso_utc, parse_date_math
from streamproc.ruleset.investigate import Investigation, Provider
from streamproc.ruleset.rule import Rule

LOOK_AHEAD_MS = 15 * 60_000
"""How far past the event ``now`` as an end reaches, unless set otherwise."""

PID_WINDOW_MS = 5 * 60_000
"""Either side of the events, when a process is known by its pid only: pids are used again."""

# Lucene indexes no longer term, so no longer value can be found by one.
VALUE_BYTES_MAX = 32_766

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_ENTITY_ID = "process.entity_id"
# What stands in for an entity id: the field that an entity field is replaced by.
_PID_FIELDS = {_ENTITY_ID: "process.pid", "process.parent.entity_id": "process.parent.pid"}

_SYSTEM_SID = "S-1-5-18"
# As Windows calls that account in the languages that have a word of their own for it.
_SYSTEM_NAMES = frozenset({"system", "système", "systeme", "sistema", "система"})


class ContextRequest(NamedTuple):
    """One request ready to be produced; ``status`` is resolved, partial or unresolvable."""

    status: str
    output: Output


class Span(NamedTuple):
    """The times of an alert's first and last event, milliseconds since the epoch."""

    start_ms: int
    end_ms: int


class ContextWriter:
    """Writes the context requests of alerts."""

    def __init__(
        self,
        *,
        look_ahead_s: float = LOOK_AHEAD_MS / 1_000,
        use_defaults: bool = True,
        bytes_max: int | None = None,
    ) -> None:
        """Make a writer.

        Args:
            look_ahead_s: How far past the event ``now`` as an end reaches, seconds.
            use_defaults: Whether rules without queries of their own get DEFAULT_QUERIES.
            bytes_max: Longest value that may be produced; a longer request keeps all but its
                query, which would be another one if it were cut. None: no limit.
        """
        self._look_ahead_ms = int(look_ahead_s * 1_000)
        self._use_defaults = use_defaults
        self._bytes_max = bytes_max

    def write(self, match: Match, alert_id: str) -> list[ContextRequest]:
        """Return one request per query of the rule, with the key ``<alert id>:<n>``, n from 0."""
        return self.write_sequence(match.rule, [(match.event, match.record)], alert_id)

    def write_sequence(
        self, rule: Rule, steps: Sequence[tuple[Event, Record]], alert_id: str
    ) -> list[ContextRequest]:
        """Return the requests of a sequence's shell alert, which are as those of one event.

        Args:
            rule: The rule.
            steps: The events with their records, in the order of the result, without positions
                of missing events; at least one.
            alert_id: The shell alert's id.
        """
        queries: Sequence[Investigation] = rule.investigate
        if not queries and self._use_defaults:
            queries = DEFAULT_QUERIES
        events = [event for event, _ in steps]
        values = _Values(events)
        headers = output_headers(rule, steps)
        shared = {
            "alert_id": alert_id,
            "rule": {"id": rule.rule_id, "name": rule.name, "version": rule.version},
            "host": {"id": _shown(events, "host.id"), "name": _shown(events, "host.name")},
        }
        times = [event_time_ms(rule, event, record) for event, record in steps]
        span = Span(min(times), max(times))
        requests = []
        for position, query in enumerate(queries):
            key = f"{alert_id}:{position}"
            answer = _resolve(query, values, span, self._look_ahead_ms)
            value = to_json({"id": key, **shared, **answer})
            if self._bytes_max is not None and len(value) > self._bytes_max:
                answer = _without_query(answer)
                value = to_json({"id": key, **shared, **answer})
            output = Output(key.encode(), value, list(headers))
            requests.append(ContextRequest(answer["status"], output))
        return requests


def resolve(
    investigation: Investigation,
    events: Sequence[Event],
    span: Span,
    look_ahead_ms: int = LOOK_AHEAD_MS,
) -> dict[str, Any]:
    """Return the part of a request that says what to ask and when.

    Args:
        investigation: The query.
        events: The event that the rule matched, or those of its sequence; at least one.
        span: Their times.
        look_ahead_ms: How far past the last of them ``now`` as an end reaches.
    """
    return _resolve(investigation, _Values(events), span, look_ahead_ms)


def _resolve(
    investigation: Investigation, values: _Values, span: Span, look_ahead_ms: int
) -> dict[str, Any]:
    filler = _Filler(values)
    attempts = [filler.fill(group) for group in investigation.providers]
    filled = [group for group in attempts if group is not None]
    by_pid = [group for group in filled if group.is_by_pid]
    start = _bound(investigation.relative_from, span.start_ms, None)
    end = _bound(investigation.relative_to, span.end_ms, look_ahead_ms)
    if by_pid and len(by_pid) == len(filled):
        start, end = _pid_window(span)
    else:
        for group in by_pid:
            # The others keep the whole range; this one must not find a later process.
            group.conditions.append(_pid_condition(span))
    groups = [group.conditions for group in filled]
    if not filled:
        status = "unresolvable"
    else:
        status = "partial" if filler.missing or len(filled) < len(attempts) else "resolved"
    return {
        "label": investigation.label,
        "description": investigation.description,
        "status": status,
        "missing": list(filler.missing),
        "from": start,
        "to": end,
        "relative_from": investigation.relative_from,
        "relative_to": investigation.relative_to,
        "providers": [group.providers for group in filled],
        "query": to_dsl(groups) if groups else None,
        "kql": to_kql(groups) if groups else None,
    }


def _without_query(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a request that is too long to be sent: it names the fields that make it so."""
    shown = [provider["field"] for group in answer["providers"] for provider in group]
    return {
        **answer,
        "status": "unresolvable",
        "missing": list(dict.fromkeys([*answer["missing"], *shown])),
        "providers": [],
        "query": None,
        "kql": None,
    }


class _Group(NamedTuple):
    """A group of conditions that are all filled, with the providers as they are shown."""

    conditions: list[Condition]
    providers: list[dict[str, Any]]
    is_by_pid: bool


class _Template(NamedTuple):
    """A provider's value: its placeholders, and the path if it is one placeholder and no more."""

    paths: tuple[str, ...]
    whole: str | None
    is_readable: bool


@lru_cache(maxsize=8_192)  # texts of rules' guides: each is asked for with every alert
def _template(text: str) -> _Template:
    paths = tuple(path.strip() for path in _PLACEHOLDER.findall(text))
    whole = _PLACEHOLDER.fullmatch(text.strip())
    is_readable = "{{" not in _PLACEHOLDER.sub("", text)
    return _Template(paths, whole[1].strip() if whole else None, is_readable)


class _Values:
    """What placeholders are filled with: read once for all requests of an alert."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._known: dict[str, Value | None] = {}

    def get(self, path: str) -> Value | None:
        """Return the value at a path; None if there is none that may be asked for."""
        try:
            return self._known[path]
        except KeyError:
            value = self._known[path] = self._read(path)
            return value

    def _read(self, path: str) -> Value | None:
        value = first_of(self._events, path)
        if isinstance(value, str) and len(value.encode("utf-8", "replace")) > VALUE_BYTES_MAX:
            return None
        if path == "user.id" and value == _SYSTEM_SID:
            # One event that means it is enough of a reason to ask for it.
            named = [event for event in self._events if value in event.values(path)]
            return value if any(map(_is_own_user, named)) else None
        return value


@dataclass(slots=True)
class _Filler:
    """Fills the placeholders of one request; ``missing`` keeps what it could not, in order."""

    values: _Values
    missing: dict[str, None] = field(default_factory=dict)

    def fill(self, group: Sequence[Provider]) -> _Group | None:
        """Fill a group; None if it has to be left out."""
        unfilled = [path for provider in group for path in self._unfilled(provider)]
        self.missing.update(dict.fromkeys(unfilled))
        is_by_pid = False
        if unfilled:
            replaced = self._by_pid(group) if set(unfilled) == {_ENTITY_ID} else None
            if replaced is None:
                return None
            group, is_by_pid = replaced, True
        conditions, providers = [], []
        for provider in group:
            try:
                value = self._value_of(provider)
                condition = read_condition(
                    provider.field, provider.query_type, value, is_excluded=provider.is_excluded
                )
            except UnreadableValueError:
                return None
            conditions.append(condition)
            providers.append(_shown_provider(provider, value))
        return _Group(conditions, providers, is_by_pid)

    def _unfilled(self, provider: Provider) -> list[str]:
        template = _template(provider.value)
        unfilled = [path for path in template.paths if self.values.get(path) is None]
        # A template that nobody can read is as bad as one that cannot be filled.
        return unfilled if template.is_readable else [*unfilled, provider.value]

    def _value_of(self, provider: Provider) -> Any:
        if provider.query_type not in ("phrases", "range"):
            return self._filled(provider.value)
        # Decoded first: a quote in the event's value must not end the text that it stands in.
        try:
            return self._filled_below(json.loads(provider.value))
        except (ValueError, RecursionError) as error:
            raise UnreadableValueError(f"{provider.query_type} needs JSON") from error

    def _filled_below(self, node: Any) -> Any:
        if isinstance(node, str):
            return self._filled(node)
        if isinstance(node, list):
            return [self._filled_below(item) for item in node]
        if isinstance(node, dict):
            return {key: self._filled_below(item) for key, item in node.items()}
        return node

    def _filled(self, template: str) -> Value:
        whole = _template(template).whole
        if whole is not None:
            value = self.values.get(whole)
            # Known to be there; the empty text is for the type checker alone.
            return "" if value is None else value
        return _PLACEHOLDER.sub(lambda found: str(self.values.get(found[1].strip())), template)

    def _by_pid(self, group: Sequence[Provider]) -> list[Provider] | None:
        """Return the group with pids for entity ids; None if the event has no pid or host."""
        if self.values.get("process.pid") is None or self.values.get("host.id") is None:
            return None
        replaced = []
        for provider in group:
            if _ENTITY_ID not in provider.value:
                replaced.append(provider)
            elif provider.field in _PID_FIELDS and provider.query_type == "phrase":
                pid_field = _PID_FIELDS[provider.field]
                replaced.append(
                    Provider(pid_field, value="{{process.pid}}", is_excluded=provider.is_excluded)
                )
            else:
                return None
        if not any(provider.field == "host.id" for provider in group):
            # A pid says something on its own host only.
            replaced.insert(0, Provider("host.id", value="{{host.id}}"))
        return replaced


def _is_own_user(event: Event) -> bool:
    """Whether ``user.id`` belongs to ``user.name``.

    On a Sysmon event it is the account that Sysmon itself runs as, whoever started the process:
    asking for it would bring the alerts of every host.
    """
    name = first(event, "user.name")
    if name is None or str(name).strip().casefold() in _SYSTEM_NAMES:
        return True  # nothing contradicts it
    marks = (
        *event.values("event.module"),
        *event.values("event.provider"),
        *event.values("event.dataset"),
        *event.values("data_stream.dataset"),
        *event.values("winlog.channel"),
        *event.values("winlog.provider_name"),
    )
    return not any("sysmon" in str(mark).casefold() for mark in marks)


def _bound(text: str | None, anchor_ms: int, look_ahead_ms: int | None) -> str | None:
    """Resolve one bound; with a look-ahead it is an end. A bound that is no date math is open."""
    if text is None:
        return None
    is_end = look_ahead_ms is not None
    try:
        bound = parse_date_math(text)
        # Only ``now`` itself moves: ``now-1h`` as an end asks for what was before the event.
        ahead = look_ahead_ms if look_ahead_ms is not None and bound.is_now else 0
        return iso_utc(bound.resolve_ms(anchor_ms + ahead, is_end=is_end))
    except (DateMathError, OverflowError):
        return None


def _pid_window(span: Span) -> tuple[str, str]:
    return iso_utc(span.start_ms - PID_WINDOW_MS), iso_utc(span.end_ms + PID_WINDOW_MS)


def _pid_condition(span: Span) -> Condition:
    start, end = _pid_window(span)
    return Condition("@timestamp", "range", bounds=(("gte", start), ("lte", end)))


def _shown_provider(provider: Provider, value: Any) -> dict[str, Any]:
    # Always text: an index that holds requests needs one type for the field.
    text = value if isinstance(value, str) else to_json(value).decode()
    return {
        "field": provider.field,
        "queryType": provider.query_type,
        "value": text,
        "valueType": provider.value_type,
        "excluded": provider.is_excluded,
    }


def _shown(events: Sequence[Event], path: str) -> str | None:
    value = first_of(events, path)
    return None if value is None else str(value)[:VALUE_BYTES_MAX]


def _phrases(**fields: str) -> tuple[Provider, ...]:
    return tuple(Provider(name.replace("__", "."), value=value) for name, value in fields.items())


_HOST = {"host__id": "{{host.id}}"}

DEFAULT_QUERIES: tuple[Investigation, ...] = (
    Investigation(
        "Events of the same process and of its children",
        "",
        (
            _phrases(**_HOST, process__entity_id="{{process.entity_id}}"),
            _phrases(**_HOST, process__parent__entity_id="{{process.entity_id}}"),
        ),
        "now-1h",
        "now",
    ),
    Investigation(
        "Process events from the same parent",
        "",
        (
            _phrases(
                event__category="process",
                **_HOST,
                process__parent__entity_id="{{process.parent.entity_id}}",
            ),
        ),
        "now-1h",
        "now",
    ),
    Investigation(
        "Alerts associated with the host",
        "",
        (_phrases(event__kind="signal", **_HOST),),
        "now-48h/h",
        "now",
    ),
    Investigation(
        "Alerts associated with the user",
        "",
        (_phrases(event__kind="signal", user__id="{{user.id}}"),),
        "now-48h/h",
        "now",
    ),
)
"""What every guide ends up asking, for rules that ask nothing themselves."""
