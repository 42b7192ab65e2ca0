"""The prefilter's one law: whatever matches is a candidate, however the JSON is written.

Each case draws a rule together with values that satisfy it, writes them into an event in a
random layout (nested, dotted or mixed keys, arrays, duplicate keys, white space), encodes it
with random escapes, and asks for its candidates among other rules and other records. That the
drawn event really matches is asserted with the compiled matcher.
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.engine.prefilter import Prefilter
from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery
from streamproc.eql.parser import parse_query
from tests.properties.spellings import encode, encode_string, layout

EXAMPLES = int(os.environ.get("STREAMPROC_TEST_EXAMPLES", "400"))
FIELDS = (
    "process.name",
    "process.args",
    "process.parent.executable",
    "process.Ext.token.taint_flags",
    "problemchild.prediction",
    "blocklist_label",
    "`k8s.app/part-of`",
    "`dé.ñ`",
    "file.path",
    '`a"b\\c`',
)
# What values and patterns are made of: pieces that JSON writers escape, that look like numbers
# or booleans, that are also field names, and that fold only outside of ASCII.
ALPHABET = "aksAKSzZ019.-+eE \\/\"'<>&`:$[]{}()%~#@^|,=_\t\n\x00\x7fé\u212a\u017f😀"
WORDS = (
    "cmd.exe",
    "process",
    "name",
    "windows",
    "C:\\Windows\\System32\\",
    "/etc/passwd",
    "/opt/x/",
    "true",
    "false",
    "5",
    "1e3",
    "-0.5",
    "al",
    "sh",
    "-c",
    'say "hi"',
    "\\\\host\\share",
    "naïve",
    "<script>&amp;",
    "u0077",
    "\\u0077",
    "2021-03-02T10:00:00Z",
    "::1",
    "10.0.0.0/8",
    "1.2-3",
)
OTHER_RULES = (
    'process where process.name : "never-there.exe"',
    'any where process.args like "*/never/there*"',
    'file where file.path == "C:\\\\never"',
)


class Draw:
    """A rule and the values that satisfy it, drawn together."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.values: dict[str, list[Any]] = {}
        self.negated: set[str] = set()
        self.free = list(FIELDS)
        rng.shuffle(self.free)

    def text(self) -> str:
        parts = [
            self.rng.choice(WORDS)
            if self.rng.random() < 0.5
            else "".join(self.rng.choices(ALPHABET, k=self.rng.randrange(6)))
            for _ in range(self.rng.randrange(1, 4))
        ]
        return "".join(parts)

    def condition(self, depth: int = 0) -> str:
        """A condition that holds, once ``values`` are in the event."""
        kind = self.rng.randrange(8) if depth < 3 and len(self.free) > 3 else 7
        if kind == 0:
            return " and ".join(f"({self.condition(depth + 1)})" for _ in range(2))
        if kind == 1:
            parts = [f"({self.condition(depth + 1)})", f"({self.unmet()})"]
            self.rng.shuffle(parts)
            return " or ".join(parts)
        if kind == 2:
            return f"not not ({self.condition(depth + 1)})"
        if kind == 3:
            return f"not (not ({self.condition(depth + 1)}) or {self.unmet()})"
        if kind == 4:
            return f"not (not ({self.condition(depth + 1)}) and not ({self.unmet()}))"
        if kind == 5:
            return f"not ({self.unmet()})"
        return self.leaf()

    def unmet(self) -> str:
        """A condition on a field that no event has."""
        text = quote(self.text())
        return self.rng.choice(
            (
                f"absent.field : {text}",
                f"absent.field == {text}",
                "absent.field != null",
                f"absent.field in ({text}, {quote(self.text())})",
                f"startsWith(absent.field, {text})",
                "length(absent.field) > 2",
                "absent.number >= 3",
            )
        )

    def leaf(self) -> str:
        if not self.free:
            return "true"
        field = self.free.pop()
        leaves = (
            self.equal,
            self.pattern,
            self.pattern,
            self.member,
            self.regex,
            self.function,
            self.function,
            self.cut_out,
            self.number,
            self.present,
        )
        query, value = self.rng.choice(leaves)(field)
        self.values[field.strip("`")] = value
        return query

    def equal(self, field: str) -> tuple[str, Any]:
        value: Any = self.text()
        if self.rng.random() < 0.2:
            value, constant = self.rng.choice(
                ((5, "5"), (True, "true"), (False, "false"), (1.5, "1.5"), (-3, "-3"))
            )
            return f"{field} == {quote(constant)}", value
        return f"{field} == {quote(value)}", value

    def pattern(self, field: str) -> tuple[str, Any]:
        operator = self.rng.choice((":", "like", "like~"))
        pattern, value = "", ""
        for _ in range(self.rng.randrange(1, 4)):
            text = self.text().replace("*", "").replace("?", "")
            wildcard = self.rng.choice(("*", "?", ""))
            pattern += text + wildcard
            value += text + {"*": self.text(), "?": "é", "": ""}[wildcard]
        if operator != "like":
            value = self.flip(value)
        patterns = [quote(pattern)]
        patterns += [quote(self.text()) for _ in range(self.rng.randrange(3))]
        self.rng.shuffle(patterns)
        return f"{field} {operator} ({', '.join(patterns)})", value

    def member(self, field: str) -> tuple[str, Any]:
        value = self.text()
        others = [quote(self.text()) for _ in range(self.rng.randrange(3))]
        if self.rng.random() < 0.5:
            return f"{field} in ({', '.join([*others, quote(value)])})", value
        return f"{field} in~ ({', '.join([quote(value), *others])})", self.flip(value)

    def regex(self, field: str) -> tuple[str, Any]:
        pattern, value = self.rng.choice(
            (
                (r".*\.(top|buzz|xyz)", "evil.buzz"),
                (r"C:\\Windows( \(x86\))?\\.+\.exe", "C:\\Windows (x86)\\a.exe"),
                (r"C:\\Windows( \(x86\))?\\.+\.exe", "C:\\Windows\\a.exe"),
                (r"[24][0-9]{3}", "4755"),
                (r"(ab|cd)+x?[yz]", "abcdz"),
                (r"-[^-]*[uz][^-]*", "-fuz"),
                (r"https?:\/\/.*", "http://x"),
                (r"a{2,3}b|c", "c"),
                (r"x(a)?y", "xy"),
                (r"^lit$", "^lit$"),
                (r"\".*\.exe[^\"].*", '"a.exe -x'),
                (r"(how|decrypt).*", "decrypt it"),
                (r"k\s", "k\t"),
            )
        )
        operator = self.rng.choice(("regex", "regex~"))
        value = self.flip(value) if operator == "regex~" and "[" not in pattern else value
        return f'{field} {operator} ("""{pattern}""", "never")', value

    def function(self, field: str) -> tuple[str, Any]:
        name = self.rng.choice(("startsWith", "endsWith", "stringContains"))
        text, before, after = self.text(), self.text(), self.text()
        meant = text
        if name != "startsWith":
            # Here the constant is a Lucene wildcard, in which a backslash escapes.
            text = text.rstrip("\\")
            meant = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        value = {
            "startsWith": meant + after,
            "endsWith": before + meant,
            "stringContains": before + meant + after,
        }[name]
        if self.rng.random() < 0.5:
            return f"{name}~({field}, {quote(text)})", self.flip(value)
        return f"{name}({field}, {quote(text)})", value

    def cut_out(self, field: str) -> tuple[str, Any]:
        text = self.text()
        return self.rng.choice(
            (
                (f"substring({field}, 2) == {quote(text)}", "ab" + text),
                (f'substring({field}, 0, 1) : "k"', "k"),
                (f"length({field}) > 0", text + "x"),
                (f'concat({field}, "x") == {quote(text + "x")}', text),
                (f'string({field}) == "5"', 5),
                (f'cidrMatch({field}, "10.0.0.0/8")', "10.1.2.3"),
                (f'indexOf({field}, "z") == 1', "az"),
            )
        )

    def number(self, field: str) -> tuple[str, Any]:
        return self.rng.choice(
            (
                (f"{field} > 3", 4),
                (f"{field} == 100", self.rng.choice((100, 100.0, 1e2))),
                (f"{field} == 4", self.rng.choice((4, 4.0, "4"))),
                (f"{field} == 0", self.rng.choice((0, 0.0, -0.0))),
                (f"{field} == 1200", self.rng.choice((1200, 1200.0, "1200"))),
                (f"{field} == false", self.rng.choice((False, "false"))),
                (f"{field} in (7, 8)", 8),
                (f"{field} + 1 == 3", 2),
                (f"{field} == true", True),
                (f'{field} : "*5*"', 1.5),
                (f'{field} : "t*e"', True),
                (f'{field} : "TR*"', True),
                (f'{field} : "1E*"', 1e30),
                (f'{field} like "*als*"', False),
                (f'{field} in ("7", "8")', 7),
            )
        )

    def present(self, field: str) -> tuple[str, Any]:
        query = self.rng.choice((f"{field} != null", f"not ({field} == null)", f'{field} : "*"'))
        return query, self.rng.choice((0, "", "x", False, 2.5))

    def flip(self, text: str) -> str:
        return "".join(c.swapcase() if c.isascii() and self.rng.random() < 0.5 else c for c in text)


