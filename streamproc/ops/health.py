"""Whether a worker is stuck, whether it is ready, and why: the one place that says so.

Law of the file: a worker is stuck when it could go on and does not. Waiting for a broker, for
acknowledgements or for the group is not being stuck: a restart would change nothing, and a broker
that is away must not restart a fleet. So ``/livez`` and the watchdog look at ``stall`` alone, and
whatever is waited for shows in ``/readyz``. All times are monotonic seconds.

The event loop tells (``beat``, ``look``, the attributes), other threads ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from streamproc.ops.counters import Lag, Partition

STUCK_S = 45.0
"""Time without progress after which ``/livez`` says no; a minute with the probe's own interval."""

BEAT_S = 0.5
"""Between two heartbeats of the event loop."""

SILENCE_S = 15.0
"""Time without any answer of the brokers after which the worker is not ready."""


class Stall(NamedTuple):
    """What does not move, and since when (monotonic seconds)."""

    since_s: float
    reason: str


class _Standstill(NamedTuple):
    position: int
    since_s: float


class Health:
    """What is known of a worker's progress and of what it waits for.

    Args:
        stuck_s: Seconds without progress after which the worker is not live.
        clock: Monotonic seconds; replaced in tests.

    Attributes:
        is_stopping: A stop was asked for.
        has_assignment: The group has answered: partitions are assigned, or none (a standby).
        is_producer_up: The producer runs and no output was refused.
        is_held_back: Nothing more is read until brokers acknowledge what is on its way.
        brokers_at_s: When brokers answered last; None: never.
        oldest_batch_at_s: Says when the oldest batch was handed out that no agent has finished.
        excused_until_s: Says until when an agent waited for a broker.
    """

    def __init__(
        self, *, stuck_s: float = STUCK_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stuck_s = stuck_s
        self.clock = clock
        self.is_stopping = False
        self.has_assignment = False
        self.is_producer_up = False
        self.is_held_back = False
        self.brokers_at_s: float | None = None
        self.oldest_batch_at_s: Callable[[], float | None] = _never
        self.excused_until_s: Callable[[], float | None] = _never
        self._beat_at_s: float | None = None
        self._standstills: dict[Partition, _Standstill] = {}
        self._busy_at_s = 0.0

    # -- told by the event loop ----------------------------------------------------------------

    def beat(self) -> None:
        """Say that the event loop runs."""
        self._beat_at_s = self.clock()

    def look(self, partitions: Mapping[Partition, Lag], *, waits: bool) -> None:
        """Note which partitions have moved.

        Args:
            partitions: The assigned ones.
            waits: The worker has waited for brokers or for its group since the last look.
        """
        now_s = self.clock()
        before, after = self._standstills, {}
        for partition, lag in partitions.items():
            known = before.get(partition)
            behind = lag.records()
            if known is None or known.position != lag.position:
                after[partition] = _Standstill(lag.position, now_s)
                if known is not None and behind:
                    self._busy_at_s = now_s
            elif waits or not behind:
                after[partition] = _Standstill(lag.position, now_s)
            else:
                after[partition] = known
        self._standstills = after  # replaced whole: other threads walk the old one undisturbed

    def rest(self) -> None:
        """Say that the event loop will beat no more: an orderly stop."""
        self.is_stopping = True
        self._beat_at_s = None
        self._standstills = {}

    # -- asked by any thread -------------------------------------------------------------------

    def stall(self) -> Stall | None:
        """Return what has not moved for the longest time; None if nothing has to.

        That is no fault yet: a batch that was handed out a moment ago counts since that moment.
        """
        found = [*self._loop_stall(), *self._batch_stall(), *self._partition_stalls()]
        return min(found, default=None)

    def is_live(self) -> bool:
        """Say whether the worker could go on and does, or waits for somebody else."""
        stall = self.stall()
        return stall is None or self.clock() - stall.since_s <= self.stuck_s

    def unready(self) -> frozenset[str]:
        """Return the reasons for which the worker is not ready; none: it is.

        ``starting``, ``stopping``, ``partitions`` (the group has not answered), ``producer``,
        ``brokers`` (they do not answer), ``acknowledgements`` (of what is on its way).
        """
        if self.is_stopping:
            return frozenset({"stopping"})
        if self._beat_at_s is None:
            return frozenset({"starting"})
        silent_s = self.clock() - (self.brokers_at_s or 0.0)
        reasons = {
            "partitions": not self.has_assignment,
            "producer": not self.is_producer_up,
            "brokers": self.brokers_at_s is None or silent_s > SILENCE_S,
            "acknowledgements": self.is_held_back,
        }
        return frozenset(reason for reason, holds in reasons.items() if holds)

    def _loop_stall(self) -> list[Stall]:
        beat_at_s = self._beat_at_s
        if beat_at_s is None or self.clock() - beat_at_s < 2 * BEAT_S:
            return []
        return [Stall(beat_at_s, "the event loop is blocked")]

    def _batch_stall(self) -> list[Stall]:
        handed_at_s = self.oldest_batch_at_s()
        if handed_at_s is None:
            return []
        since_s = max(handed_at_s, self.excused_until_s() or handed_at_s)
        return [Stall(since_s, "an agent holds a batch")]

    def _partition_stalls(self) -> list[Stall]:
        # Records of a partition may wait behind another's that is worked off: that is progress.
        return [
            Stall(max(known.since_s, self._busy_at_s), f"{topic}[{number}] does not move")
            for (topic, number), known in self._standstills.items()
        ]


def _never() -> float | None:
    return None
