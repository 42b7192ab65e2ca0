"""Ends a worker that lives and does not progress, or that brokers refuse for good.

Law of the file: it runs on a thread of its own, so that a blocked event loop is noticed too, and
it ends the process at once (no clean-up: what hangs would hang there as well). Nothing is lost:
what is not committed is read again after the restart.

What counts as a standstill is said in ``streamproc.ops.health``, for ``/livez`` and for this alike:
a worker that waits for brokers, for acknowledgements or for its group is never ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from streamproc.ops.health import Stall
from streamproc.refusals import EXIT_CODES, in_words
from streamproc.transport.options import TransportOptions

logger = logging.getLogger(__name__)

EXIT_STUCK = 70  # EX_SOFTWARE: no progress, and nobody else to wait for
EXIT_CRASHED = 71  # a crash did not end the process by itself
CHECK_S = 1.0


class Watchdog:
    """Looks once a second at a standstill and at a crash that does not end."""

    def __init__(
        self,
        options: TransportOptions,
        *,
        stall: Callable[[], Stall | None],
        crashed: Callable[[], bool],
        check_s: float = CHECK_S,
    ) -> None:
        """Make one; nothing happens before ``start``.

        Args:
            options: ``batch_age_max_s``, ``crash_exit_s`` and ``terminate`` are used.
            stall: Says what does not move, and since when.
            crashed: Says whether the worker has crashed.
            check_s: Seconds between two looks.
        """
        self._options = options
        self._stall = stall
        self._crashed = crashed
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
        errors = self._options.broker_errors
        if self._crashed():
            if self._crashed_at_s is None:
                self._crashed_at_s = now_s
            overdue = now_s - self._crashed_at_s > self._options.crash_exit_s
            code = EXIT_CRASHED if errors.crash is None else errors.crash.exit_code
            return code if overdue else None
        refusal = errors.verdict()
        if refusal is not None:
            return refusal.exit_code
        stall = self._stall()
        overdue = stall is not None and now_s - stall.since_s > self._options.batch_age_max_s
        return EXIT_STUCK if overdue else None

    def _run(self) -> None:
        while not self._stop.wait(self._check_s):
            code = self.verdict(time.monotonic())
            if code is None:
                continue
            refusal = self._options.broker_errors.verdict()
            if refusal is not None and code in EXIT_CODES.values():
                logger.critical(
                    "ending the worker: Kafka has refused it for %.0f s: %s (exit code %d)",
                    refusal.last_s - refusal.since_s, in_words(refusal.reason, refusal.text), code,
                )  # fmt: skip
            elif code == EXIT_STUCK:
                stall = self._stall()
                logger.critical(
                    "ending the worker: %s for more than %.0f s (exit code %d)",
                    stall.reason if stall else "no progress", self._options.batch_age_max_s, code,
                )  # fmt: skip
            else:
                logger.critical(
                    "ending the worker: it crashed and did not stop within %.0f s (exit code %d)",
                    self._options.crash_exit_s, code,
                )  # fmt: skip
            logging.shutdown()
            self._options.terminate(code)
            return
