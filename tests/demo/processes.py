"""Waiting for processes, without assumptions about how fast the machine is."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

WAIT_S = 120


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it holds; a failed assertion if it never does."""
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has collected yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return status.stdout.strip()[:1] not in ("", "Z")
