"""What the language has: an entry for each keyword, operator, function and clause.

``supported_eql`` makes SUPPORTED_EQL.md of them; ``test_supported_eql`` runs every example.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One thing that can be written.

    Attributes:
        names: Keywords, symbols or functions that it stands for; the corpus is counted by them.
        meaning: In a few words.
        query: The example.
        hits: Events that it finds: each alone, or for a sequence all together, in order.
        misses: Events that it does not find.
    """

    names: tuple[str, ...]
    meaning: str
    query: str
    hits: tuple[dict[str, Any], ...] = ()
    misses: tuple[dict[str, Any], ...] = ()


def _entry(names: str, meaning: str, query: str, hit: Any = None, miss: Any = None) -> Entry:
    hits = hit if isinstance(hit, tuple) else () if hit is None else (hit,)
    misses = miss if isinstance(miss, tuple) else () if miss is None else (miss,)
    return Entry(tuple(names.split()), meaning, query, hits, misses)


def _steps(letters: str, seconds: int = 1) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"@timestamp": 1_000 * seconds * number, "event.category": letter, "host.id": "h"}
        for number, letter in enumerate(letters)
    )


OPERATORS = (
    _entry(
        "==", "equal, case-sensitive, no wildcards", 'any where a == "x*"', {"a": "x*"}, {"a": "xy"}
    ),
    _entry(
        "!=", "not equal; true where there is no value", 'any where a != "x"', {}, {"a": ["y", "x"]}
    ),
    _entry("<", "less; text by code points", "any where a < 5", {"a": 4}, ({"a": 5}, {})),
    _entry("<=", "less or equal", 'any where a <= "b"', {"a": "B"}, {"a": "c"}),
    _entry(
        ">",
        "greater; dates and addresses as such",
        'any where @timestamp > "2026-01-01"',
        {"@timestamp": "2026-01-02T00:00:00Z"},
        {"@timestamp": "2025-12-31T23:59:59Z"},
    ),
    _entry(">=", "greater or equal", "any where a >= 2.5", {"a": [1, 2.5]}, {"a": 2}),
    _entry(
        ":",
        "wildcards, ASCII case ignored; `*` any run, `?` one character",
        'any where a : ("cmd*", "?sh")',
        {"a": "CMD.exe"},
        ({"a": "xcmd"}, {"a": "sh"}),
    ),
    _entry(
        "like", "wildcards, case-sensitive", 'any where a like "c*"', {"a": "cmd"}, {"a": "Cmd"}
    ),
    _entry(
        "like~", "wildcards, ASCII case ignored", 'any where a like~ "c*"', {"a": "CMD"}, {"a": "x"}
    ),
    _entry("in", "one of a list, case-sensitive", 'any where a in ("x", 5)', {"a": 5}, {"a": "X"}),
    _entry(
        "in~",
        "one of a list, ASCII case ignored",
        'any where a in~ ("x", "y")',
        {"a": "X"},
        {"a": "z"},
    ),
    _entry(
        "regex",
        "Lucene expression over the whole value",
        'any where a regex "[a-z]+[0-9]{2}"',
        {"a": "ab12"},
        ({"a": "ab123"}, {"a": "AB12"}),
    ),
    _entry(
        "regex~",
        "the same, ASCII case of single characters ignored (ranges are not folded)",
        'any where a regex~ "cmd[a-c]"',
        {"a": "CMDa"},
        {"a": "cmdA"},
    ),
    _entry("and", "both", "any where a == 1 and b == 1", {"a": 1, "b": 1}, {"a": 1}),
    _entry("or", "at least one", "any where a == 1 or b == 1", {"b": 1}, {}),
    _entry(
        "not",
        "the exact complement; true where there is no value",
        'any where not a : "x*"',
        ({}, {"a": "y"}),
        {"a": ["y", "xy"]},
    ),
    _entry("+", "sum; whole numbers stay whole", "any where a + 1 == 3", {"a": 2}, {}),
    _entry("-", "difference, sign", "any where -a - 1 == 2", {"a": -3}, {"a": 3}),
    _entry("*", "product", "any where a * 2 > 5", {"a": 3}, {"a": 2}),
    _entry(
        "/", "quotient, truncated for whole numbers", "any where a / 2 == 3", {"a": 7}, {"a": 8}
    ),
    _entry(
        "%",
        "remainder, with the sign of the dividend",
        "any where a % 2 == -1",
        {"a": -3},
        {"a": 3},
    ),
)

