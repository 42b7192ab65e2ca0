"""Strings as Elasticsearch sees them: ASCII-only folding, keyword text, UTF-16 units.

Law of the file: nothing here folds, counts or prints in Python's way by accident. EQL folds
ASCII letters only (``É`` is not ``é``, the Kelvin sign is not ``k``), counts UTF-16 units, and
prints numbers as Java does.
"""

from __future__ import annotations

import math
from array import array

_SURROGATEPASS = "surrogatepass"
_BMP_MAX = "\uffff"


def fold_ascii(text: str) -> str:
    """``text`` with the letters A to Z made small and every other character as it was."""
    if text.isascii():
        return text.lower()
    # bytes.lower() folds ASCII only, and UTF-8 keeps ASCII bytes for ASCII characters.
    return text.encode("utf-8", _SURROGATEPASS).lower().decode("utf-8", _SURROGATEPASS)


def keyword_text(value: str | int | float | bool) -> str:
    """The text under which a keyword field would index this JSON scalar (``true``, ``4688``)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def java_text(value: str | int | float | bool) -> str:
    """Java's ``toString`` of a scalar: ``true``, ``5``, ``2.0``, ``1.0E7``."""
    if isinstance(value, float):
        return _java_double(value)
    return keyword_text(value)


def _java_double(value: float) -> str:
    """Java's ``Double.toString``: plain from 1e-3 up to 1e7, else ``d.dddE<exponent>``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e7:
        return repr(value)
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{size!r}e0".partition("e")
    shift = int(exponent.partition("e")[0])
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    shift += len(whole) - 1 if whole != "0" else len(digits) - len(fraction) - 1
    digits = digits.rstrip("0") or "0"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{shift}"


def to_units(text: str) -> str:
    """``text`` with one character for each UTF-16 unit: what Java counts and slices."""
    if text.isascii() or max(text) <= _BMP_MAX:
        return text
    return "".join(map(chr, array("H", text.encode("utf-16", _SURROGATEPASS)[2:])))


def from_units(units: str) -> str:
    """The inverse of ``to_units``: surrogate pairs become one character again."""
    if units.isascii():
        return units
    raw = units.encode("utf-16-le", _SURROGATEPASS)
    return raw.decode("utf-16-le", _SURROGATEPASS)
