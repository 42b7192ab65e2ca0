"""What several files ask of the mock cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.transport.harness import fill
from tests.transport.mock_cluster import MockCluster


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """One broker with ten records in the partition."""
    cluster = MockCluster({"events": 1})
    fill(cluster.bootstrap, "events", 10, 1)
    yield cluster
    cluster.close()
