"""How many events may be sent now.

Law of the file: never more than ``AHEAD_EVENTS_MAX`` events that the worker has not taken in.
The embedded broker keeps 5 MiB a partition and drops the oldest beyond: a generator that outruns
the worker would silently lose the attack that it is about to show.
"""

from __future__ import annotations

# 5 MiB hold 1,700 events of 3 kB uncompressed and over 8,000 as they are sent (lz4); this many
# fit even if one partition got them all and lz4 saved only half.
AHEAD_EVENTS_MAX = 3_000

# After a pause, catch up with at most this much of the rate, or a stall would end in a burst.
_CATCH_UP_S = 0.2


class Pace:
    """Spreads ``rate`` events a second over calls that come at uneven times."""

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate = rate
        self._then_s = now_s
        self._credit = 0.0

    def allowance(self, now_s: float, ahead: int) -> int:
        """Events that may be sent now; the caller is expected to send them.

        Args:
            now_s: The time, seconds on any clock that does not jump.
            ahead: Events sent that the worker has not taken in.
        """
        earned = (now_s - self._then_s) * self._rate
        self._then_s = now_s
        self._credit = min(self._credit + earned, _CATCH_UP_S * self._rate)
        count = max(0, min(int(self._credit), AHEAD_EVENTS_MAX - ahead))
        self._credit -= count
        return count
