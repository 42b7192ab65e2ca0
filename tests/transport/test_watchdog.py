"""When a worker is ended for want of progress."""

from __future__ import annotations

import threading

import pytest

from streamproc.ops.health import Stall
from streamproc.transport.options import TransportOptions
from streamproc.transport.watchdog import EXIT_CRASHED, EXIT_STUCK, Watchdog


def watchdog(since_s=None, crashed=False, **options) -> Watchdog:
    return Watchdog(
        TransportOptions(batch_age_max_s=100, crash_exit_s=10, **options),
        stall=lambda: None if since_s is None else Stall(since_s, "it is stuck"),
        crashed=lambda: crashed,
        check_s=0.001,
    )


@pytest.mark.parametrize(
    ("since_s", "now_s", "verdict"),
    [
        pytest.param(None, 1e6, None, id="nothing stands still"),
        pytest.param(50, 150, None, id="just in time"),
        pytest.param(50, 151, EXIT_STUCK, id="too long"),
    ],
)
def test_a_standstill_ends_the_worker_in_time(since_s, now_s, verdict) -> None:
    """What a standstill is, tests/ops/test_health.py says."""
    assert watchdog(since_s).verdict(now_s) == verdict


def test_a_crash_has_some_time_to_end_by_itself() -> None:
    """The time counts from when the crash was first seen."""
    watch = watchdog(crashed=True)
    assert watch.verdict(1000) is None
    assert watch.verdict(1010) is None
    assert watch.verdict(1011) == EXIT_CRASHED


def test_the_thread_ends_the_process_once() -> None:
    """With one log line, and with the exit code of the verdict."""
    codes: list[int] = []
    ended = threading.Event()

    def terminate(code: int) -> None:
        codes.append(code)
        ended.set()

    watch = watchdog(since_s=-1e9, terminate=terminate)
    watch.start()
    assert ended.wait(30)
    watch._thread.join(30)
    assert codes == [EXIT_STUCK]


def test_an_orderly_stop_ends_the_watch() -> None:
    """Nobody is ended who stopped by himself; a crashed worker stays under watch."""
    watch = watchdog()
    watch.start()
    watch.consumer_stopped()
    watch._thread.join(30)
    assert not watch._thread.is_alive()
    still = watchdog(crashed=True)
    still.consumer_stopped()
    assert not still._stop.is_set()
