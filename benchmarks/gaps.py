"""What the gaps between two batches are made of: whose CPU time, and what was no time of ours.

Law of the file: a gap is told apart by the kernel's own accounts. CPU time of the thread that
evaluates is evaluation; CPU time of the threads that load rules is what evaluation may have waited
for, unless they ran on another core; the time in which the evaluating thread could have run
and had no core is the machine's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_OURS = str(Path(__file__).resolve().parents[1] / "streamproc")


class Gap(NamedTuple):
    """From the end of one batch to the end of the next, milliseconds.

    Attributes:
        wall_ms: All of it.
        own_ms: CPU time of the thread that evaluates.
        rules_ms: CPU time of all other threads: the one that loads rules, and what works for it.
        queued_ms: Time in which the thread that evaluates waited for a core of the machine.
        doing: Where the thread that loads rules was at the end.
    """

    wall_ms: float
    own_ms: float
    rules_ms: float
    queued_ms: float
    doing: str

    @property
    def ours_ms(self) -> float:
        """What the gap would have been at most, had each thread had a core at once.

        The interpreter may be held by a thread that waits for a core, too; so no more counts than
        what both threads worked.
        """
        return min(self.wall_ms - self.queued_ms, self.own_ms + self.rules_ms)

    def __str__(self) -> str:
        return (
            f"{self.wall_ms:6.1f} ms: evaluation {self.own_ms:5.1f}, rules {self.rules_ms:5.1f},"
            f" waited for a core {self.queued_ms:5.1f}  {self.doing}"
        )


class GapMeter:
    """Measures gaps; to be made and asked by the thread that evaluates.

    Args:
        rules: The thread that loads rules; it has to be alive whenever a gap ends.
    """

    def __init__(self, rules: threading.Thread) -> None:
        if rules.ident is None:
            raise ValueError("the thread has not been started")
        self._rules = rules.ident
        self._schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._last = self._now_ms()

    def gap(self) -> Gap:
        """End a gap, and begin the next."""
        last, self._last = self._last, self._now_ms()
        wall_ms, own_ms, rules_ms, queued_ms = (
            after - before for before, after in zip(last, self._last, strict=True)
        )
        return Gap(wall_ms, own_ms, rules_ms, queued_ms, self._doing())

    def close(self) -> None:
        """Close what it reads."""
        os.close(self._schedule)

    def _now_ms(self) -> tuple[float, float, float, float]:
        queued_ns = int(os.pread(self._schedule, 100, 0).split()[1])
        own_s = time.thread_time()
        others_s = time.process_time() - own_s
        return time.monotonic() * 1e3, own_s * 1e3, others_s * 1e3, queued_ns / 1e6

    def _doing(self) -> str:
        """The innermost functions of the product, each with its file."""
        frame: FrameType | None = sys._current_frames().get(self._rules)
        found: list[str] = []
        while frame is not None and len(found) < 3:
            code = frame.f_code
            if code.co_filename.startswith(_OURS) and code.co_name != "_breathe":
                found.append(f"{Path(code.co_filename).stem}.{code.co_name}")
            frame = frame.f_back
        return " < ".join(found)
