"""Decoding: what is no JSON object is told apart by reason, at once or when it is looked into."""

from __future__ import annotations

import pytest

from streamproc.engine.decode import decode, suspects
from streamproc.errors import DecodeError

LIMIT = 100


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" \t\r\n", "empty"),
        (b"[1]", "not_object"),
        (b"null", "not_object"),
        (b'"{}"', "not_object"),
        (b"\xef\xbb\xbf{}", "json"),
        (b"text", "json"),
        (b'{"cut": ', "json"),
        (b'{"a": "%s"}' % (b"x" * LIMIT), "too_large"),
        (b'{"a": 1}', None),
        (b' {"a": 1}\n', None),
    ],
)
def test_suspects_are_found_among_good_records(value, reason):
    """By position, with the reason; the good records around them are not touched."""
    found = suspects([b"{}", value, b'{"b": 2}'], LIMIT)
    assert {position: fault.reason for position, fault in found.items()} == (
        {1: reason} if reason else {}
    )


def test_nothing_is_suspect_in_no_records():
    """A batch of which nothing is left."""
    assert suspects([], LIMIT) == {}


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (b'{"a": 1,}', "json", "not JSON"),
        (b'{"a": "\xff"}', "json", "not JSON"),
        (b'{"a": NaN}', "json", "not JSON"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "json", "not JSON"),
        (b"[]", "not_object", "not an object"),
    ],
)
def test_what_cannot_be_decoded_says_why(value, reason, words):
    """2,000 levels of nesting are refused as well, without a stack overflow."""
    with pytest.raises(DecodeError, match=words) as caught:
        decode(value)
    assert caught.value.reason == reason


def test_a_thousand_levels_are_decoded():
    """The limit is orjson's, 1,024 levels."""
    assert decode(b'{"a":' * 1_000 + b"1" + b"}" * 1_000)


def test_the_last_of_two_equal_names_counts():
    """As in every JSON parser at hand; and numbers beyond 64 bits are no error."""
    assert decode(b'{"a": 1, "a": 2, "b": 123456789012345678901234567890}')["a"] == 2
