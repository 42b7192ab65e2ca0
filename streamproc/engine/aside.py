"""Long work that does not need the interpreter, done where it takes no core from evaluation.

Law of the file: the main thread does such work at once; it evaluates nothing yet. Any other thread
does it beside an event loop, which on a machine with no core to spare would share one with it: a
batch took two to four times as long. The kernel is told to run it when nobody else wants to.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")

NICE = 10
"""How much less than other threads such work gets: a tenth of a core that is wanted."""

# Arguments are read and memory is taken with the interpreter held. Who holds it must not wait for
# a core, so the work begins like any other.
_AT_FIRST_S = 0.01


def aside(work: Callable[[], _Result]) -> _Result:
    """Do work and return its result, or raise what it raises."""
    if threading.current_thread() is threading.main_thread():
        return work()
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            errors.append(error)

    # A daemon: a worker that stops does not wait for rules that it will not use.
    thread = threading.Thread(target=run, name="streamproc-aside", daemon=True)
    thread.start()
    thread.join(_AT_FIRST_S)
    if thread.is_alive() and thread.native_id is not None and sys.platform == "linux":
        # Of one thread, which Linux can; not of this one, for it could not be raised again.
        with suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, thread.native_id)
            os.setpriority(os.PRIO_PROCESS, thread.native_id, nice + NICE)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
