"""Every way in which JSON lets a producer write one event: for tests of what reads bytes.

``layout`` spreads fields over nested, dotted and mixed keys and arrays; ``encode`` writes the
result with random escapes, white space and overwritten keys. Both are deterministic in ``rng``.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any


def layout(rng: Random, fields: dict[str, Any]) -> list[tuple[str, Any]]:
    """Pairs of keys and values (a pair list is an object) at random splits of the paths."""
    pairs: list[tuple[str, Any]] = []
    for path, value in fields.items():
        components = path.split(".")
        if rng.random() < 0.3:
            value = rng.choice(([value], [None, value], [["x"], value]))
        while components:
            size = rng.randrange(1, len(components) + 1)
            key = ".".join(components[-size:])
            components = components[:-size]
            value = [(key, value)] if components else value
            if components and rng.random() < 0.2:
                value = Array([value])
        pairs.append((key, value))
    rng.shuffle(pairs)
    return merged(pairs)


class Array(list[Any]):
    """A JSON array, as opposed to a list of pairs."""


def merged(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Objects under one key put together, as far as they can be; later ones keep a dotted key."""
    result: list[tuple[str, Any]] = []
    for key, value in pairs:
        same = [at for at, (known, _) in enumerate(result) if known == key]
        if not same:
            result.append((key, value))
        elif is_object(value) and is_object(result[same[0]][1]):
            result[same[0]] = (key, merged([*result[same[0]][1], *value]))
        else:
            result[same[0]] = (key, Array([result[same[0]][1], value]))
    return result


def is_object(value: Any) -> bool:
    return (
        isinstance(value, list)
        and not isinstance(value, Array)
        and all(isinstance(item, tuple) for item in value)
    )


def encode(rng: Random, value: Any, escaping: float) -> str:
    """JSON text with random escapes and white space; a list of pairs is an object."""
    space = rng.choice(("", "", " ", "\n", "\t\r\n "))
    if isinstance(value, str):
        return encode_string(rng, value, escaping)
    if is_object(value):
        items = [
            f"{encode_string(rng, key, escaping)}{space}:{space}{encode(rng, item, escaping)}"
            for key, item in value
        ]
        if items and rng.random() < 0.1:
            items.insert(0, f'{encode_string(rng, value[0][0], escaping)}:"overwritten"')
        return "{" + space + f"{space},{space}".join(items) + space + "}"
    if isinstance(value, list):
        return "[" + space + ",".join(encode(rng, i, escaping) + space for i in value) + "]"
    return json.dumps(value)


def encode_string(rng: Random, text: str, escaping: float) -> str:
    named = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n"}
    # Often all escapes but those of one or two characters are left out, lest one escape in a
    # record hide that another goes unnoticed.
    chosen = text if rng.random() < 0.3 else rng.choices(text or " ", k=rng.randrange(3))
    out = []
    for character in text:
        must = character in '"\\' or character < " "
        if (character in chosen and rng.random() < escaping) or (must and character not in named):
            units = character.encode("utf-16-be")
            for at in range(0, len(units), 2):
                code = f"{units[at]:02x}{units[at + 1]:02x}"
                out.append("\\u" + "".join(rng.choice((c, c.upper())) for c in code))
        elif character == "/" and rng.random() < max(escaping, 0.1):
            out.append("\\/")
        else:
            out.append(named[character] if must else character)
    return '"' + "".join(out) + '"'
