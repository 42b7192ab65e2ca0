"""An alert document as JSON of bounded length.

What is cut: fields of the source event, the largest first, then the copies that the alert made of
them, then the longest parts of the rule block. What is never cut: the fields that say which alert
this is. The document names what it lost in ``streamproc.truncated_fields``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

TRUNCATED = "streamproc.truncated"
TRUNCATED_FIELDS = "streamproc.truncated_fields"

# A cut text keeps its start: a command line's first kilobyte says most of what there is to say.
TEXT_KEPT_CHARACTERS = 1_024
# A document may hold a hundred thousand fields; their names must not bloat what is left.
_NAMES_MAX = 100
_NAME_LENGTH_MAX = 256

# Fields that the alert sets outside ``kibana.*`` and ``streamproc.*``; always dotted, so that a
# source field of the same path, which gave way, is not taken for one.
_OWN = frozenset(
    [
        "@timestamp",
        *(f"event.{key}" for key in ("kind", "severity", "risk_score")),
        *(f"rule.{key}" for key in ("id", "name", "uuid", "version")),
        *(f"rule.{key}" for key in ("description", "author", "license")),
        "threat.framework",
        *(
            f"threat.{part}.{key}"
            for part in ("tactic", "technique", "technique.subtechnique")
            for key in ("id", "name", "reference")
        ),
    ]
)
# The alert's copies of source fields, and after them what a reader can look up by the rule's id.
_COPIES = ("kibana.alert.original_event.", "kibana.alert.original_data_stream.")
_LOOKED_UP = (
    "streamproc.original.",
    "streamproc.dropped_fields",
    "kibana.alert.rule.note",
    "kibana.alert.rule.parameters",
    "kibana.alert.rule.description",
    "kibana.alert.rule.references",
    "kibana.alert.rule.false_positives",
)


def to_json(document: Any) -> bytes:
    """Return a document as JSON, whatever a decoder let through.

    Numbers beyond 64 bits and lone surrogates, which orjson refuses, go through the standard
    library and come out as they were.
    """
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document, separators=(",", ":")).encode()


def fit_alert(document: dict[str, Any], bytes_max: int | None) -> bytes:
    """Return an alert's JSON, cut as far as needed to be at most ``bytes_max`` long.

    The document is changed if it is cut. The result is longer than the limit only if the fields
    that say which alert it is are longer themselves (some 3 kB).
    """
    value = to_json(document)
    if bytes_max is None or len(value) <= bytes_max:
        return value
    cut: list[str] = []
    for step in (_cut_texts, _cut_source, _cut_copies):
        # Room for the list of names, which grows while fields are cut.
        names = _NAMES_MAX * 20
        step(document, len(value) - max(bytes_max - names, 0), cut)
        document[TRUNCATED] = True
        document[TRUNCATED_FIELDS] = [name[:_NAME_LENGTH_MAX] for name in cut[:_NAMES_MAX]]
        value = to_json(document)
        if len(value) <= bytes_max:
            return value
    document[TRUNCATED_FIELDS] = []
    return to_json(document)


class _Field(NamedTuple):
    """A field that may be cut: its size as JSON, its path, and the object that holds it."""

    size: int
    path: str
    holder: dict[str, Any]
    key: str


def _cut_texts(document: dict[str, Any], excess: int, cut: list[str]) -> None:
    """Shorten long texts of the source event, the longest first."""
    for field in _by_size(_source_fields(document)):
        value = field.holder[field.key]
        if excess <= 0:
            return
        if isinstance(value, str) and len(value) > TEXT_KEPT_CHARACTERS:
            field.holder[field.key] = value[:TEXT_KEPT_CHARACTERS]
            excess -= field.size - len(to_json(field.holder[field.key]))
            cut.append(field.path)


def _cut_source(document: dict[str, Any], excess: int, cut: list[str]) -> None:
    """Remove fields of the source event, the largest first."""
    _remove(_by_size(_source_fields(document)), excess, cut)
    for key in [key for key in document if _is_source(key)]:
        if _is_hollow(document[key]):
            del document[key]


def _cut_copies(document: dict[str, Any], excess: int, cut: list[str]) -> None:
    """Remove copies of the source, then what the rule's id leads to."""
    for prefixes in (_COPIES, _LOOKED_UP):
        chosen = [key for key in document if key.startswith(prefixes)]
        # Whole: the rule's parameters belong to the rule, too.
        fields = [_Field(len(to_json(document[key])), key, document, key) for key in chosen]
        excess = _remove(_by_size(fields), excess, cut)


def _remove(fields: list[_Field], excess: int, cut: list[str]) -> int:
    for field in fields:
        if excess <= 0:
            break
        del field.holder[field.key]
        excess -= field.size + len(field.key)
        cut.append(field.path)
    return excess


def _by_size(fields: Iterable[_Field]) -> list[_Field]:
    return sorted(fields, key=lambda field: field.size, reverse=True)


def _is_source(key: str) -> bool:
    return not key.startswith(("kibana.", "streamproc.")) and key not in _OWN


def _source_fields(document: dict[str, Any]) -> Iterator[_Field]:
    for key in document:
        if _is_source(key):
            yield from _fields(document, key, key)


def _fields(holder: dict[str, Any], key: str, path: str) -> Iterator[_Field]:
    """Yield the fields at and below a key; a list is one field, whatever it holds."""
    value = holder[key]
    if isinstance(value, dict):
        for name in value:
            yield from _fields(value, name, f"{path}.{name}")
    else:
        yield _Field(len(to_json(value)), path, holder, key)


def _is_hollow(value: Any) -> bool:
    """Whether there is nothing left in an object, at any depth."""
    return isinstance(value, dict) and all(_is_hollow(item) for item in value.values())