FUNCTIONS = (
    _entry("add", "sum", "any where add(a, b) == 3", {"a": 1, "b": 2}, {"a": 1}),
    _entry(
        "between",
        "the text between two texts",
        'any where between(a, "<", ">") == "x"',
        {"a": "y<x>z"},
        {"a": "x"},
    ),
    _entry(
        "cidrMatch",
        "an address in any of the networks",
        'any where cidrMatch(a, "10.0.0.0/8", "fe80::/10")',
        ({"a": "10.1.2.3"}, {"a": "fe80::1"}),
        {"a": "11.0.0.1"},
    ),
    _entry(
        "concat",
        "values joined as text; null if any is",
        'any where concat(a, ":", b) == "x:5"',
        {"a": "x", "b": 5},
        {"a": "x"},
    ),
    _entry("divide", "quotient", "any where divide(a, 2) == 3", {"a": 7}, {"a": 9}),
    _entry(
        "endsWith",
        "ends with a text; on a field `*` and `?` are wildcards",
        'any where endsWith(a, ".exe")',
        {"a": "x.exe"},
        {"a": "x.EXE"},
    ),
    _entry(
        "indexOf",
        "place of a text, from 0; null if it is not there",
        'any where indexOf(a, ".") == 2',
        {"a": "ab.c"},
        {"a": "a.bc"},
    ),
    _entry("length", "length in UTF-16 units", "any where length(a) == 3", {"a": "abc"}, {}),
    _entry("modulo", "remainder", "any where modulo(a, 5) == 1", {"a": 11}, {"a": 10}),
    _entry("multiply", "product", "any where multiply(a, 2) == 6", {"a": 3}, {"a": 4}),
    _entry(
        "number",
        "text as a number; hexadecimal with `0x` or base 16",
        "any where number(a, 16) == 255",
        {"a": "ff"},
        {"a": "zz"},
    ),
    _entry(
        "startsWith",
        "starts with a text, taken literally",
        'any where startsWith~(a, "C:\\\\")',
        {"a": "c:\\x"},
        {"a": "d:\\"},
    ),
    _entry("string", "value as text", 'any where string(a) == "5"', {"a": 5}, {"a": 6}),
    _entry(
        "stringContains",
        "contains a text; on a field `*` and `?` are wildcards",
        'any where stringContains(a, "b*d")',
        {"a": "abcd"},
        {"a": "abc"},
    ),
    _entry(
        "substring",
        "a part, as Python slices",
        'any where substring(a, -3) == "exe"',
        {"a": "cmd.exe"},
        {"a": "exe.cmd"},
    ),
    _entry("subtract", "difference", "any where subtract(a, 1) == 1", {"a": 2}, {"a": 1}),
)

