"""Sends synthetic events and measures how they come back as alerts.

Law of the file: nothing here can hurt detection. What is sent is sent aside: no offset waits for
it, and a broker that refuses it is counted, not obeyed. Nothing is sent while brokers are away or
acknowledgements are waited for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaException

from streamproc.engine.canary import canary_event, canary_rule, new_token
from streamproc.model import Output
from streamproc.ops.counters import Counters
from streamproc.ops.health import Health
from streamproc.transport.faults import NO_TOPIC, reason_of

logger = logging.getLogger(__name__)

CANARY_HEADER = ("streamproc-canary", b"1")


class Canary:
    """One worker's synthetic events, sent to its partitions in turn.

    Args:
        counters: ``canary`` is counted into.
        health: Says whether brokers are away.
        events_topic: Where events are sent.
        alerts_topic: Where their alerts go, in place of the alerts' topic.
        clock: Seconds since the epoch; replaced in tests.

    Attributes:
        rule: The rule that the events match.
    """

    def __init__(
        self,
        counters: Counters,
        health: Health,
        events_topic: str,
        alerts_topic: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._counts = counters.canary
        self._counters = counters
        self._health = health
        self._events_topic = events_topic
        self._alerts_topic = alerts_topic
        self._clock = clock
        self._token = new_token()
        self._number = 0
        self.rule = canary_rule(self._token)

    def send(self, producer: Any) -> None:
        """Send one event to the next of the assigned partitions; none to a worker without any."""
        mine = sorted(
            number for topic, number in self._counters.partitions if topic == self._events_topic
        )
        if not mine or self._health.unready():
            return
        self._number += 1
        value = canary_event(self._token, self._number, int(self._clock() * 1000))
        partition = mine[self._number % len(mine)]
        if self._produce(producer, self._events_topic, value, partition, self._on_sent):
            self._counts.sent += 1

    def publish(self, producer: Any, alerts: Iterable[Output]) -> None:
        """Send the alerts of events that came back, and count them when they are acknowledged."""
        for alert in alerts:
            self._produce(
                producer, self._alerts_topic, alert.value, -1, self._on_received(alert.event_ms)
            )

    def _produce(
        self, producer: Any, topic: str, value: bytes, partition: int, report: Callable[..., None]
    ) -> bool:
        try:
            producer.produce_aside(topic, value, [CANARY_HEADER], partition, report)
        except KafkaException as error:
            self._fail(topic, error.args[0])
        except BufferError:
            self._counts.failed["other"] += 1
        else:
            return True
        return False

    def _on_sent(self, error: Any, message: Any) -> None:
        if error is not None:
            self._fail(self._events_topic, error)

    def _on_received(self, event_ms: int) -> Callable[[Any, Any], None]:
        def report(error: Any, message: Any) -> None:
            if error is not None:
                self._fail(self._alerts_topic, error)
                return
            self._counts.last_seen_s = self._clock()
            self._counts.latency_s = max(self._counts.last_seen_s - event_ms / 1000, 0.0)
            self._counts.received += 1

        return report

    def _fail(self, topic: str, error: Any) -> None:
        self._counts.failed[reason_of(error)] += 1
        way_out = "; streamproc topics create makes it" if error.code() in NO_TOPIC else ""
        logger.warning("the canary cannot write to %s: %s%s", topic, error.str(), way_out)
