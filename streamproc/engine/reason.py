"""The sentence that tells an analyst what an alert is about, in Elastic's own form."""

from __future__ import annotations

from typing import Any

from streamproc.eql.event import Event
from streamproc.ruleset.rule import Rule

# A reason is read in a table; a value longer than this tells nobody more.
_VALUE_LENGTH_MAX = 500


def reason_text(rule: Rule, event: Event) -> str:
    """Return ``process event with process cmd.exe, ... by SYSTEM on EXCH01 created high alert``.

    Parts whose field is missing are left out; without a process, file, source or destination
    there is no ``with``.
    """
    category = ", ".join(str(value) for value in event.values("event.category"))
    interesting = [
        _part("process", event, "process.name"),
        _part("parent process", event, "process.parent.name"),
        _part("file", event, "file.name"),
        _part("source", event, "source.ip", "source.port"),
        _part("destination", event, "destination.ip", "destination.port"),
    ]
    found = [part for part in interesting if part]
    words = [category, "event", "with" if found else "", *(f"{part}," for part in found)]
    words += [_part("by", event, "user.name"), _part("on", event, "host.name")]
    words += [f"created {rule.severity} alert {rule.name}."]
    return " ".join(word for word in words if word)


def _part(word: str, event: Event, path: str, port_path: str = "") -> str:
    value = _first(event, path)
    if value is None:
        return ""
    port = _first(event, port_path) if port_path else None
    return f"{word} {value}" if port is None else f"{word} {value}:{port}"


def _first(event: Event, path: str) -> Any:
    for value in event.values(path):
        text = str(value)
        if text:
            return text[:_VALUE_LENGTH_MAX]
    return None
