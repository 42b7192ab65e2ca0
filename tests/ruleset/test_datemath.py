"""Date math resolves as Elasticsearch resolves it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.ruleset.datemath import DateMathError, iso_utc, parse_date_math, time_ms

NOW = "2026-08-22T10:15:02.991Z"  # a Saturday


@pytest.mark.parametrize(
    ("expression", "start", "end"),
    [
        ("now", NOW, NOW),
        (" now ", NOW, NOW),
        ("now-1h", "2026-08-22T09:15:02.991Z", "2026-08-22T09:15:02.991Z"),
        ("now+15m", "2026-08-22T10:30:02.991Z", "2026-08-22T10:30:02.991Z"),
        ("now-30s", "2026-08-22T10:14:32.991Z", "2026-08-22T10:14:32.991Z"),
        ("now-h", "2026-08-22T09:15:02.991Z", "2026-08-22T09:15:02.991Z"),
        ("now-1H", "2026-08-22T09:15:02.991Z", "2026-08-22T09:15:02.991Z"),
        ("now-48h/h", "2026-08-20T10:00:00.000Z", "2026-08-20T10:59:59.999Z"),
        ("now/d", "2026-08-22T00:00:00.000Z", "2026-08-22T23:59:59.999Z"),
        ("now/w", "2026-08-17T00:00:00.000Z", "2026-08-23T23:59:59.999Z"),
        ("now/M", "2026-08-01T00:00:00.000Z", "2026-08-31T23:59:59.999Z"),
        ("now/y", "2026-01-01T00:00:00.000Z", "2026-12-31T23:59:59.999Z"),
        ("now-7d/d+2h", "2026-08-15T02:00:00.000Z", "2026-08-16T01:59:59.999Z"),
        ("now-6M", "2026-02-22T10:15:02.991Z", "2026-02-22T10:15:02.991Z"),
        ("now-1y-1M-1w", "2025-07-15T10:15:02.991Z", "2025-07-15T10:15:02.991Z"),
        ("2024-01-31T00:00:00Z||+1M", "2024-02-29T00:00:00.000Z", "2024-02-29T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-02-29T00:00:00.000Z"),
        ("2024-02-29||/M", "2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"),
    ],
)
def test_date_math_resolves(expression, start, end):
    """As the start of a range it rounds down, as its end up to the last millisecond."""
    parsed = parse_date_math(expression)

    assert iso_utc(parsed.resolve_ms(time_ms(NOW))) == start
    assert iso_utc(parsed.resolve_ms(time_ms(NOW), is_end=True)) == end


@pytest.mark.parametrize(
    "expression",
    ["", "yesterday", "now-", "now-1", "now-1x", "now1h", "now/2h", "now-1h h", "now--1h"],
)
def test_what_is_no_date_math_is_an_error_that_quotes_it(expression):
    """The message shows the expression, so that it can be found in the rule."""
    with pytest.raises(DateMathError) as caught:
        parse_date_math(expression)

    assert repr(expression) in str(caught.value)


@pytest.mark.parametrize(
    "expression", ["now-9000y", "now+9000y", "now-99999999d", "now-999999999M"]
)
def test_a_time_beyond_the_calendar_is_an_error(expression):
    """Years below 1 and above 9999 cannot be written as a date."""
    with pytest.raises(DateMathError, match="years"):
        parse_date_math(expression).resolve_ms(time_ms(NOW))


@given(st.integers(0, 4_000_000_000_000), st.sampled_from("smhdwMy"))
def test_rounding_brackets_the_moment(at_ms, unit):
    """The start and the end of a unit enclose the moment, and the next one starts right after."""
    parsed = parse_date_math(f"now/{unit}")
    start, end = parsed.resolve_ms(at_ms), parsed.resolve_ms(at_ms, is_end=True)

    assert start <= at_ms <= end
    assert parsed.resolve_ms(end) == start
    assert parsed.resolve_ms(end + 1) == end + 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NOW, NOW),
        ("2026-08-22T12:15:02.991+02:00", NOW),
        ("2026-08-22T10:15:02.991987654Z", NOW),
        ("2026-08-22T10:15:02", "2026-08-22T10:15:02.000Z"),
        (1_787_393_702_991, "2026-08-22T10:15:02.991Z"),
        ("1787393702991", "2026-08-22T10:15:02.991Z"),
        ("soon", None),
        ("", None),
        (True, None),
        (float("nan"), None),
        (10**20, None),
    ],
)
def test_times_of_events_are_read_in_all_their_forms(value, expected):
    """What is finer than a millisecond is cut off; what is no time is None."""
    at = time_ms(value)

    assert (None if at is None else iso_utc(at)) == expected


def test_only_now_itself_counts_as_now():
    """Rounding leaves it now; anything added or taken away does not."""
    assert [parse_date_math(text).is_now for text in ("now", "now/h", "now-1h", "2024-01-01")] == [
        True,
        True,
        False,
        False,
    ]
