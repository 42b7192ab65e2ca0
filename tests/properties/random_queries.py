"""Random conditions and random events that have something to do with each other.

Few fields, few values: so that clauses are true and false about equally often. Values are
strings, numbers, booleans, arrays of them, and missing.
"""

from __future__ import annotations

from random import Random
from typing import Any

FIELDS = ("a", "b.c", "d", "`e f`")
TEXTS = ("x", "X", "xyz", "", "5", "true", "10.0.0.1", "a*b")
NUMBERS = (0, 1, 5, -3, 2.5)
PATTERNS = ("x", "*", "?*", "x*", "*Z", "a*b", "?")


def random_condition(rng: Random, depth: int = 0) -> str:
    """A condition that the parser accepts."""
    kind = rng.randrange(9) if depth < 4 else 8
    if kind < 3:
        word = rng.choice((" and ", " or "))
        count = rng.randrange(2, 5)
        return word.join(f"({random_condition(rng, depth + 1)})" for _ in range(count))
    if kind < 5:
        return f"not ({random_condition(rng, depth + 1)})"
    return _leaf(rng)


def random_event(rng: Random) -> dict[str, Any]:
    """A document with some of the fields."""
    event: dict[str, Any] = {"event.category": rng.choice(("process", "file", ["file", "process"]))}
    for field in FIELDS:
        if rng.random() < 0.7:
            event[field.strip("`")] = _value(rng)
    return event


def _value(rng: Random) -> Any:
    if rng.random() < 0.3:
        return [_value(rng) for _ in range(rng.randrange(3))]
    return rng.choice((*TEXTS, *NUMBERS, True, False, None))


def _leaf(rng: Random) -> str:
    field = rng.choice(("", "", "?")) + rng.choice(FIELDS)
    text, pattern = f'"{rng.choice(TEXTS)}"', f'"{rng.choice(PATTERNS)}"'
    number = rng.choice(NUMBERS)
    return rng.choice(
        (
            "true",
            "false",
            field,
            f"{field} == null",
            f"{field} != null",
            f"{field} {rng.choice(('==', '!=', '<', '<=', '>', '>='))} {number}",
            f"{field} {rng.choice(('==', '!=', '<', '>='))} {text}",
            f"{number} {rng.choice(('==', '<'))} {field}",
            f"{field} == {rng.choice(('true', 'false'))}",
            f"{field} {rng.choice(('in', 'in~', 'not in'))} ({text}, {pattern})",
            f"{field} {rng.choice((':', 'like', 'like~'))} {pattern}",
            f"{field} {rng.choice((':', 'like', 'like~'))} ({pattern}, {text})",
            f'{field} {rng.choice(("regex", "regex~"))} ("x.*", "[a-c5]+")',
            f"startsWith{rng.choice(('', '~'))}({field}, {text})",
            f"endsWith({field}, {text}) == {rng.choice(('true', 'false'))}",
            f'stringContains(concat({field}, "x"), {text})',
            f"length({field}) {rng.choice(('==', '>', '!='))} {abs(int(number))}",
            f"length({field}) == null",
            f"{field} + 1 > {number}",
            f"{field} % 2 == 1",
            f"-{field} < 0",
            f'concat({field}, "-", {rng.choice(FIELDS)}) : {pattern}',
            f"number(string({field})) in (1, 5)",
            f'cidrMatch({field}, "10.0.0.0/8", "192.168.0.0/16")',
            f"substring({field}, 0, 1) == {text}",
            f"({field} : {pattern}) == false",
            f"({field} == 1 or {field} == null) == true",
        )
    )
