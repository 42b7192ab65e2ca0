"""Fixtures for the image: built once for the run.

A machine that cannot run containers is neither a pass nor a failure of ours: the run ends at once
with exit code 77 and says so, and whoever started it decides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debian import EXIT_MISSING
from tests.image.containers import Containers, ContainersUnavailableError

PARTITIONS = 4


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """Buildah and podman, known to work here."""
    with tempfile.TemporaryDirectory(prefix="image-", dir="/tmp") as folder:
        try:
            containers = Containers(Path(folder))
            containers.preflight()
        except ContainersUnavailableError as error:
            pytest.exit(f"NO CONTAINERS HERE, nothing was checked: {error}", EXIT_MISSING)
        yield containers


@pytest.fixture(scope="session")
def image(containers: Containers) -> Containers:
    """The same, with the image built from this checkout."""
    containers.build()
    return containers


@pytest.fixture
def settings(kafka) -> dict[str, str]:
    """Topics of this test's own, and the variables that name them."""
    return {
        "STREAMPROC_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "STREAMPROC_GROUP_ID": kafka.topic_name("group"),
        "STREAMPROC_EVENTS_TOPIC": kafka.create_topic("events", PARTITIONS),
        "STREAMPROC_ALERTS_TOPIC": kafka.create_topic("alerts", 2),
        "STREAMPROC_CONTEXT_REQUESTS_TOPIC": kafka.create_topic("context-requests", 2),
        "STREAMPROC_DEAD_LETTERS_TOPIC": kafka.create_topic("dead-letters", 1),
        "STREAMPROC_METRICS_PORT": "0",
    }
