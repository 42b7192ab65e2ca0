"""The image's worker on a real Kafka: it drains on SIGTERM, and what it had is committed."""

from __future__ import annotations

import pytest

from tests.image.conftest import PARTITIONS
from tests.image.containers import Container, Containers
from tests.integration.stream import Stream, make_stream, produce
from tests.integration.worker import SLOW, committed, read_all, wait_until

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


def offsets(settings: dict[str, str]) -> int:
    """How many records are committed."""
    plain = {name.removeprefix("STREAMPROC_").lower(): value for name, value in settings.items()}
    return committed(plain, PARTITIONS)


def wait_until_done(container: Container, settings: dict[str, str], events: int) -> None:
    """Wait until so many records are committed."""
    wait_until(lambda: offsets(settings) == events, "all is committed", Watched(container))


def drain(container: Container) -> None:
    """SIGTERM; it ends by itself and well."""
    assert container.stop() == 0, container.logs()


def check_alerts(kafka, settings: dict[str, str], stream: Stream) -> None:
    """Every alert of the stream was written, each once."""
    topic = settings["STREAMPROC_ALERTS_TOPIC"]
    ids = [message.key().decode() for message in read_all(kafka.bootstrap, topic)]
    assert len(ids) == len(set(ids))
    assert set(ids) == stream.alerts


def test_worker_drains_on_sigterm(image: Containers, kafka, settings):
    """Every event evaluated, every alert once; stopped, it exits with 0 and all is committed."""
    stream = make_stream(EVENTS)
    produce(kafka.bootstrap, settings["STREAMPROC_EVENTS_TOPIC"], stream)
    with image.running("worker", ["worker"], settings) as worker:
        wait_until_done(worker, settings, EVENTS)
        drain(worker)

    check_alerts(kafka, settings, stream)


def test_stopped_in_the_middle_it_repeats_nothing(image: Containers, kafka, settings):
    """SIGTERM while events wait: the next worker goes on where this one ended, alert for alert."""
    events = 4 * EVENTS  # so many that the first commit is far from the last
    stream = make_stream(events)
    produce(kafka.bootstrap, settings["STREAMPROC_EVENTS_TOPIC"], stream)
    slow = {f"STREAMPROC_{name.upper()}": value for name, value in SLOW.items()}
    with image.running("first", ["worker"], settings | slow) as worker:
        wait_until(lambda: offsets(settings) > 0, "a part is committed", Watched(worker))
        drain(worker)
    done = offsets(settings)
    assert 0 < done < events, "the stop came too late to tell anything"
    with image.running("second", ["worker"], settings) as worker:
        wait_until_done(worker, settings, events)
        drain(worker)

    check_alerts(kafka, settings, stream)


def test_wrong_setting_ends_it_at_once(image: Containers):
    """One message that names the variable, exit code 2; no restart loop without a reason."""
    done = image.run(["worker"], environment={"STREAMPROC_METRICS_PORT": "many"})

    assert done.returncode == 2
    assert "STREAMPROC_METRICS_PORT" in done.stderr
