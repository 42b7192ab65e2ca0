"""The image's worker on a real Kafka: it drains on SIGTERM, and what it had is committed."""

from __future__ import annotations

import pytest

from tests.image.conftest import PARTITIONS
from tests.image.containers import Container, Containers
from tests.integration.stream import make_stream, produce
from tests.integration.worker import committed, read_all, wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(1_800)]

EVENTS = 20_000


class Watched:
    """A container as ``wait_until`` looks at a worker."""

    def __init__(self, container: Container) -> None:
        self._container = container

    @property
    def exit_code(self) -> int | None:
        return None if self._container.is_running() else 1

    def tail(self) -> str:
        return "\n".join(self._container.logs().splitlines()[-40:])


def offsets(kafka, settings: dict[str, str]) -> int:
    """How many records are committed."""
    topic, group = settings["STREAMPROC_EVENTS_TOPIC"], settings["STREAMPROC_GROUP_ID"]
    return sum(committed(kafka.bootstrap, group, topic, PARTITIONS))


def alerts(kafka, settings: dict[str, str]) -> list[str]:
    """The ids of the alerts that were written."""
    topic = settings["STREAMPROC_ALERTS_TOPIC"]
    return [message.key().decode() for message in read_all(kafka.bootstrap, topic)]


def test_worker_drains_on_sigterm(image: Containers, kafka, settings):
    """Every event evaluated, every alert once; stopped, it exits with 0 and all is committed."""
    stream = make_stream(EVENTS)
    produce(kafka.bootstrap, settings["STREAMPROC_EVENTS_TOPIC"], stream)
    with image.running("worker", ["worker"], settings) as worker:
        wait_until(lambda: offsets(kafka, settings) == EVENTS, "all is committed", Watched(worker))
        assert worker.stop() == 0, worker.logs()

    ids = alerts(kafka, settings)
    assert len(ids) == len(set(ids))
    assert set(ids) == stream.alerts


def test_stopped_in_the_middle_it_repeats_nothing(image: Containers, kafka, settings):
    """SIGTERM while events wait: the next worker goes on where this one ended, alert for alert."""
    events = 4 * EVENTS  # so many that the first commit is far from the last
    stream = make_stream(events)
    produce(kafka.bootstrap, settings["STREAMPROC_EVENTS_TOPIC"], stream)
    slow = {
        "STREAMPROC_BATCH_RECORDS": "20",
        "STREAMPROC_BATCHES_IN_FLIGHT": "1",
        "STREAMPROC_COMMIT_INTERVAL_S": "0.1",
    }
    with image.running("first", ["worker"], settings | slow) as worker:
        wait_until(lambda: offsets(kafka, settings) > 0, "a part is committed", Watched(worker))
        assert worker.stop() == 0, worker.logs()
    done = offsets(kafka, settings)
    assert 0 < done < events, "the stop came too late to tell anything"
    with image.running("second", ["worker"], settings) as worker:
        wait_until(lambda: offsets(kafka, settings) == events, "all is committed", Watched(worker))
        assert worker.stop() == 0, worker.logs()

    ids = alerts(kafka, settings)
    assert len(ids) == len(set(ids))
    assert set(ids) == stream.alerts


def test_wrong_setting_ends_it_at_once(image: Containers):
    """One message that names the variable, exit code 2; no restart loop without a reason."""
    done = image.run(["worker"], environment={"STREAMPROC_METRICS_PORT": "many"})

    assert done.returncode == 2
    assert "STREAMPROC_METRICS_PORT" in done.stderr
