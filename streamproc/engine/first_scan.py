r"""Which records are worth a scan of their own, decided over many records at once.

Law of the file: a record that contains a literal of ``texts``, plainly or in hiding (``\u0077``
for ``w``, a space after a colon, an array), is among those that pass; the reverse is not promised.

How: the records are joined by newlines and scanned for the beginning of each literal. No literal
contains a newline, so none can span two records. A hit costs a call into Python, a microsecond:
what is looked for has to be rare, escapes of characters that no literal holds do not count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import accumulate, count
from operator import add
from typing import Final

from streamproc.engine.json_text import (
    JsonText,
    array_start,
    beginning,
    escapes,
    spacings,
)
from streamproc.engine.literal_database import database

JOINED_BYTES: Final = 1 << 18
"""Bytes per joined scan: large against the cost of a call, small against the caches."""

JOINED_SHARE: Final = 0.4
"""The first scan is worth its time while at most this share of the records passes it."""

_KEPT_SHARE: Final = 0.9  # weight of the past in the running share, per batch
# The same while the first scan is off, which is tried at the start, for the share is a guess until
# then, and from time to time: a few tries are to be enough to turn it on.
_KEPT_WHILE_OFF: Final = 0.5
TRIES_AT_FIRST: Final = 4  # batches
_PROBE_EVERY: Final = 64  # batches
# Hyperscan has another matcher for few literals, which takes half as long again. JSON holds no
# control characters as such, so no record has what is added.
_ADDED: Final = [bytes((1, 2, 3, 4, 5, 6, 14 + n // 10, 14 + n % 10)) for n in range(60)]


class FirstScan:
    """Finds the records that contain a literal. Not for use by two threads.

    Attributes:
        passed: Running share of the records that pass; a guess at first.
    """

    def __init__(self, texts: Collection[JsonText], guess: float) -> None:
        """Compile.

        Args:
            texts: The literals; at least one.
            guess: Share of the records that may pass, 0 to 1.

        Raises:
            PrefilterError: Hyperscan refuses the literals.
        """
        self.passed = guess
        self._batches = 0
        begun = [beginning(text) for text in texts]
        names = {text.name for text in begun if text.name}
        expressions = [text.expression for text in begun]
        expressions += map(array_start, names)
        # A name that ends in another one has its hits.
        for name in names:
            if not any(name != other and name.endswith(other) for other in names):
                expressions += spacings(name)
        expressions += escapes(text.text for text in begun)
        expressions += _ADDED
        distinct = list(dict.fromkeys(expressions))
        # Which one it was is not asked. One number for all would take Hyperscan twenty times as
        # long to compile (2 s for a thousand rules): it tries to make one of all that have it.
        self._database = database(distinct, range(len(distinct)), once=False)

    def is_worth_it(self) -> bool:
        """Whether few enough records pass; tried again from time to time. To be asked per batch."""
        self._batches += 1
        return (
            self.passed <= JOINED_SHARE
            or self._batches <= TRIES_AT_FIRST
            or self._batches % _PROBE_EVERY == 0
        )

    def passing(self, values: Sequence[bytes]) -> list[int]:
        """Ascending indexes of the records that pass."""
        found: list[int] = []
        # By the mean: to add up the sizes of each record costs as much as a third of the join.
        step = max(JOINED_BYTES * len(values) // max(sum(map(len, values)), 1), 1)
        for start in range(0, len(values), step):
            found += self._scan(values[start : start + step], start)
        if values:
            share = len(found) / len(values)
            kept = _KEPT_SHARE if self.passed <= JOINED_SHARE else _KEPT_WHILE_OFF
            self.passed = kept * self.passed + (1 - kept) * share
        return found

    def _scan(self, values: Sequence[bytes], shift: int) -> list[int]:
        ends: list[int] = []
        append = ends.append

        def on_hit(literal: int, begin: int, end: int, flags: int, context: object) -> None:
            append(end)  # Hyperscan does not tell where a hit begins

        self._database.scan(b"\n".join(values), match_event_handler=on_hit)
        if not ends:
            return []
        # Where each record ends in the joined bytes, its line feed included.
        ends_at = list(map(add, accumulate(map(len, values)), count(1)))
        return sorted({shift + bisect_left(ends_at, end) for end in ends})
