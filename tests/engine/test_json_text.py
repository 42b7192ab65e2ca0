"""How required texts look in the bytes of a record, and when a record must be rewritten."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.engine.json_text import (
    MAX_BYTES,
    beginning,
    canonical,
    escape_expression,
    escapes,
    json_text,
    may_be_non_ascii,
    unescaped,
)
from streamproc.eql.requirements import Key, Requirement, Scalar, Text


def found(requirement: Requirement, record: bytes) -> bool:
    text = json_text(requirement)
    assert text is not None
    return re.search(text.expression, record, re.IGNORECASE) is not None


@pytest.mark.parametrize(
    ("requirement", "plain"),
    [
        (Text("cmd.exe", True, True), b'"cmd.exe"'),
        (Text("cmd.exe", True, False), b'"cmd.exe'),
        (Text("cmd.exe", False, True), b'cmd.exe"'),
        (Text("c:\\temp\\", False, False), b"c:\\\\temp\\\\"),
        (Text("/etc/passwd", True, True), b'"/etc/passwd"'),
        # Cut where other writers escape, if enough is left.
        (Text("a<script", True, True), b'script"'),
        (Text('say "hello"', True, True), b"hello"),
        (Text('a"b', True, True), b'"a\\"b"'),
        # Cut at what may be written in several ways anyhow.
        (Text("naïve", True, True), b'"na'),
        (Text("tab\there", True, True), b'here"'),
        (Text("del\x7fete9", False, False), b"ete9"),
        (Text("x" * 300, True, True), b'"' + b"x" * MAX_BYTES),
        (Text("sh", True, True, "name"), b'name":"sh"'),
        (Text("sh", True, True, "x"), b'"sh"'),
        (Text("sh", True, True, "naïve"), b'"sh"'),
        (Text('a": ', True, True, "name"), b'"a\\": "'),
        (Text("é sh", True, True, "name"), b' sh"'),
        (Text("x" * 300, True, True, "name"), b'name":"' + b"x" * MAX_BYTES),
        (Key("taint_flags", True), b'taint_flags"'),
        (Key("taint_flags", False), b"taint_flags"),
        (Key('a"b', True), b'a\\"b"'),
        (Key("schlüssel", True), b'ssel"'),
    ],
)
def test_plain_text(requirement: Requirement, plain: bytes) -> None:
    """The part of the record that is looked for."""
    text = json_text(requirement)
    assert text is not None
    assert text.plain == plain


@pytest.mark.parametrize(
    "requirement",
    [Text("é", True, True), Text("x", False, False), Text("\n", True, True), Key("ü", True)],
)
def test_nothing_to_look_for(requirement: Requirement) -> None:
    """Too little is left: any record may satisfy the requirement."""
    assert json_text(requirement) is None


@pytest.mark.parametrize(
    ("requirement", "document", "expected"),
    [
        # A value that is also a field name is told apart by what follows.
        (Text("process", True, True), {"process": {"pid": 1}}, False),
        (Text("process", True, True), {"category": "process"}, True),
        (Text("process", True, True), {"category": ["process", "file"]}, True),
        (Text("process", True, True), {"category": ["file", "process"]}, True),
        (Text("name", False, True), {"name": 1}, False),
        (Text("name", False, True), {"x": "host name"}, True),
        # Keys: whole components, nested or dotted, wherever they stand.
        (Key("flags", True), {"taint": {"flags": 1}}, True),
        (Key("flags", True), {"taint.flags": 1}, True),
        (Key("flags", True), {"taint_flags": 1}, False),
        (Key("flags", True), {"taint": "flags", "x": 1}, False),
        (Key("flags", True), {"flags.more": "x"}, False),
        (Key("flags", False), {"flags.more": "x"}, True),
        (Key("flags", False), {"a.flags.more": "x"}, True),
        (Key("flags", False), {"flags": {"more": "x"}}, True),
        (Key("flags", False), {"aflags": {"more": "x"}}, False),
        (Key("flags", False), {"more": "a.flags", "x": 1}, False),
        (Key("flags", False), {"more": ["flags", "x"]}, False),
        (Key("a[b.c]/d", True), {"k8s": {"a[b.c]/d": 1}}, True),
    ],
)
@pytest.mark.parametrize("indent", [0, orjson.OPT_INDENT_2])
def test_found(
    requirement: Requirement, document: dict[str, Any], expected: bool, indent: int
) -> None:
    """Present or absent in a real encoding of the document, with white space and without."""
    assert found(requirement, orjson.dumps(document, option=indent)) is expected


@pytest.mark.parametrize(
    ("constant", "value", "expected"),
    [
        ("4", "4", True),
        ("4", "4.0", True),
        ("4", "4e0", True),
        ("4", "4E0", True),
        ("4", "0.4e1", True),
        ("4", "40e-1", True),
        ("4", '"4"', True),
        ("4", "[5, 4]", True),
        ("4", "[[4]]", True),
        ("4", "true", True),
        ("4", "-4", True),
        ("4", "41", False),
        ("4", "14", False),
        ("4", "null", False),
        ("4", '{"x": 4}', False),
        ("4", "3.99999999999999999999", True),
        ("4", "399999999999999999999e-20", True),
        ("4", "4.000000000000000000001", True),
        ("25", "25", True),
        ("25", "250e-1", True),
        ("25", "2.5E1", True),
        ("25", "0.0025e4", True),
        ("25", "24.99999999999999999999", True),
        ("25", "2.499999999999999999999e1", True),
        ("25", "251", False),
        ("25", "24", False),
        ("25", "2", False),
        ("1000", "1000", True),
        ("1000", "1e3", True),
        ("1000", "10.0e2", True),
        ("1000", "0.1e4", True),
        ("1000", "999.99999999999999999999", True),
        ("1000", "9.9999999999999999999999e2", True),
        ("1000", "200", False),
        ("true", "true", True),
        ("true", '"true"', True),
        ("true", "[false, true]", True),
        ("true", "1", True),
        ("true", "false", False),
        ("true", "null", False),
        ("false", "false", True),
        ("false", '["false"]', True),
        ("false", "true", False),
        ("false", '{"x": false}', False),
    ],
)
@pytest.mark.parametrize("place", ['{"pid":%s}', '{"p.pid":%s,"x":1}'])
def test_scalars(constant: str, value: str, expected: bool, place: str) -> None:
    """Whatever may equal the constant is found; other numbers, and the other boolean, are not."""
    assert found(Scalar("pid", constant), (place % value).encode()) is expected
    for colon in ('":\n', '" :', '"\t: '):  # looking past white space is not worth its time
        assert found(Scalar("pid", constant), (place % value).replace('":', colon).encode())
    assert not found(Scalar("pid", constant), (place % value).replace("pid", "ppid").encode())


@pytest.mark.parametrize(
    ("texts", "record", "expected"),
    [
        (["w3wp.exe"], rb'"\u00773wp.exe"', True),
        (["w3wp.exe"], rb'"\u00573wp.exe"', True),
        (["w3wp.exe"], rb'"w3wp\u002eexe"', True),
        (["w3wp.exe"], rb'"w3wp\u002Eexe"', True),
        (["joke"], rb'"\u006Aoke"', True),
        (["joke"], rb'"\u004Aoke"', True),
        (["joke"], rb'"jo\u006be"', True),
        (["a/b"], rb'"a\/b"', True),
        (["a/b"], rb'"a\u002fb"', True),
        (["a/b"], rb'"a\u002Fb"', True),
        (["a\\b"], rb'"a\u005cb"', True),
        (["a\\b"], rb'"a\u005Cb"', True),
        (["ab"], rb'"a\/b"', False),
        # No text holds these characters: the escapes hide nothing.
        (["cmd.exe"], rb'"\u0026 \u003c \u00e9 \u2028 \n \t \" \\"', False),
        # An escaped backslash and four digits: a needless second look, never a wrong answer.
        (["w3wp.exe"], rb'"\\u0077"', True),
    ],
)
def test_escape_expression(texts: list[str], record: bytes, expected: bool) -> None:
    """Escapes of characters that the texts hold are noticed, in either case; others are not."""
    expression = escape_expression(texts)
    assert expression is not None
    assert (re.search(expression, record) is not None) is expected
    one_by_one = any(re.search(each, record, re.IGNORECASE) for each in escapes(texts))
    assert one_by_one is expected


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (rb'"a\/b\u002Fc\u002fd"', b'"a/b/c/d"'),
        (rb'"\u0022\u005c\u005C"', rb'"\"\\\\"'),
        (rb'"\u005cu0041\u0041"', rb'"\\u0041A"'),
        (rb'"\u005c\/\u0022/"', rb'"\\/\"/"'),
        (rb'"\u000a\u00e9\u2028\n"', rb'"\u000a\u00e9\u2028\n"'),
        (rb'"\\/"', None),
        (rb'"\\u0041"', None),
        (rb'"\\\u0041"', None),
    ],
)
def test_unescaped(value: bytes, plain: bytes | None) -> None:
    """Backslashes and quotes keep theirs; where a backslash is written as two it is not sure."""
    assert unescaped(value) == plain


ESCAPED = [r"\/", r"\u002f", r"\u005c", r"\u005C", r"\u0022", r"\"", r"\\", r"\n", r"\u0041"]
PIECES = [*ESCAPED, r"\u00e9", r"\u0075", r"\u0030", r"\t", r"\b", "/"]
SPELLINGS = st.lists(st.sampled_from([*PIECES, "u0041", "u005c", "0041", "A", "é"]), max_size=12)


@given(spelling=SPELLINGS)
def test_unescaped_is_the_same_text(spelling: list[str]) -> None:
    """In the way in which canonical JSON writes ASCII."""
    value = f'"{"".join(spelling)}"'.encode()
    plain = unescaped(value)
    if plain is None:
        assert rb"\\" in value
        return
    assert orjson.loads(plain) == orjson.loads(value)
    assert not re.search(rb"(?<!\\)(\\\\)*\\(/|u00[2-7])", plain)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b'"abc"', False), ('"é"'.encode(), True), (rb'"\u00e9"', True), (rb'"C:\\Users"', False)],
)
def test_non_ascii(value: bytes, expected: bool) -> None:
    """As itself or escaped."""
    assert may_be_non_ascii(value) is expected


def test_no_texts_no_escapes() -> None:
    """Without any text nothing can be hidden."""
    assert escape_expression([]) is None
    assert escapes([]) == []


@pytest.mark.parametrize(
    ("requirement", "plain"),
    [
        (Text("mimikatz.exe", True, True, "name"), b'name":"mimikat'),
        (Text("powershell_ise.exe", True, True, "name"), b'name":"powershell_'),
        (Text("cmd.exe", True, True, "name"), b'name":"cmd.exe"'),
        (Text("w3wp.exe", True, True), b'"w3wp.exe"'),
        (Text("/opt/implant/run", True, True, "executable"), b"implant"),
        (Text("/etc/shadow", True, True), b'"/etc/shadow"'),
        (Text("\\implant\\run.exe", False, True), b'\\\\implant\\\\run.exe"'),
    ],
)
def test_beginning(requirement: Text, plain: bytes) -> None:
    """The part that is looked for over many records: as rare as the whole, and contained in it."""
    text = json_text(requirement)
    assert text is not None
    part = beginning(text)
    assert part.plain == plain
    assert part.plain in text.plain
    assert set(part.text) <= set(text.text)
    assert re.search(part.expression, text.plain)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (rb'{ "\u0061" : "\/\u0077\u0022" }', b'{"a":"/w\\""}'),
        (b'{"a": 1, "a": 2}', b'{"a":2}'),
        (b"{", None),
        (b"", None),
        (b'"\\ud800"', None),
        (b'"\xff"', None),
        (b"[" * 5000 + b"]" * 5000, None),
    ],
)
def test_canonical(value: bytes, expected: bytes | None) -> None:
    """Rewritten as the texts expect it; None where the decoder will refuse the record."""
    assert canonical(value) == expected
