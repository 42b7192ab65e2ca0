"""The source event as it goes into an alert, and fields in it found at any split of their dots.

Law of the file: the source document itself is never changed. Below ``DEPTH_MAX`` levels nothing
is copied, so that no later step has to fear for its stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from streamproc.engine.ecs import fits

# Elasticsearch refuses documents of more than 20 levels; orjson cannot write more than 254.
DEPTH_MAX = 100

_ROOTS_LEFT_OUT = ("kibana", "signal", "threshold_result")
_GONE: Any = object()


def copy_source(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Copy an event without what an alert must not hold.

    Left out are what earlier alerting left at the top level, values that break the type of an
    ECS field, and empty arrays and objects. A field that is there twice, dotted and nested,
    becomes one with both values.

    Returns:
        The copy, and the paths of the values that broke a type or lay too deep.
    """
    dropped: list[str] = []
    dotted: list[str] = []
    kept = {key: value for key, value in document.items() if not _is_left_out(key)}
    copied = _copy(kept, "", 0, dropped, dotted)
    if copied is _GONE:
        copied = {}
    if dotted:  # without a dot in any key there is one way to write each path
        _join_twins(copied)
    return copied, list(dict.fromkeys(dropped))


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field below a node with its dotted path; arrays of objects are gone into."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
        for item in node:
            yield from leaves(item, path)
    else:
        yield path, node


def fields_below(document: dict[str, Any], *roots: str) -> dict[str, Any]:
    """Return the fields at and below some paths, flat; several values become a list."""
    found: dict[str, Any] = {}
    heads = {_root(root) for root in roots}
    below = tuple(f"{root}." for root in roots)
    for key in [key for key in document if _root(key) in heads]:
        for path, value in leaves(document[key], key):
            if path in roots or path.startswith(below):
                found[path] = combined(found[path], value) if path in found else value
    return found


def raw_values(node: Any, path: str) -> list[Any]:
    """Return what stands at a path, at any split of its dots: objects and lists undivided."""
    if isinstance(node, list):
        return [value for item in node for value in raw_values(item, path)]
    if not isinstance(node, dict):
        return []
    found = [node[path]] if path in node else []
    for head, rest in _splits(path):
        if head in node:
            found += raw_values(node[head], rest)
    return found


def take_out(node: Any, path: str) -> None:
    """Remove a field, and all below it, at any split of its dots; emptied objects go too."""
    if isinstance(node, list):
        for item in node:
            take_out(item, path)
        # Assigned in place: the list hangs in its parent.
        node[:] = [item for item in node if item != {}]
    elif isinstance(node, dict):
        below = f"{path}."
        for key in [key for key in node if key == path or key.startswith(below)]:
            del node[key]
        for head, rest in _splits(path):
            child = node.get(head)
            if isinstance(child, dict | list) and child:
                take_out(child, rest)
                if not child:
                    del node[head]


def take_out_all(document: dict[str, Any], paths: Iterable[str]) -> None:
    """Remove several fields as ``take_out`` does; of most of them a document has not the root."""
    roots = {_root(key) for key in document}
    for path in paths:
        if _root(path) in roots:
            take_out(document, path)


def combined(one: Any, other: Any) -> list[Any]:
    """Return the values of both, each once, in order."""
    values = [*(one if isinstance(one, list) else [one])]
    values += other if isinstance(other, list) else [other]
    return [value for at, value in enumerate(values) if value not in values[:at]]


def _is_left_out(key: str) -> bool:
    return _root(key) in _ROOTS_LEFT_OUT


def _root(key: str) -> str:
    return key.partition(".")[0]


def _copy(node: Any, path: str, depth: int, dropped: list[str], dotted: list[str]) -> Any:
    """Copy a node; paths of values that do not fit go to ``dropped``, keys with dots to ``dotted``.

    The cost of an alert lies here: some hundred values, so a scalar is looked at without a call.
    """
    if isinstance(node, list):
        if depth >= DEPTH_MAX:
            dropped.append(path)
            return _GONE
        items = [_copy(item, path, depth + 1, dropped, dotted) for item in node]
        return [item for item in items if item is not _GONE] or _GONE
    if (path and not fits(path, node)) or (depth >= DEPTH_MAX and isinstance(node, dict)):
        dropped.append(path)
        return _GONE
    if not isinstance(node, dict):
        return node
    copied: dict[str, Any] = {}
    head = f"{path}." if path else ""
    for key, value in node.items():
        if "." in key:
            dotted.append(key)
        below = head + key
        if isinstance(value, dict | list):
            value = _copy(value, below, depth + 1, dropped, dotted)
            if value is not _GONE:
                copied[key] = value
        elif fits(below, value):
            copied[key] = value
        else:
            dropped.append(below)
    return copied or _GONE


def _join_twins(document: dict[str, Any]) -> None:
    """Make one field of those that are there twice; only their top-level objects are touched.

    Of a scalar and an object at one path, which no index takes, the object stays.
    """
    paths: dict[str, list[str]] = {}
    for key, value in document.items():
        if "." in key or _has_dots(value):
            paths[_root(key)] = []
    for key, value in document.items() if paths else ():
        if _root(key) in paths:
            paths[_root(key)] += _paths(value, key)
    for root, found in paths.items():
        if not _has_twins(found):
            continue
        fields = fields_below(document, root)
        for key in [key for key in document if _root(key) == root]:
            del document[key]
        outer = {head for path in fields for head, _ in _splits(path)}
        for path, value in fields.items():
            if path not in outer:
                _put(document, path.split("."), value)


def _has_dots(node: Any) -> bool:
    if isinstance(node, dict):
        return "." in "".join(node) or any(map(_has_dots, node.values()))
    return isinstance(node, list) and any(map(_has_dots, node))


def _paths(node: Any, path: str) -> list[str]:
    """Return the path of every field, once for each time that it is written."""
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in _paths(value, f"{path}.{key}")]
    if isinstance(node, list):
        return list({found for item in node for found in _paths(item, path)})
    return [path]


def _has_twins(paths: list[str]) -> bool:
    known = set(paths)
    return len(known) < len(paths) or any(
        head in known for path in paths for head, _ in _splits(path)
    )


def _put(node: dict[str, Any], pieces: list[str], value: Any) -> None:
    for piece in pieces[:-1]:
        node = node.setdefault(piece, {})
    node[pieces[-1]] = value


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Yield (head, rest) for every dot of a path."""
    at = path.find(".")
    while at >= 0:
        yield path[:at], path[at + 1 :]
        at = path.find(".", at + 1)
