"""The services of the compose file that are ours, run as it says, on a real Kafka.

Kafka, Prometheus and Grafana come from a registry and are not run here.
"""

from __future__ import annotations

import pytest

from tests.image.containers import Containers
from tests.image.test_files import read_compose
from tests.image.test_worker import Watched, drain
from tests.integration.worker import read_all, wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(1_800)]

INSIDE = "kafka:9092"
ALERTS = 6  # of the story that the sample tells


def service(name: str, bootstrap: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a service, with this Kafka in place of the compose file's."""
    found = read_compose()["services"][name]
    command = [part.replace(INSIDE, bootstrap) for part in found["command"]]
    variables = found.get("environment", {})
    return command, {key: value.replace(INSIDE, bootstrap) for key, value in variables.items()}


def test_topics_worker_and_sample_raise_the_alerts(image: Containers, kafka_broker):
    """What ``docker compose up`` shows: the topics, and every alert of the sample."""
    bootstrap = kafka_broker.bootstrap
    command, variables = service("topics", bootstrap)
    made = image.run(command, environment=variables)
    assert made.returncode == 0, made.stderr
    again = image.run(command, environment=variables)
    assert again.returncode == 0, again.stderr

    command, variables = service("worker", bootstrap)
    with image.running("compose-worker", command, variables | no_port()) as worker:
        command, variables = service("sample", bootstrap)
        command[command.index("--seconds") + 1] = "3"
        sent = image.run(command, environment=variables)
        assert sent.returncode == 0, sent.stderr
        assert f"{ALERTS} must raise alerts" in sent.stdout
        wait_until(
            lambda: len(read_all(bootstrap, "streamproc.alerts")) == ALERTS,
            "every alert is there",
            Watched(worker),
        )
        drain(worker)


def no_port() -> dict[str, str]:
    """On the host's network the port may be another worker's."""
    return {"STREAMPROC_METRICS_PORT": "0"}
