"""Fixtures for workers on a real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.worker import Worker


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """A function that starts a further worker with the test's ``settings`` and those it is given.

    Whatever runs at the end of the test is killed.
    """
    workers: list[Worker] = []
    with ExitStack() as running:

        def start(**more: str) -> Worker:
            worker = Worker(tmp_path / f"worker-{len(workers)}.log", settings | more)
            workers.append(running.enter_context(worker))
            return worker

        yield start
        for worker in workers:  # pytest shows it when the test fails
            print(f"--- {worker.log.name}\n{worker.tail()}")
