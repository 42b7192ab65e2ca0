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


class FieldPath:
    """A field path taken apart once, when a query is compiled; use ``field_path`` to get one."""

    __slots__ = ("dotted", "pieces", "steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces: tuple[str, ...] = tuple(text.split("."))
        count = len(self.pieces)
        self.steps: _Steps = tuple(
            tuple((".".join(self.pieces[at:end]), end) for end in range(at + 1, count + 1))
            for at in range(count)
        )
        # Below the root: the dotted keys that may stand beside the plain piece.
        self.dotted: tuple[tuple[str, ...], ...] = tuple(
            tuple(key for key, _ in step[1:]) if at else () for at, step in enumerate(self.steps)
        )


@lru_cache(maxsize=65_536)
def field_path(text: str) -> FieldPath:
    """The one FieldPath of this text; far more than all fields that any rule set names."""
    return FieldPath(text)


class Event:
    """A decoded event and what was already read from it. The document must not change meanwhile."""

    __slots__ = ("_folded", "_has_dots", "_texts", "_values", "document")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._values: dict[str, Values] = {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._folded: dict[str, tuple[str, ...]] = {}
        self._has_dots = "." in "".join(document)

    def values(self, path: str) -> Values:
        """Every scalar of the field, in document order; () when it has no value."""
        found = self._values.get(path)
        return self.read(field_path(path)) if found is None else found

    def read(self, path: FieldPath) -> Values:
        """``values`` for a path that is already taken apart."""
        found = self._values.get(path.text)
        if found is None:
            found = self._values[path.text] = self._find(path)
        return found

    def texts(self, path: FieldPath) -> tuple[str, ...]:
        """The values as keyword text: 4688 is ``"4688"``, true is ``"true"``."""
        found = self._texts.get(path.text)
        if found is None:
            found = tuple([keyword_text(value) for value in self.read(path)])
            self._texts[path.text] = found
        return found

    def folded(self, path: FieldPath) -> tuple[str, ...]:
        """The texts with ASCII letters made small."""
        found = self._folded.get(path.text)
        if found is None:
            found = tuple([fold_ascii(text) for text in self.texts(path)])
            self._folded[path.text] = found
        return found

    def _find(self, path: FieldPath) -> Values:
        """Walk the plain way down while the document is plain, else every way."""
        if self._has_dots:
            return _collect(self.document, 0, path)
        node: Any = self.document
        for at, piece in enumerate(path.pieces):
            if type(node) is not dict:
                return _collect(node, at, path)
            for key in path.dotted[at]:
                if key in node:
                    return _collect(node, at, path)
            node = node.get(piece)
            if node is None:
                return ()
        if type(node) is str:
            return (node,)
        return _collect(node, len(path.pieces), path)


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
        elif isinstance(node, list | tuple):
            waiting.extend((item, at) for item in reversed(node))
        elif at == end and isinstance(node, str | int | float):
            found.append(node)
    return tuple(found)
