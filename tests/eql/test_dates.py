"""Dates: instants in events, stretches in queries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.dates import is_instant, parse_instant, parse_stretch

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
Y2024 = 1_704_067_200 * SECOND  # 2024-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-01-01T00:00:00Z", Y2024),
        ("2024-01-01T00:00:00", Y2024),
        ("2024-01-01", Y2024),
        ("2024", Y2024),
        ("2024-01-01T00:00Z", Y2024),
        ("2024-01-01T02:00:00+02:00", Y2024),
        ("2023-12-31T19:00:00-0500", Y2024),
        ("2024-01-01T05:30:00+05:30", Y2024),
        ("2024-01-01T00:00:00.5Z", Y2024 + SECOND // 2),
        ("2024-01-01T00:00:00.123456789Z", Y2024 + 123_456_789),
        ("2024-01-01T00:00:00.1234567Z", Y2024 + 123_456_700),
        ("2024-01-01T00:00:00.123456789999Z", Y2024 + 123_456_789),
        ("2024-01-01T00:00:00,25Z", Y2024 + SECOND // 4),
        ("1969-12-31T23:59:59Z", -SECOND),
        ("1704067200000", Y2024),
        (1704067200000, Y2024),
        (1704067200000.5, Y2024 + 500_000),
        (0, 0),
        ("2024-02-30", None),
        ("2024-13-01", None),
        ("2024-01-01T24:00:00Z", None),
        ("2024-01-01 00:00:00", None),
        ("yesterday", None),
        ("", None),
        (True, None),
        (float("inf"), None),
    ],
)
def test_parse_instant_reads_what_events_hold(value, expected):
    """Nanoseconds since the epoch, or None."""
    assert parse_instant(value) == expected
    if isinstance(value, str):
        assert is_instant(value) == (expected is not None)


@settings(max_examples=300, deadline=None)
@given(
    st.from_regex(
        r"(?:0000|2023|2024)-(?:0[0-9]|1[0-3])-[0-3][0-9]T(?:0[0-9]|2[0-5]):[0-6][0-9]:[0-6][0-9]"
        r"(?:[.,][0-9]{0,10})?Z?",
        fullmatch=True,
    )
)
def test_is_instant_knows_what_can_be_read(text):
    """Days that a month lacks, hours and seconds that there are not, the year 0."""
    assert is_instant(text) == (parse_instant(text) is not None)


@pytest.mark.parametrize(
    ("literal", "first", "length"),
    [
        ("2024", Y2024, 366 * DAY),
        ("2023", Y2024 - 365 * DAY, 365 * DAY),
        ("2024-01", Y2024, 31 * DAY),
        ("2024-02", Y2024 + 31 * DAY, 29 * DAY),
        ("2024-01-01", Y2024, DAY),
        ("2024-01-01T00", Y2024, 3600 * SECOND),
        ("2024-01-01T00:00", Y2024, 60 * SECOND),
        ("2024-01-01T00:00:00Z", Y2024, SECOND),
        ("2024-01-01T00:00:00.000Z", Y2024, 1_000_000),
        ("2024-01-01T00:00:00.0000Z", Y2024, 1),
        (1704067200000, Y2024, 1_000_000),
        ("9999-12-31", 253_402_214_400 * SECOND, DAY),
        ("9999", 253_370_764_800 * SECOND, 365 * DAY),
    ],
)
def test_parse_stretch_covers_what_is_left_unsaid(literal, first, length):
    """First and last nanosecond."""
    assert parse_stretch(literal) == (first, first + length - 1)


def test_parse_stretch_refuses_what_is_no_date():
    """The rule author hears of it when the query is compiled."""
    with pytest.raises(ValueError, match="not a date"):
        parse_stretch("tomorrow")
