"""What of one partition is safe to commit.

Law of the file: the watermark moves over a completed prefix of the deliveries and never past one
that is still in flight, in whatever order they are acknowledged; every operation is O(1) for a
delivery, however many records it holds. No Kafka, no clock, no locks.

Faust's stream code (its Cython twin too, which inlines ``Consumer.ack``) reports that a message is
done by ``consumer._acked[tp].append(message.offset)``. An ``AckLog`` stands where Faust keeps a
list of offsets, and ``append`` means "the delivery that starts here is done".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Delivery:
    """One batch, or one record of an ordinary topic, handed to the agents."""

    __slots__ = ("at_s", "done", "next_offset", "timestamp_ms")

    def __init__(self, next_offset: int, at_s: float, timestamp_ms: int) -> None:
        self.next_offset = next_offset
        self.at_s = at_s
        self.timestamp_ms = timestamp_ms
        self.done = False


class AckLog:
    """The deliveries of one partition, in offset order, and the watermark behind them.

    Attributes:
        watermark: Offset to commit: everything before it is done; None before the first one.
        timestamp_ms: Time of the last record before the watermark; 0 before the first one.
    """

    __slots__ = ("_by_offset", "_on_done", "_pending", "timestamp_ms", "watermark")

    def __init__(self, on_done: Callable[[], None] | None = None) -> None:
        """Make an empty log; ``on_done`` is called once for each delivery acknowledged."""
        self._pending: deque[Delivery] = deque()
        self._by_offset: dict[int, Delivery] = {}
        self._on_done = on_done
        self.watermark: int | None = None
        self.timestamp_ms = 0

    def __len__(self) -> int:
        return len(self._by_offset)

    def deliver(self, first: int, following: int, at_s: float = 0.0, timestamp_ms: int = 0) -> None:
        """Note that the records from ``first`` up to before ``following`` are handed out.

        Args:
            first: Offset of the first record; above those of every earlier delivery.
            following: Offset after the last record.
            at_s: Monotonic time of the hand-over in seconds.
            timestamp_ms: Time of the last record, milliseconds since the epoch.
        """
        delivery = Delivery(following, at_s, timestamp_ms)
        self._pending.append(delivery)
        self._by_offset[first] = delivery

    def append(self, first: int) -> None:
        """Note that the delivery that starts at ``first`` is done; unknown ones are ignored."""
        delivery = self._by_offset.pop(first, None)
        if delivery is None:
            return
        delivery.done = True
        pending = self._pending
        while pending and pending[0].done:
            oldest = pending.popleft()
            self.watermark = oldest.next_offset
            self.timestamp_ms = oldest.timestamp_ms
        if self._on_done is not None:
            self._on_done()

    def oldest_at_s(self) -> float | None:
        """Return when the oldest delivery in flight was handed out; None when none is.

        Called from the watchdog's thread too: the deque may empty between two bytecodes.
        """
        try:
            return self._pending[0].at_s
        except IndexError:
            return None

    def oldest_timestamp_ms(self) -> int:
        """Return the record time of the oldest delivery in flight; 0 when none is."""
        return self._pending[0].timestamp_ms if self._pending else 0


class NoIndex:
    """Stands in for Faust's set of acknowledged offsets: ``AckLog`` refuses repeats itself."""

    def __contains__(self, offset: object) -> bool:
        return False

    def add(self, offset: int) -> None:
        """Do nothing."""

    def difference_update(self, offsets: object) -> None:
        """Do nothing."""
