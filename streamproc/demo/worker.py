"""The worker process of the demonstration: started, watched, and ended whatever happens.

Law of the file: no worker outlives the demonstration. It gets a process group of its own, and the
whole group is ended on every way out, the interpreter's exit included.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

WORKER_COMMAND = (sys.executable, "-m", "streamproc", "worker")

_STOP_TIMEOUT_S = 6.0
_PREFIX = "STREAMPROC_"


class WorkerProcess:
    """``streamproc worker`` with its own settings; a context manager that ends it."""

    def __init__(
        self,
        settings: Mapping[str, str],
        log_path: Path,
        command: tuple[str, ...] = WORKER_COMMAND,
    ) -> None:
        self._settings = settings
        self._log_path = log_path
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WorkerProcess:
        # The user's own STREAMPROC_* settings name a real cluster: none of them may get through.
        inherited = {key: value for key, value in os.environ.items() if key[:11] != _PREFIX}
        atexit.register(self.stop)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                env={**inherited, **self._settings},
                cwd=self._log_path.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        atexit.unregister(self.stop)

    @property
    def exit_code(self) -> int | None:
        """The exit code of a worker that has ended; None while it runs."""
        return self._process.poll() if self._process else None

    def log_tail(self, lines: int = 30) -> str:
        """The last lines that the worker wrote."""
        text = self._log_path.read_text(errors="replace") if self._log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """Ask the whole group to end, and insist if it does not; safe to repeat."""
        process = self._process
        if process is None:
            return
        self._signal(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also when the worker itself has gone: what it started may be left.
            self._signal(process.pid, signal.SIGKILL)
            process.wait()

    @staticmethod
    def _signal(group: int, number: signal.Signals) -> None:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
