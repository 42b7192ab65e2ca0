"""What several documents have in common: the fields of a sequence's shell alert.

Law of the file: what is returned says of every document what that document says itself. A field
is its dotted path, however it is written, and a value alone is an array of one. The form is the
first document's, so no path comes to stand twice that does not stand twice there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from streamproc.ruleset.rule import canonical_json

_NOTHING: Any = object()


def common_fields(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields that all documents have with the same value.

    Arrays are reduced to the values that all of them hold, as often as all hold them, in the
    first document's order. An object in an array is one value. ``null`` is none: fields without
    a value are left out.

    Args:
        documents: At least one, nested no deeper than the stack allows; they are not changed.
    """
    first, *others = documents
    return _kept(first, "", [dict(_fields(other)) for other in others])


def _kept(node: dict[str, Any], prefix: str, others: list[dict[str, Any]]) -> dict[str, Any]:
    kept = {}
    for key, value in node.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            shared = _kept(value, f"{path}.", others) or _NOTHING
        else:
            shared = _shared(value, [other.get(path, _NOTHING) for other in others])
        if shared is not _NOTHING:
            kept[key] = shared
    return kept


def _fields(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every field; an array is one field."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shared(value: Any, others: list[Any]) -> Any:
    """Return what is left of a value; ``_NOTHING`` if the others share nothing with it."""
    if any(other is _NOTHING for other in others):
        return _NOTHING
    left = _marks(value)
    for other in others:
        left &= _marks(other)
    if not isinstance(value, list):
        return value if left else _NOTHING
    items = []
    for item in value:
        mark = _mark(item)
        if left[mark] > 0:
            left[mark] -= 1
            items.append(item)
    return items or _NOTHING


def _marks(value: Any) -> Counter[Any]:
    items = value if isinstance(value, list) else [value]
    return Counter(_mark(item) for item in items if item is not None)


def _mark(value: Any) -> Any:
    """Return what equal values, and no others, have in common; for Python, True equals 1."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return isinstance(value, bool), value
    return canonical_json(value)
