"""Work beside an event loop: with less of a core, and the same results."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from streamproc.engine.aside import NICE, aside
from streamproc.engine.literal_database import PrefilterError, database

DEADLINE_S = 120


def elsewhere(work):
    """What some work gives, or raises, in a thread that is not the main one."""
    found = []

    def run():
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001  # looked at by the caller
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_main_thread_works_itself():
    """Nothing is evaluated yet."""
    assert aside(threading.current_thread) is threading.main_thread()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_other_threads_have_it_done_with_less_of_a_core():
    """By a thread of its own: their own priority could not be raised again."""
    mine = os.getpriority(os.PRIO_PROCESS, 0)

    def work():
        end_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < end_s:
            if os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) != mine:
                break
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def waiting():
        lowered = aside(work)
        return lowered, os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert elsewhere(waiting) == (min(mine + NICE, 19), mine)


def test_results_and_errors_come_back():
    """As if the thread had done the work."""
    assert elsewhere(lambda: aside(lambda: 7)) == 7
    assert isinstance(elsewhere(lambda: aside(lambda: 1 / 0)), ZeroDivisionError)


def test_database_of_another_thread_finds_the_same():
    """And is refused in the same way."""
    found = elsewhere(lambda: database([b"cmd", b"exe"], [3, 5], once=True))
    hits = []
    found.scan(b"CMD.exe exe", match_event_handler=lambda literal, *_: hits.append(literal))
    assert hits == [3, 5]
    assert isinstance(elsewhere(lambda: database([b"("], [0], once=True)), PrefilterError)
