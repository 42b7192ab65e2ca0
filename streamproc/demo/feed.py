"""Sends the generated events and reads what the worker publishes, over the embedded broker.

Law of the file: plain clients, as any shipper and any consumer would use. The producer places a
host as Java's clients do (``murmur2_random``), so that one host stays on one partition.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from streamproc.demo.traffic import Sent

_TIMEOUT_S = 10.0
# What librdkafka says would tear the live picture; what matters comes back as an error.
_LOGGER = logging.getLogger("streamproc.demo")


class Feed:
    """The generator's way into the events topic.

    Args:
        bootstrap_servers: Brokers to ask first.
        topic: The events topic.
        options: How to log in, as librdkafka names it.

    Attributes:
        sent: Events handed to the client so far.
        failure: Why a delivery failed, if one did; an event that is not delivered could be the
            attack, so the demonstration ends then.
    """

    def __init__(
        self, bootstrap_servers: str, topic: str, options: Mapping[str, Any] | None = None
    ) -> None:
        self.sent = 0
        self.failure = ""
        self._topic = topic
        self._producer = Producer(
            {
                **(options or {}),
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 5,
                "acks": "all",
                "log_level": 2,
            },
            logger=_LOGGER,
        )

    def send(self, events: Iterable[Sent]) -> None:
        """Hand events to the client; they leave within milliseconds."""
        for event in events:
            self._producer.produce(
                self._topic, key=event.key, value=event.value, on_delivery=self._on_delivery
            )
            self.sent += 1
        self._producer.poll(0)

    @property
    def waiting(self) -> int:
        """Events handed to the client that the broker has not acknowledged."""
        return len(self._producer)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        left = self._producer.flush(_TIMEOUT_S)
        if left:
            self.failure = f"{left} events were not delivered within {_TIMEOUT_S:.0f} s"

    def _on_delivery(self, error: object, _message: object) -> None:
        if error is not None:
            self.failure = f"an event could not be delivered: {error}"


class Outputs:
    """Reads whole topics from their beginning, without a group: a viewer, not a worker."""

    def __init__(self, bootstrap_servers: str, topics: tuple[str, ...]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "streamproc-demo-view",
                "enable.auto.commit": False,
                # The embedded broker does not wake a waiting fetch when a record arrives.
                "fetch.wait.max.ms": 20,
                "log_level": 2,
            },
            logger=_LOGGER,
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in topics
                for partition in self._consumer.list_topics(topic, _TIMEOUT_S)
                .topics[topic]
                .partitions
            ]
        )

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Topic and value of every record that has arrived; does not wait."""
        for message in self._consumer.consume(500, 0):
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            value = message.value()
            if value is not None:
                yield str(message.topic()), value

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
