"""A Kafka broker inside the process, for the demo and quick tests: librdkafka's mock cluster.

Law of the file: no broker is simulated here; whoever connects speaks the Kafka protocol over a
local port. What the mock cluster is not:

* It keeps about 5 MiB per partition and drops the oldest records beyond that.
* A topic is made by whoever first asks for it and has ``PARTITIONS`` partitions; there is no
  CreateTopics request (nor any other administration). Other counts exist only in librdkafka's C
  interface.
* Nothing is written to disk: it ends with the process, and so do its records.
* It has no authentication, no TLS and no ACLs.
* A group's first rebalance waits three seconds for more members; a member that leaves is missed
  only when its session expires; a commit during a rebalance is refused (a real coordinator takes
  it).
"""

from __future__ import annotations

import logging
from types import TracebackType

from confluent_kafka import KafkaException, Producer

PARTITIONS = 4
START_TIMEOUT_S = 10.0


class EmbeddedBroker:
    """A context manager around one mock cluster.

    Attributes:
        bootstrap: ``host:port`` of its brokers, separated by commas; set by ``start``.
    """

    def __init__(self, brokers: int = 1) -> None:
        """Make one with ``brokers`` brokers, not yet started."""
        self._brokers = brokers
        self._host: Producer | None = None
        self.bootstrap = ""

    def start(self) -> EmbeddedBroker:
        """Start the cluster; raises KafkaException when it does not come up."""
        # The cluster lives in the client that was made with this setting.
        self._host = Producer(
            {"test.mock.num.brokers": self._brokers, "bootstrap.servers": "", "log_level": 2},
            logger=logging.getLogger("streamproc.embedded"),
        )
        found = self._host.list_topics(timeout=START_TIMEOUT_S).brokers.values()
        self.bootstrap = ",".join(sorted(f"{broker.host}:{broker.port}" for broker in found))
        return self

    def make_topics(self, *topics: str) -> None:
        """Make topics by asking for them; raises KafkaException when the cluster is away."""
        if self._host is None:
            raise RuntimeError("the embedded broker is not started")
        for topic in topics:
            found = self._host.list_topics(topic, timeout=START_TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)

    def stop(self) -> None:
        """End the cluster and drop every record."""
        self._host = None
        self.bootstrap = ""

    def __enter__(self) -> EmbeddedBroker:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