CLAUSES = (
    _entry(
        "where",
        "events of a category that satisfy a condition",
        "process where pid == 4",
        {"event.category": ["file", "process"], "pid": 4},
        {"event.category": "file", "pid": 4},
    ),
    _entry("any", "events of any category, or none", "any where true", {}),
    _entry(
        "true false", "constants", "any where a == true or false", {"a": True}, ({"a": False}, {})
    ),
    _entry(
        "null",
        "no value: absent, null and `[]` are the same",
        "any where a == null",
        ({}, {"a": None}, {"a": []}),
        {"a": ""},
    ),
    _entry(
        "?field",
        "optional field; every field counts as mapped, so it is `field`",
        'any where ?a : "x"',
        {"a": "X"},
        {},
    ),
    _entry(
        "`field`",
        "a field name with other characters",
        "any where `a b`.c == 1",
        {"a b": {"c": 1}},
        {},
    ),
    _entry(
        '"""', "text without escapes", 'any where a == """C:\\x"""', {"a": "C:\\x"}, {"a": "C:x"}
    ),
    _entry(
        "//", "comments, also `/* */`, which nest", "any where a == 1 // one", {"a": 1}, {"a": 2}
    ),
    _entry(
        "sequence",
        "events in order",
        "sequence [a where true] [b where true]",
        _steps("ab"),
        _steps("ba"),
    ),
    _entry(
        "by",
        "joined by equal values; for all steps, or for each its own",
        "sequence by host.id [a where true] by x [b where true] by y",
        (
            {"@timestamp": 1, "event.category": "a", "host.id": "h", "x": 1},
            {"@timestamp": 2, "event.category": "b", "host.id": "h", "y": 1},
        ),
        (
            {"@timestamp": 1, "event.category": "a", "host.id": "h", "x": 1},
            {"@timestamp": 2, "event.category": "b", "host.id": "h", "y": "1"},
        ),
    ),
    _entry(
        "maxspan",
        "longest time from the first event to the last, inclusive",
        "sequence with maxspan=5s [a where true] [b where true]",
        _steps("ab", 5),
        _steps("ab", 6),
    ),
    _entry(
        "until",
        "an event that ends what is begun",
        "sequence [a where true] [b where true] until [c where true]",
        _steps("ab"),
        _steps("acb"),
    ),
    _entry(
        "runs",
        "a step several times",
        "sequence [a where true] with runs=2 [b where true]",
        _steps("aab"),
        _steps("ab"),
    ),
    _entry(
        "![",
        "an event that must be missing",
        "sequence with maxspan=9s [a where true] ![x where true] [b where true]",
        _steps("ab"),
        _steps("axb"),
    ),
    _entry("head", "the first results", "any where true | head 1", {"a": 1}),
    _entry("tail", "the last results", "any where true | tail 1", {"a": 1}),
    _entry(
        "sample",
        "events of one key in any order",
        "sample by host.id [a where true] [b where true]",
    ),
    _entry("join", "removed from Elasticsearch", "join by host.id [a where true] [b where true]"),
    _entry(
        "count unique sort filter unique_count",
        "other pipes, removed from Elasticsearch",
        "any where true | count",
    ),
    _entry("a[0]", "array index", "any where a[0] == 1"),
    _entry("fields", "a comparison of two fields", "any where a == b"),
    _entry(
        "wildcard match", "functions that Elasticsearch has removed", 'any where wildcard(a, "x*")'
    ),
)

# What differs from Elasticsearch, or is not said by its documentation: text and an example.
DEVIATIONS = (
    _entry(
        "mapping",
        "There is no mapping: every field counts as mapped, so `?field` is `field` and an unknown "
        "field has no value. Elasticsearch folds a condition on an optional field that no index "
        "maps to null.",
        'any where not ?a.unmapped : "x"',
        {},
    ),
    _entry(
        "length",
        "There is no `ignore_above`: a value of any length is looked at.",
        'any where a : "*end"',
        {"a": "x" * 2_000 + "end"},
    ),
    _entry(
        "text",
        "Numbers and booleans have the text that a keyword field would index: "
        "a wildcard meets them.",
        'any where a : "46*" and b : "tr*"',
        {"a": 4688, "b": True},
    ),
    _entry(
        "number",
        "A constant is read as the type that the JSON value has, for there is no mapping "
        "to say it.",
        'any where a == "100" and b == 5',
        {"a": 100, "b": "5"},
    ),
    _entry(
        "types",
        "What fails a whole query in Elasticsearch (text that is no number, no address; a "
        "division by zero; more than 64 bits) is null, and so no match.",
        'any where number(a) == 1 or cidrMatch(b, "10.0.0.0/8") or c / 0 == 1',
        (),
        {"a": "one", "b": "nowhere", "c": 1},
    ),
    _entry(
        "ip",
        "On an `ip` field `==` takes a network, too.",
        'any where source.ip == "10.0.0.0/8"',
        {"source.ip": "10.1.2.3"},
        {"source.ip": "11.1.2.3"},
    ),
    _entry(
        "types of ECS",
        "Dates and addresses are told by the field's name in ECS; other fields go by the "
        "JSON value.",
        'any where event.created < "2026-01-01T01:00:00+01:00"',
        {"event.created": "2025-12-31T23:59:59Z"},
        {"event.created": "2026-01-01T00:00:00Z"},
    ),
)
