"""Dead letters: the record as it came, why it is here, and what was cut off."""

from __future__ import annotations

import hashlib

import pytest

from streamproc.engine.dead_letters import dead_letter
from tests.engine.programs import record

LIMIT = 10_000


def named(letter):
    return {name: value.decode() for name, value in letter.headers}


def test_letter_holds_the_record_and_the_reason():
    """Value and headers unchanged; the key is the place."""
    original = record(b"not json", 42, headers=[("trace", b"\xff\x00"), ("trace", b"2")])
    letter = dead_letter(original, "json", "not JSON: at 1", "digest", LIMIT)
    assert (letter.key, letter.value) == (b"events:3:42", b"not json")
    assert letter.headers == [
        ("reason", b"json"),
        ("error", b"not JSON: at 1"),
        ("topic", b"events"),
        ("partition", b"3"),
        ("offset", b"42"),
        ("ruleset.digest", b"digest"),
        ("trace", b"\xff\x00"),
        ("trace", b"2"),
    ]


def test_tombstone_has_an_empty_letter():
    """There is no value to keep."""
    assert dead_letter(record(None), "empty", "", "", LIMIT).value == b""


def test_what_is_too_large_is_cut_and_says_so():
    """Its size and SHA-256 tell what is missing; the letter fits."""
    value = bytes(range(256)) * 200
    letter = dead_letter(record(value), "too_large", "", "", LIMIT)
    assert named(letter)["truncated"] == "true"
    assert named(letter)["size"] == str(len(value))
    assert named(letter)["sha256"] == hashlib.sha256(value).hexdigest()
    assert value.startswith(letter.value)
    assert len(letter.value) > LIMIT // 2
    assert size(letter) <= LIMIT


def size(letter):
    headers = sum(len(name) + len(content) for name, content in letter.headers)
    return len(letter.key) + len(letter.value) + headers


@pytest.mark.parametrize("error", ["x" * 5_000, "\udc80" * 600, "é" * 512])
def test_error_is_cut_and_always_written(error):
    """Whatever the error says, lone surrogates included."""
    letter = dead_letter(record(b"{"), "json", error, "", LIMIT)
    assert 0 < len(dict(letter.headers)["error"]) <= 2_048


def test_absurd_headers_give_way_to_the_value():
    """Headers that leave no room for the value are dropped and counted."""
    original = record(b"{", headers=[("h", b"x" * LIMIT)] * 3)
    letter = dead_letter(original, "json", "", "", LIMIT)
    assert named(letter)["headers_dropped"] == "3"
    assert letter.value == b"{"
    assert size(letter) <= LIMIT
