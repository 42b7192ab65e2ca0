"""One decoded JSON object, read by field path.

Law of the file: a field is the flattened list of its scalars. ``null``, ``[]``, ``[null]`` and
absent are the same (no value), dotted keys and nested objects are the same field at any split,
arrays of objects flatten. Reading never fails and never recurses, whatever the document holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from streamproc.eql.text import fold_ascii, keyword_text

Value: TypeAlias = str | int | float | bool
Values: TypeAlias = tuple[Value, ...]
# One entry per position in the path: the keys that may stand there in a document (one piece, or
# several joined by dots) and the position after each.
_Steps: TypeAlias = tuple[tuple[tuple[str, int], ...], ...]
_SCALARS = (str, int, float)
_ARRAYS = (list, tuple)
_ONLY_TEXT = frozenset({str})


class FieldPath:
    """A field path taken apart once, when a query is compiled; use ``field_path`` to get one.

    Attributes:
        text: The path as it is written.
        hops: For each piece, the piece and the dotted keys that may stand in its place.
        steps: For each position, every key that may stand there and the position after it.
        texts_key, folded_key: Under which an event keeps the derived forms of the values.
    """

    __slots__ = ("folded_key", "hops", "steps", "text", "texts_key")

    def __init__(self, text: str) -> None:
        self.text = text
        self.texts_key = f"texts {text}"
        self.folded_key = f"folded {text}"
        pieces = text.split(".")
        count = len(pieces)
        self.steps: _Steps = tuple(
            tuple((".".join(pieces[at:end]), end) for end in range(at + 1, count + 1))
            for at in range(count)
        )
        self.hops: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
            (step[0][0], tuple(key for key, _ in step[1:])) for step in self.steps
        )


@lru_cache(maxsize=65_536)
def field_path(text: str) -> FieldPath:
    """The one FieldPath of this text; far more than all fields that any rule set names."""
    return FieldPath(text)


class Event:
    """A decoded event and what was already read from it. The document must not change meanwhile.

    Attributes:
        document: The JSON object.
        known: What was read: values by path, texts and folded texts by the path's keys for them.
    """

    __slots__ = ("document", "known")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.known: dict[str, tuple[Any, ...]] = {}

    def values(self, path: str) -> Values:
        """Every scalar of the field, in document order; () when it has no value."""
        found = self.known.get(path)
        return self.read(field_path(path)) if found is None else found

    def read(self, path: FieldPath) -> Values:
        """``values`` for a path that is already taken apart."""
        found = self.known.get(path.text)
        if found is None:
            found = self.known[path.text] = _find(self.document, path)
        return found

    def texts(self, path: FieldPath) -> tuple[str, ...]:
        """The values as keyword text: 4688 is ``"4688"``, true is ``"true"``."""
        found = self.known.get(path.texts_key)
        if found is None:
            found = self.read(path)
            if not (len(found) == 1 and type(found[0]) is str):
                found = tuple([keyword_text(value) for value in found])
            self.known[path.texts_key] = found
        return found

    def folded(self, path: FieldPath) -> tuple[str, ...]:
        """The texts with ASCII letters made small."""
        found = self.known.get(path.folded_key)
        if found is None:
            values = self.read(path)
            if len(values) == 1 and type(values[0]) is str:  # nearly always
                found = (fold_ascii(values[0]),)
            else:
                found = tuple([fold_ascii(text) for text in self.texts(path)])
            self.known[path.folded_key] = found
        return found


def _find(document: dict[str, Any], path: FieldPath) -> Values:
    """Walk the plain way down; where a dotted key or an array stands on it, every way."""
    node: Any = document
    at = 0
    for piece, dotted in path.hops:
        if type(node) is not dict:
            return _collect(node, at, path)
        for key in dotted:
            if key in node:
                return _collect(node, at, path)
        node = node.get(piece)
        if node is None:
            return ()
        at += 1
    if type(node) is str:
        return (node,)
    if type(node) is list and _ONLY_TEXT.issuperset(map(type, node)):
        return tuple(node)
    return _collect(node, at, path)


def _collect(root: Any, position: int, path: FieldPath) -> Values:
    """All scalars below ``root`` at the path's remainder from ``position``; any split of keys."""
    found: list[Value] = []
    steps, end = path.steps, len(path.steps)
    waiting = [(root, position)]
    while waiting:
        node, at = waiting.pop()
        if isinstance(node, dict):
            if at < end:
                # Reversed, because the last pushed is the first taken: document order.
                for key, after in reversed(steps[at]):
                    if key in node:
                        waiting.append((node[key], after))
        elif isinstance(node, _ARRAYS):
            waiting.extend((item, at) for item in reversed(node))
        elif at == end and isinstance(node, _SCALARS):
            found.append(node)
    return tuple(found)