def quote(text: str) -> str:
    """An EQL string constant."""
    named = {"\t": "\\t", "\n": "\\n", '"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(named.get(c, c if c.isprintable() else f"\\u{{{ord(c):04x}}}") for c in text)
        + '"'
    )


def matches(query: EventQuery, document: dict[str, Any]) -> bool:
    return compile_event_query(query, CompileOptions())(Event(document))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**48), escaping=st.sampled_from((0.0, 0.01, 0.1, 1.0)))
def test_matching_events_are_candidates(seed: int, escaping: float) -> None:
    """A planted match is a candidate alone, among other rules and among other records."""
    rng = Random(seed)
    draw = Draw(rng)
    category = rng.choice(("any", "process", "file"))
    text = f"{category} where {draw.condition()}"
    query = parse_query(text).body
    assert isinstance(query, EventQuery)
    fields = dict(draw.values)
    if category != "any":
        fields["event.category"] = rng.choice((category, [category, "other"]))
        fields["event.category"] = category
    fields["host.id"] = "h"
    value = encode(rng, layout(rng, fields), escaping).encode()
    assert matches(query, orjson.loads(value)), (text, value)
    clauses = required_clauses(query)
    assert Prefilter([clauses]).candidates([value]) == [(0, (0,))], (text, value, clauses)
    others = [required_clauses(parse_query(other).body) for other in OTHER_RULES]
    found = Prefilter([*others, clauses]).candidates([b"{}", value, b'{"a": 1}', value])
    assert {1, 3} <= {index for index, rules in found if 3 in rules}, (text, value, clauses)


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_any_event_and_any_rule(seed: int) -> None:
    """Rules and events that know nothing of each other: a match, if any, is a candidate."""
    rng = Random(seed)
    rules, events = [], []
    for _ in range(8):
        draw = Draw(rng)
        rules.append(parse_query(f"any where {draw.condition()}").body)
        fields = {path: value for path, value in draw.values.items() if rng.random() < 0.8}
        events.append(encode(rng, layout(rng, {**fields, "x": 1}), 0.2).encode())
    found = dict(Prefilter([required_clauses(rule) for rule in rules]).candidates(events))
    for index, event in enumerate(events):
        document = orjson.loads(event)
        expected = {at for at, rule in enumerate(rules) if matches(rule, document)}
        assert expected <= set(found.get(index, ())), (event, expected)


@pytest.mark.parametrize("escaping", [0.0, 0.1, 1.0])
def test_the_encoder_says_what_was_meant(escaping: float) -> None:
    """The encoder of these tests is itself right: decoding gives back the strings."""
    rng = Random(1)
    for _ in range(200):
        text = "".join(rng.choices(ALPHABET, k=20))
        assert orjson.loads(encode_string(rng, text, escaping)) == text
