"""The scan over many records at once: whatever holds a literal passes, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine import first_scan
from streamproc.engine.first_scan import FirstScan
from streamproc.engine.json_text import JsonText, json_text
from streamproc.eql.requirements import Text

NAMED = Text("mimikatz.exe", True, True, "name")
PATH = Text("/opt/implant/run", True, True, "executable")
SLASHES = Text("/etc/", False, False)
BACKSLASHES = Text('a\\"b', True, True)
TEXTS = (NAMED, PATH, SLASHES, BACKSLASHES)
CHARACTERS = st.characters(codec="ascii", exclude_categories=["Cc"])


def literals(*requirements: Text) -> list[JsonText]:
    return [text for text in map(json_text, requirements) if text is not None]


def passing(values: list[bytes], *requirements: Text) -> list[int]:
    return FirstScan(literals(*requirements), 0.0).passing(values)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (b'{"name":"mimikatz.exe"}', True),
        (b'{"name":"MIMIKATZ.EXE"}', True),
        (b'{"name": "mimikatz.exe"}', True),
        (b'{"name" :"mimikatz.exe"}', True),
        (b'{"name":["x","mimikatz.exe"]}', True),
        (rb'{"name":"mimik\u0061tz.exe"}', True),
        (rb'{"n\u0061me":"mimikatz.exe"}', True),
        (b'{"title":"mimikatz.exe"}', False),
        (rb'{"name":"\u0026\u003c\u003e\/\u00e9"}', False),
    ],
)
def test_a_named_text(value: bytes, passes: bool) -> None:
    """Found in every way of writing it; escapes of what no text holds are none of them."""
    assert passing([b"{}", value, b"{}"], NAMED) == ([1] if passes else [])


@pytest.mark.parametrize(
    "value",
    [
        b'{"executable":"/opt/implant/run"}',
        rb'{"executable":"\/opt\/implant\/run"}',
        rb'{"executable":"\u002Fopt\u002fimplant/run"}',
        rb'{"executable":"/opt/impl\u0041nt/run"}',
        b'{"executable" : ["/opt/implant/run"]}',
    ],
)
def test_a_path(value: bytes) -> None:
    """Escaped slashes hide nothing of it, and so no other path passes for them."""
    others = [rb'{"executable":"\/usr\/bin\/ls"}', rb'{"executable": "\/bin\/sh"}']
    assert passing([*others, value, *others], PATH) == [2]


def test_a_path_of_short_names() -> None:
    """Its slashes are all there is to look for: escaped ones may hide it."""
    assert passing([rb'{"x":"\/etc\/"}', b'{"x":"/etc/"}', b'{"x":"etc"}'], SLASHES) == [0, 1]


@pytest.mark.parametrize(
    "value", [rb'{"x":"a\\\"b"}', rb'{"x":"a\u005c\"b"}', rb'{"x":"a\\\u0022b"}']
)
def test_quotes_and_backslashes(value: bytes) -> None:
    """Those of the text may be written in two ways."""
    assert passing([b"{}", value], BACKSLASHES) == [1]


def test_what_control_characters_hold_does_no_harm() -> None:
    """Bytes that are no JSON pass or not; the records beside them are judged as ever."""
    garbage = bytes((1, 2, 3, 4, 5, 6, 14, 14))
    found = passing([garbage, b'{"name":"mimikatz.exe"}', garbage, b"{}"], NAMED)
    assert set(found) - {0, 2} == {1}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([1, 40, 1 << 18]))
def test_nothing_is_lost(data: st.DataObject, limit: int) -> None:
    """Whatever stands around a text, and whichever of its characters are escaped."""
    text = data.draw(st.text(CHARACTERS.filter(lambda c: c == c.lower()), min_size=3, max_size=30))
    name = data.draw(st.sampled_from(["", "name", "executable"]))
    wanted = literals(Text(text, True, True, name), NAMED)
    written = "".join(data.draw(_spelling(character)) for character in text)
    value = f'{{"{name or "x"}":"{written}"}}'.encode()
    other = data.draw(st.sampled_from([b"{}", b'{"name":"other"}', b""]))
    batch = [other, value, other, value]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_scan, "JOINED_BYTES", limit)
        found = FirstScan(wanted, 0.0).passing(batch)
    if len(wanted) == 2:  # the text can be looked for
        assert {1, 3} <= set(found)


def _spelling(character: str) -> st.SearchStrategy[str]:
    """The ways to write a character in JSON."""
    code = f"{ord(character):02x}"
    ways = [rf"\u00{code}", rf"\u00{code.upper()}"]
    ways += [rf"\{character}"] if character in '"\\' else [character, character.upper()]
    return st.sampled_from([*ways, r"\/"] if character == "/" else ways)
