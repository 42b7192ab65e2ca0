"""How long a contender takes: CPU time of its whole process between two counts of records.

Law of the file: start-up and shut-down are in no window. CPU time is that of all threads of the
contender's process and of no other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

# Shares of the records. The window ends well before the last: the client's read-ahead (16 MiB)
# is then as full as it was at the start of the window, and no fetch is left out or counted twice.
WINDOW = (0.15, 0.85)


class Mark(NamedTuple):
    """Where a contender was at a moment: records done, CPU seconds used, monotonic seconds."""

    records: int
    cpu_s: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one contender.

    Attributes:
        records: Records that it consumed in all.
        window_records: Records within the window.
        cpu_s: CPU seconds of its process within the window, all threads.
        wall_s: Seconds on the clock within the window.
        peak_bytes: Largest resident memory of the process.
        found: Alerts as ``rule id|host id|event id``, sorted.
    """

    records: int
    window_records: int
    cpu_s: float
    wall_s: float
    peak_bytes: int
    found: tuple[str, ...]

    @classmethod
    def between(
        cls, begin: Mark, end: Mark, records: int, peak_bytes: int, found: set[str]
    ) -> Measured:
        """From the marks at the ends of the window.

        Raises:
            ValueError: The window is empty or too small to say anything.
        """
        done = end.records - begin.records
        if done * 4 < records:
            raise ValueError(f"the window holds {done:,} of {records:,} records: too few")
        wall_s = end.at_s - begin.at_s
        return cls(records, done, end.cpu_s - begin.cpu_s, wall_s, peak_bytes, tuple(sorted(found)))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Measured:
        """From what ``as_json`` gave."""
        return cls(**{**document, "found": tuple(document["found"])})

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``json``."""
        return asdict(self)

    @property
    def rate(self) -> float:
        """Records per CPU second."""
        return self.window_records / self.cpu_s

    @property
    def wall_rate(self) -> float:
        """Records per second on the clock."""
        return self.window_records / self.wall_s


class Meter:
    """For contenders that measure themselves: ``mark`` whenever ``next_at`` is reached.

    Attributes:
        next_at: Count of records at which the next mark is due.
    """

    def __init__(self, records: int) -> None:
        self._records = records
        self._due = [int(records * share) for share in WINDOW]
        self._marks: list[Mark] = []
        self.next_at = self._due.pop(0)

    def mark(self, count: int) -> None:
        """Take the time at ``count`` records."""
        self._marks.append(Mark(count, time.process_time(), time.monotonic()))
        self.next_at = self._due.pop(0) if self._due else 1 << 62

    def measured(self, found: set[str]) -> Measured:
        """The finished run."""
        begin, end = self._marks
        # Not ru_maxrss: after a fork that begins at the size of the process that started this one.
        return Measured.between(begin, end, self._records, peak_bytes(os.getpid()), found)


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used so far, all threads (Linux)."""
    # Linux's own encoding of "the CPU clock of that process": as precise as process_time.
    return time.clock_gettime((~pid << 3) | 2)


def peak_bytes(pid: int) -> int:
    """Largest resident memory of a running process so far, bytes (Linux)."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no memory: it has ended")
