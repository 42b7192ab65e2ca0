"""A worker process: kill -9, crashes that must end it, and the ``faust`` command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.transport.watchdog import EXIT_CRASHED, EXIT_STUCK
from tests.transport.harness import DEADLINE_S, committed, fill, read_all, watermarks
from tests.transport.mock_cluster import PRODUCE, MockCluster

APP = Path(__file__).parent / "worker_app.py"
MESSAGE_SIZE_TOO_LARGE = 10
RECORDS, PARTITIONS = 8000, 2


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """One broker with 8,000 records in ``events`` and an empty ``cover``."""
    cluster = MockCluster({"events": PARTITIONS, "cover": 1})
    fill(cluster.bootstrap, "events", RECORDS, PARTITIONS)
    yield cluster
    cluster.close()


@pytest.fixture
def start(cluster: MockCluster, tmp_path: Path):
    """A function that starts a worker; whatever still runs at the end of the test is killed."""
    workers: list[subprocess.Popen[bytes]] = []
    log = (tmp_path / "worker.log").open("wb")

    def start(
        misbehave: str = "", *, by_faust: bool = False, session_s: float = 1.5
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(APP)]
        if by_faust:
            command = [str(Path(sys.executable).with_name("faust")), "-A", "worker_app:app"]
        command += ["--datadir", str(tmp_path / "data"), "worker", "-l", "info", "--without-web"]
        worker = subprocess.Popen(
            command,
            cwd=APP.parent,
            env={
                **os.environ,
                "BOOTSTRAP": cluster.bootstrap,
                "MISBEHAVE": misbehave,
                "SESSION_S": str(session_s),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()
    log.close()
    print(log_of(tmp_path))  # pytest shows it when the test fails


def log_of(tmp_path: Path) -> str:
    return (tmp_path / "worker.log").read_text(errors="replace")


def await_cover(cluster: MockCluster, batches: int) -> None:
    end = time.monotonic() + DEADLINE_S
    while watermarks(cluster.bootstrap, 0, "cover")[1] < batches:
        assert time.monotonic() < end, "the worker does not progress"
        time.sleep(0.02)


def await_committed(cluster: MockCluster) -> None:
    end = time.monotonic() + DEADLINE_S
    while committed(cluster.bootstrap, PARTITIONS) != [RECORDS // PARTITIONS] * PARTITIONS:
        assert time.monotonic() < end, "the end was never committed"
        time.sleep(0.1)


def covered(cluster: MockCluster) -> set[tuple[int, int]]:
    """Every offset whose batch has reached the output topic."""
    places: set[tuple[int, int]] = set()
    for message in read_all(cluster.bootstrap, "cover", 1):
        partition, first, following = map(int, message.value().split())
        places.update((partition, offset) for offset in range(first, following))
    return places


def test_kill_9_loses_nothing(cluster, start) -> None:
    """Killed twice in the middle: no commit is ahead of the outputs, and the outputs cover all."""
    for batches in (20, 60):
        worker = start()
        await_cover(cluster, batches)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        done = covered(cluster)
        for partition, offset in enumerate(committed(cluster.bootstrap, PARTITIONS)):
            assert {(partition, o) for o in range(offset or 0)} <= done
    start(by_faust=True)
    await_committed(cluster)
    assert covered(cluster) == {
        (partition, offset)
        for partition in range(PARTITIONS)
        for offset in range(RECORDS // PARTITIONS)
    }


def test_sigterm_commits_and_exits_0(cluster, start) -> None:
    """An orderly stop leaves nothing to be done twice."""
    worker = start(session_s=30)
    await_cover(cluster, 20)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_S) == 0
    count = sum(offset or 0 for offset in committed(cluster.bootstrap, PARTITIONS))
    assert len(covered(cluster)) == count


@pytest.mark.parametrize(
    ("misbehave", "exit_code", "line"),
    [
        pytest.param("raise", 1, "an agent failed; the worker ends", id="agent raises"),
        pytest.param("block", EXIT_STUCK, " for more than 2 s (exit", id="loop blocked"),
        pytest.param("hang", EXIT_CRASHED, "ending the worker: it crashed", id="crash hangs"),
    ],
)
def test_a_worker_that_cannot_go_on_ends(
    cluster, start, tmp_path, misbehave, exit_code, line
) -> None:
    """Non-zero exit, a log line that says why, and nothing committed past record 500."""
    worker = start(misbehave)
    assert worker.wait(DEADLINE_S) == exit_code
    assert line in log_of(tmp_path)
    assert min(offset or 0 for offset in committed(cluster.bootstrap, PARTITIONS)) <= 500


def test_a_refused_output_ends_the_worker(cluster, start, tmp_path) -> None:
    """The broker refuses an alert for good: the process ends, and the restart produces it."""
    cluster.refuse(PRODUCE, *[MESSAGE_SIZE_TOO_LARGE] * 20)
    assert start().wait(DEADLINE_S) == 1
    assert "the broker refused an output for cover" in log_of(tmp_path)
    done = covered(cluster)
    for partition, offset in enumerate(committed(cluster.bootstrap, PARTITIONS)):
        assert {(partition, o) for o in range(offset or 0)} <= done
