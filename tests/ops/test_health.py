"""When a worker counts as stuck and when as waiting; the clock is the test's."""

from __future__ import annotations

import pytest

from streamproc.ops.counters import Lag
from streamproc.ops.health import SILENCE_S, STUCK_S, Health


class Worker:
    """A worker's health and the time, in seconds; beats and looks once a second."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.health = Health(clock=lambda: self.now_s)
        self.partitions: dict[tuple[str, int], Lag] = {}
        self.waits = False
        self.health.has_assignment = self.health.is_producer_up = True

    def run(self, seconds: float, *, moves: dict[int, int] | None = None) -> Worker:
        """Let time pass; ``moves``: partition to records processed in a second."""
        for _ in range(int(seconds)):
            self.now_s += 1
            for number, records in (moves or {}).items():
                self.partitions["in", number].position += records
            self.health.brokers_at_s = self.now_s
            self.health.beat()
            self.health.look(self.partitions, waits=self.waits)
        return self


def test_an_idle_worker_is_live_and_ready():
    """Nothing to do is no standstill, however long it lasts."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(7, 7)
    worker.run(10_000)

    assert worker.health.is_live()
    assert worker.health.unready() == set()


def test_a_blocked_loop_is_stuck_within_a_minute():
    """The loop beats no more; a probe with an interval of ten seconds sees it within 60 s."""
    worker = Worker().run(5)
    worker.now_s += STUCK_S
    assert worker.health.is_live()
    worker.now_s += 0.1
    assert not worker.health.is_live()
    assert STUCK_S <= 50
    assert worker.health.stall().reason == "the event loop is blocked"


def test_a_loop_that_runs_again_is_live():
    """The verdict is about now."""
    worker = Worker().run(5)
    worker.now_s += 3_600

    assert not worker.health.is_live()
    assert worker.run(1).health.is_live()


@pytest.mark.parametrize(
    ("handed_s", "excused_s", "is_live"),
    [
        pytest.param(None, None, True, id="nothing in flight"),
        pytest.param(STUCK_S, None, True, id="just in time"),
        pytest.param(STUCK_S + 1, None, False, id="held too long"),
        pytest.param(STUCK_S + 1, 5, True, id="waited for a broker meanwhile"),
        pytest.param(2 * STUCK_S, STUCK_S + 1, False, id="and not since"),
        pytest.param(STUCK_S + 1, STUCK_S + 9, False, id="waited before it was handed out"),
    ],
)
def test_a_batch_counts_from_its_hand_over_without_waits_for_brokers(handed_s, excused_s, is_live):
    """All in seconds ago."""
    worker = Worker().run(1)
    worker.health.oldest_batch_at_s = lambda: handed_s and worker.now_s - handed_s
    worker.health.excused_until_s = lambda: excused_s and worker.now_s - excused_s

    assert worker.health.is_live() is is_live


def test_a_partition_with_lag_that_does_not_move_is_stuck():
    """The loop runs, no batch is held, brokers answer: nobody reads what is there."""
    worker = Worker()
    worker.partitions["in", 3] = Lag(7, 9)
    worker.run(STUCK_S)
    assert worker.health.is_live()
    worker.run(2)

    assert not worker.health.is_live()
    assert worker.health.stall().reason == "in[3] does not move"


def test_one_record_in_time_is_progress():
    """Slow is not stuck."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(0, 1_000_000)
    for _ in range(20):
        worker.run(STUCK_S - 5).run(1, moves={0: 1})

    assert worker.health.is_live()


def test_waiting_is_not_being_stuck():
    """For brokers, acknowledgements or the group: hours of it, and time counts from its end."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(7, 9)
    worker.waits = True
    worker.run(7_200)
    assert worker.health.is_live()
    worker.waits = False
    worker.run(STUCK_S)
    assert worker.health.is_live()

    assert not worker.run(2).health.is_live()


def test_a_partition_waits_its_turn():
    """Another one's backlog is worked off first: progress; once that is done it is a standstill."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(0, 1_000)
    worker.partitions["in", 1] = Lag(0, 5)
    worker.run(500, moves={0: 1})
    assert worker.health.is_live()
    worker.run(500, moves={0: 1})  # to its end
    assert worker.run(STUCK_S - 1).health.is_live()
    worker.run(3)

    assert worker.health.stall().reason == "in[1] does not move"
    assert not worker.health.is_live()


def test_a_busy_neighbour_that_keeps_up_excuses_nobody():
    """It has no backlog: the worker has time for the other partition."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(0, 0)
    worker.partitions["in", 1] = Lag(0, 5)
    for _ in range(int(STUCK_S) + 2):
        worker.partitions["in", 0].end += 10
        worker.run(1, moves={0: 10})

    assert not worker.health.is_live()


def test_a_partition_that_was_given_up_is_forgotten():
    """It is another worker's now."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(7, 9)
    worker.run(STUCK_S + 5)
    worker.partitions = {}

    assert worker.run(1).health.is_live()


def test_markers_behind_the_last_record_are_no_lag():
    """Else a topic that is written in transactions would have every reader restarted."""
    worker = Worker()
    worker.partitions["in", 0] = Lag(7, 8, empty=(7, 8))

    assert worker.run(10 * STUCK_S).health.is_live()


def test_readiness_names_each_reason():
    """Before the first beat it starts, after the stop it stops; else whatever is missing."""
    health = Health(clock=lambda: 100.0)
    assert health.unready() == {"starting"}
    assert health.is_live()
    health.beat()
    assert health.unready() == {"partitions", "producer", "brokers"}
    health.has_assignment = health.is_producer_up = health.is_held_back = True
    health.brokers_at_s = 100.0 - SILENCE_S
    assert health.unready() == {"acknowledgements"}
    health.brokers_at_s -= 1
    assert health.unready() == {"acknowledgements", "brokers"}
    health.rest()
    assert health.unready() == {"stopping"}


def test_a_stopped_worker_is_not_ended():
    """An orderly stop takes the time that it takes."""
    worker = Worker().run(5)
    worker.health.rest()
    worker.now_s += 3_600

    assert worker.health.is_live()
