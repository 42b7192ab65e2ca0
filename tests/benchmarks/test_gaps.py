"""Whose time a gap between two batches was."""

from __future__ import annotations

import threading
import time

import pytest

from benchmarks.gaps import Gap, GapMeter


def spin(seconds: float) -> None:
    """Use CPU time."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


@pytest.fixture
def other():
    """A thread that spins when it is told to; and the two ways to tell it."""
    work, done, is_over = threading.Event(), threading.Event(), threading.Event()

    def run():
        while work.wait() and not is_over.is_set():
            work.clear()
            spin(0.02)
            done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread, work, done
    is_over.set()
    work.set()
    thread.join()


def test_gap_tells_whose_cpu_time_it_was(other):
    """The evaluating thread's, or the other's."""
    thread, work, done = other
    meter = GapMeter(thread)
    spin(0.02)
    mine = meter.gap()
    work.set()
    done.wait()
    others = meter.gap()
    meter.close()

    assert mine.own_ms >= 20
    assert mine.rules_ms < 20
    assert others.rules_ms >= 20
    assert others.own_ms < 20
    assert mine.wall_ms > 0
    assert mine.doing == ""  # nothing of the product


def test_time_without_a_core_is_not_ours():
    """It is the machine's."""
    gap = Gap(wall_ms=100.0, own_ms=20.0, rules_ms=15.0, queued_ms=70.0, doing="")
    assert gap.ours_ms == 30.0
    assert gap._replace(queued_ms=50.0).ours_ms == 35.0  # the other thread had no core either


def test_thread_that_does_not_run_is_refused():
    """It has no clock."""
    with pytest.raises(ValueError, match="not been started"):
        GapMeter(threading.Thread())
