"""Elasticsearch date math: ``now-48h/h`` and its kin, parsed once and resolved per event.

The grammar: an anchor (``now``, or a date followed by ``||``), then any number of ``+1h``,
``-2d`` and ``/h``, applied from left to right. Units: ``y M w d h H m s``. A number may be left
out and is then 1. All times are UTC and milliseconds since the epoch; weeks start on Monday.

Rounding goes down for the start of a range, and for its end up to the last millisecond of the
unit, as Elasticsearch does for ``gte`` and ``lte``.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from streamproc.eql.dates import parse_instant
from streamproc.eql.event import Value

_FIXED_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_STEP = re.compile(r"(?P<op>[+\-/])(?P<count>\d*)(?P<unit>[yMwdhHms])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 1970-01-01 was a Thursday: the Monday before it.
_FIRST_MONDAY_MS = -3 * _FIXED_MS["d"]
_NS_PER_MS = 1_000_000
_DIGITS_MAX = 9


class DateMathError(ValueError):
    """An expression that is not date math, or a time outside the years 1 to 9999."""


class Step(NamedTuple):
    """One operation: ``+`` or ``-`` an amount of units, or ``/`` to the start or end of a unit."""

    op: str
    amount: int
    unit: str


@dataclass(frozen=True, slots=True)
class DateMath:
    """A parsed expression; ``fixed_ms`` is the anchor's time, or None for ``now``."""

    text: str
    fixed_ms: int | None
    steps: tuple[Step, ...]

    @property
    def is_now(self) -> bool:
        """Whether it is ``now`` itself, rounded or not, with nothing added or taken away."""
        return self.fixed_ms is None and all(step.op == "/" for step in self.steps)

    def resolve_ms(self, now_ms: int, *, is_end: bool = False) -> int:
        """Return the time meant, with ``now`` at ``now_ms``.

        Args:
            now_ms: The anchor, milliseconds since the epoch.
            is_end: Whether rounding goes up to the last millisecond of the unit.

        Raises:
            DateMathError: The time lies outside the years 1 to 9999.
        """
        at = now_ms if self.fixed_ms is None else self.fixed_ms
        try:
            for step in self.steps:
                if step.op == "/":
                    start = _floor_ms(at, step.unit)
                    at = _add_ms(start, 1, step.unit) - 1 if is_end else start
                else:
                    at = _add_ms(at, step.amount if step.op == "+" else -step.amount, step.unit)
            _moment(at)
        except (OverflowError, ValueError) as error:
            raise DateMathError(f"{self.text!r} lies outside the years 1 to 9999") from error
        return at


@lru_cache(maxsize=4_096)  # of rules' guides: each is asked for with every alert
def parse_date_math(text: str) -> DateMath:
    """Parse an expression.

    Raises:
        DateMathError: It is not date math; the message says what was found.
    """
    expression = text.strip()
    fixed_ms = None
    if expression.startswith("now"):
        rest = expression[3:]
    else:
        date, separator, rest = expression.partition("||")
        fixed_ms = time_ms(date)
        if fixed_ms is None:
            raise DateMathError(f"{text!r} starts neither with now nor with a date")
        if rest and not separator:
            raise DateMathError(f"{text!r}: a date and its math are separated by ||")
    steps = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if not found or (found["op"] == "/" and found["count"] not in ("", "1")):
            raise DateMathError(f"{text!r}: {rest[at:]!r} is not +, - or / with a unit")
        if len(found["count"]) > _DIGITS_MAX:
            raise DateMathError(f"{text!r}: the number is too long")
        unit = "h" if found["unit"] == "H" else found["unit"]
        steps.append(Step(found["op"], int(found["count"] or 1), unit))
        at = found.end()
    return DateMath(expression, fixed_ms, tuple(steps))


def time_ms(value: Value) -> int | None:
    """Return an event's time in milliseconds since the epoch, or None if it is no time.

    Read are the dates that EQL reads; what is finer than a millisecond is cut off.
    """
    instant_ns = parse_instant(value)
    if instant_ns is None:
        return None
    at = instant_ns // _NS_PER_MS
    try:
        _moment(at)
    except OverflowError:
        return None
    return at


@lru_cache(maxsize=4_096)  # an alert and its context requests say one moment many times
def iso_utc(at_ms: int) -> str:
    """Return a time as ``2026-08-22T10:15:02.991Z``."""
    return _moment(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _add_ms(at_ms: int, count: int, unit: str) -> int:
    if unit in _FIXED_MS:
        return at_ms + count * _FIXED_MS[unit]
    moment = _moment(at_ms)
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    # 31 January plus a month is the last day of February.
    day = min(moment.day, monthrange(year, month + 1)[1])
    moved = moment.replace(year=year, month=month + 1, day=day)
    return (moved - _EPOCH) // timedelta(milliseconds=1)


def _floor_ms(at_ms: int, unit: str) -> int:
    if unit == "w":
        return at_ms - (at_ms - _FIRST_MONDAY_MS) % _FIXED_MS["w"]
    if unit in _FIXED_MS:
        return at_ms - at_ms % _FIXED_MS[unit]
    moment = _moment(at_ms)
    month = moment.month if unit == "M" else 1
    return (datetime(moment.year, month, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
