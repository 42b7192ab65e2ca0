"""Asks the brokers, every few seconds, how far the assigned partitions reach.

Law of the file: a thread of its own and a connection of its own. The consumer cannot be asked:
while it fetches nothing (a full queue, a blocked event loop) what it knows grows old, and just
then the lag matters. Whether anybody answers is how a broker outage is told from a standstill.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import wait
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streamproc.ops.counters import Counters, Partition
from streamproc.ops.health import Health

logger = logging.getLogger(__name__)

ASK_S = 5.0
TIMEOUT_S = 5.0
# The client's own codes are negative: nobody said them. These two it knows from an answer.
_FROM_METADATA = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


class Probe:
    """Keeps ``Lag.end`` and ``Health.brokers_at_s`` up to date.

    Args:
        client: librdkafka settings, ``bootstrap.servers`` among them.
        counters: Their ``partitions`` are asked for.
        health: Learns when brokers have answered.
        topics: What to ask about while nothing is assigned: partition 0 of each.
        ask_s: Seconds between two questions.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        counters: Counters,
        health: Health,
        topics: Callable[[], Collection[str]],
        ask_s: float = ASK_S,
    ) -> None:
        self._client = {"client.id": "streamproc-probe", **client}
        self._counters = counters
        self._health = health
        self._topics = topics
        self._ask_s = ask_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamproc-probe", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread when its last question is answered; does not wait for it."""
        self._stop.set()

    def _run(self) -> None:
        admin = AdminClient(self._client, logger=logging.getLogger("streamproc.kafka"))
        while not self._stop.wait(self._ask_s if self._health.brokers_at_s else 0.2):
            try:
                self._ask(admin)
            except Exception:
                # Whatever it is: without this thread the worker goes on, and says "brokers".
                logger.exception("the brokers could not be asked")
                self._stop.wait(self._ask_s)

    def _ask(self, admin: Any) -> None:
        lags = dict(self._counters.partitions)
        places: list[Partition] = list(lags) or [(topic, 0) for topic in self._topics()]
        if not places:
            return
        latest: Any = OffsetSpec.latest
        wanted = {TopicPartition(*place): latest() for place in places}
        futures = admin.list_offsets(wanted, request_timeout=TIMEOUT_S)
        wait(futures.values(), 2 * TIMEOUT_S)
        for place, future in futures.items():
            if not future.done():
                continue
            error = future.exception()
            if error is None:
                self._health.brokers_at_s = self._health.clock()
                if (lag := lags.get((place.topic, place.partition))) is not None:
                    lag.end = int(future.result().offset)
            elif is_answer(error):
                self._health.brokers_at_s = self._health.clock()
                logger.debug("%s[%d]: end not known: %s", place.topic, place.partition, error)


def is_answer(error: BaseException) -> bool:
    """Say whether a broker has said this: then one is there."""
    if not isinstance(error, KafkaException):
        return False
    code = error.args[0].code()
    return code >= 0 or code in _FROM_METADATA
