"""Dead letters in the log: that there are some, why, and where the record lies.

Law of the file: one line for each reason and while, however many there are; nothing of what the
record says. The text of the error may quote it, so that is in the dead letter, and in the log at
the level DEBUG alone.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable

from streamproc.model import Output
from streamproc.ops.logs import REPEAT_INTERVAL_S, record_fields

logger = logging.getLogger(__name__)

# As the detector begins what it says of a rule that failed.
_RULE_FAILED = re.compile(r"(?:^|; )(?:rule|sequence) ([^\s:]+): \w+: ")


class LetterLog:
    """Tells of dead letters."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}  # by reason: when, and how many since

    def tell(self, letters: Iterable[Output]) -> None:
        """Log the first of each reason, and how many there were since the last time."""
        for letter in letters:
            reason = letter.headers[0][1].decode()
            told_s, more = self._told.get(reason, (-REPEAT_INTERVAL_S, 0))
            if self._clock() - told_s < REPEAT_INTERVAL_S:
                self._told[reason] = told_s, more + 1
                continue
            self._told[reason] = self._clock(), 0
            _log(letter, more)


def _log(letter: Output, more: int) -> None:
    # The first six are ours: headers of the record come after, and may be anything.
    headers = {name: value.decode() for name, value in letter.headers[:6]}
    topic, partition, offset = (headers[name] for name in ("topic", "partition", "offset"))
    failed = headers["reason"] == "failed"
    rules = list(dict.fromkeys(_RULE_FAILED.findall(headers["error"]))) if failed else []
    fields = record_fields(topic, int(partition), int(offset), rules)
    place = f"{topic}[{partition}] offset {offset}"
    of_rules = f" by rule {', '.join(rules)}" if rules else ""
    before = f"; {more} more since the last such line" if more else ""
    logger.warning("dead letter: %s%s: %s%s", headers["reason"], of_rules, place, before,
                   extra=fields)  # fmt: skip
    logger.debug("dead letter: %s: %s", place, headers["error"], extra=fields)
