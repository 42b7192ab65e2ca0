"""The embedded broker serves real clients, within its documented limits."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from streamproc.transport.embedded import PARTITIONS, EmbeddedBroker
from tests.transport.harness import client, fill, read_all


def test_it_serves_clients_and_makes_topics_with_four_partitions() -> None:
    """A producer and a consumer that know nothing but its address."""
    with EmbeddedBroker() as broker:
        broker.make_topics("events")
        fill(broker.bootstrap, "events", 100, PARTITIONS)
        assert len(read_all(broker.bootstrap, "events", PARTITIONS)) == 100
        reader = client(broker.bootstrap)
        assert len(reader.list_topics("events", timeout=30).topics["events"].partitions) == 4
        reader.close()


def test_it_ends() -> None:
    """Nobody answers at its address afterwards."""
    with EmbeddedBroker() as broker:
        bootstrap = broker.bootstrap
    assert not broker.bootstrap
    reader = client(bootstrap)
    with pytest.raises(KafkaException):
        reader.list_topics(timeout=0.5)
    reader.close()
    with pytest.raises(RuntimeError, match="not started"):
        broker.make_topics("events")
