"""When a worker is ended for want of progress."""

from __future__ import annotations

import threading

import pytest

from streamproc.transport.options import TransportOptions
from streamproc.transport.watchdog import EXIT_CRASHED, EXIT_STUCK, Watchdog


def watchdog(handed_at_s=None, crashed=False, excused_until_s=None, **options) -> Watchdog:
    return Watchdog(
        TransportOptions(batch_age_max_s=100, crash_exit_s=10, **options),
        oldest_at_s=lambda: handed_at_s,
        crashed=lambda: crashed,
        excused_until_s=lambda: excused_until_s,
        check_s=0.001,
    )


@pytest.mark.parametrize(
    ("handed_at_s", "excused_until_s", "now_s", "verdict"),
    [
        pytest.param(None, None, 1e6, None, id="nothing in flight"),
        pytest.param(50, None, 150, None, id="just in time"),
        pytest.param(50, None, 151, EXIT_STUCK, id="too old"),
        pytest.param(50, 100, 151, None, id="waited for the broker meanwhile"),
        pytest.param(50, 100, 201, EXIT_STUCK, id="and not since"),
        pytest.param(50, 20, 151, EXIT_STUCK, id="waited before it was handed over"),
    ],
)
def test_age_counts_from_hand_over_without_waits_for_the_broker(
    handed_at_s, excused_until_s, now_s, verdict
) -> None:
    watch = watchdog(handed_at_s, excused_until_s=excused_until_s)
    assert watch.verdict(now_s) == verdict


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

    watch = watchdog(handed_at_s=-1e9, terminate=terminate)
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
