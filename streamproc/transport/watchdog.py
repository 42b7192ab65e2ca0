"""Ends a worker that lives and does not progress.

Law of the file: it runs on a thread of its own, so that a blocked event loop is noticed too, and
it ends the process at once (no clean-up: what hangs would hang there as well). Nothing is lost:
what is not committed is read again after the restart.

The age of a batch counts from its hand-over to its acknowledgement by the agent. Time that its
outputs wait for the broker does not count: neither after the acknowledgement (no batch is open
then) nor while an agent waits for room in the producer's queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from streamproc.transport.options import TransportOptions

logger = logging.getLogger(__name__)

EXIT_STUCK = 70  # EX_SOFTWARE: an agent holds a batch for too long
EXIT_CRASHED = 71  # a crash did not end the process by itself
CHECK_S = 1.0


class Watchdog:
    """Looks once a second at the oldest batch in flight and at a crash that does not end."""

    def __init__(
        self,
        options: TransportOptions,
        *,
        oldest_at_s: Callable[[], float | None],
        crashed: Callable[[], bool],
        excused_until_s: Callable[[], float | None] = lambda: None,
        check_s: float = CHECK_S,
    ) -> None:
        """Make one; nothing happens before ``start``.

        Args:
            options: ``batch_age_max_s``, ``crash_exit_s`` and ``terminate`` are used.
            oldest_at_s: Monotonic time of the oldest hand-over not acknowledged.
            crashed: Says whether the worker has crashed.
            excused_until_s: Monotonic time until which a slow agent waited for the broker.
            check_s: Seconds between two looks.
        """
        self._options = options
        self._oldest_at_s = oldest_at_s
        self._crashed = crashed
        self._excused_until_s = excused_until_s
        self._check_s = check_s
        self._crashed_at_s: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamproc-watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def consumer_stopped(self) -> None:
        """End the watch after an orderly stop; after a crash it goes on until the process ends."""
        if not self._crashed():
            self._stop.set()

    def verdict(self, now_s: float) -> int | None:
        """Return the exit code to end the worker with at monotonic time ``now_s``, or None."""
        if self._crashed():
            if self._crashed_at_s is None:
                self._crashed_at_s = now_s
            overdue = now_s - self._crashed_at_s > self._options.crash_exit_s
            return EXIT_CRASHED if overdue else None
        handed_at_s = self._oldest_at_s()
        if handed_at_s is None:
            return None
        since_s = max(handed_at_s, self._excused_until_s() or handed_at_s)
        return EXIT_STUCK if now_s - since_s > self._options.batch_age_max_s else None

    def _run(self) -> None:
        while not self._stop.wait(self._check_s):
            code = self.verdict(time.monotonic())
            if code is None:
                continue
            if code == EXIT_STUCK:
                logger.critical(
                    "ending the worker: an agent holds a batch for more than %.0f s (exit code %d)",
                    self._options.batch_age_max_s, code,
                )  # fmt: skip
            else:
                logger.critical(
                    "ending the worker: it crashed and did not stop within %.0f s (exit code %d)",
                    self._options.crash_exit_s, code,
                )  # fmt: skip
            logging.shutdown()
            self._options.terminate(code)
            return
