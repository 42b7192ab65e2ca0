"""What a test sees of Kafka: bootstrap servers and topics of its own.

Either a broker that this run starts, or the one that ``STREAMPROC_TEST_KAFKA`` names. Topics get
names that no other test or run uses, so tests never see each other's records.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.kafka.broker import KafkaBroker

EXTERNAL_VARIABLE = "STREAMPROC_TEST_KAFKA"
REQUIRE_VARIABLE = "STREAMPROC_TEST_REQUIRE_KAFKA"
ADMIN_TIMEOUT_S = 60


class KafkaCluster:
    """A Kafka to test against.

    Attributes:
        bootstrap: Bootstrap servers for clients.
        broker: The broker that this run started, or None if it is an external one.
        admin: An admin client on it.
    """

    def __init__(self, bootstrap: str, broker: KafkaBroker | None) -> None:
        self.bootstrap = bootstrap
        self.broker = broker
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self._topics: list[str] = []

    @classmethod
    def start(cls, directory: Path) -> KafkaCluster:
        """The external cluster if one is named, else a broker with its files in ``directory``.

        Raises:
            KafkaUnavailableError: None is named and none can be started on this machine.
        """
        external = os.environ.get(EXTERNAL_VARIABLE)
        if external:
            return cls(external, None)
        broker = KafkaBroker(directory)
        broker.start()
        return cls(broker.bootstrap, broker)

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Create a topic; returns its full name, ``name`` made unique."""
        topic = self.topic_name(name)
        new_topic = NewTopic(topic, partitions, replication_factor=1, config=dict(config or {}))
        for created in self.admin.create_topics([new_topic]).values():
            created.result(ADMIN_TIMEOUT_S)
        self._wait_until_led(topic, partitions)
        return topic

    def topic_name(self, name: str) -> str:
        """A unique name for a topic that the test creates by other means."""
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        self._topics.append(topic)
        return topic

    def _wait_until_led(self, topic: str, partitions: int) -> None:
        """Wait for the topic's leaders: a broker learns of a topic after it was created."""
        deadline = time.monotonic() + ADMIN_TIMEOUT_S
        while time.monotonic() < deadline:
            metadata = self.admin.list_topics(topic, timeout=ADMIN_TIMEOUT_S).topics[topic]
            leaders = [partition.leader for partition in metadata.partitions.values()]
            if len(leaders) == partitions and -1 not in leaders:
                return
            time.sleep(0.02)
        raise RuntimeError(f"topic {topic} has no leaders after {ADMIN_TIMEOUT_S} s")

    def close(self) -> None:
        """Stop the broker that this run started; of an external one delete our topics."""
        if self.broker is not None:
            self.broker.kill()
        elif self._topics:
            existing = self.admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
            ours = [topic for topic in self._topics if topic in existing]
            for deleted in self.admin.delete_topics(ours).values() if ours else ():
                deleted.result(ADMIN_TIMEOUT_S)
