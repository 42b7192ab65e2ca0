"""The order of Elasticsearch's ``version`` type.

Law of the file: numbers compare as numbers (1.9 < 1.11), a pre-release comes before its release
(1.2.4-SNAPSHOT < 1.2.4), and text that is no version comes after every version, in text order.
Equality is equality of text and needs no key.
"""

from __future__ import annotations

import re
from typing import Any

_VERSION = re.compile(
    r"(?P<main>\d+(?:\.\d+)*)(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+(?P<build>[0-9A-Za-z.-]+))?",
    re.ASCII,
)
_MAX_DIGITS = 100  # longer runs of digits are no version; also keeps int() cheap


def version_key(text: str) -> tuple[Any, ...]:
    """A tuple that sorts as Elasticsearch sorts versions."""
    match = _VERSION.fullmatch(text)
    if match is None or any(len(run) > _MAX_DIGITS for run in re.findall(r"\d+", text)):
        return (1, text)
    main = tuple(int(number) for number in match["main"].split("."))
    if match["pre"] is None:
        return (0, main, 1, (), match["build"] or "")
    pre = tuple(_identifier_key(part) for part in match["pre"].split("."))
    return (0, main, 0, pre, match["build"] or "")


def _identifier_key(part: str) -> tuple[int, int, str]:
    """Numeric identifiers come first and compare as numbers."""
    if part.isascii() and part.isdigit():
        return (0, int(part), "")
    return (1, 0, part)
