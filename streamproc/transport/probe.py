"""Asks the brokers, every few seconds, how far partitions reach and what the worker may do.

Law of the file: a thread of its own and a connection of its own. The consumer cannot be asked:
while it fetches nothing (a full queue, a blocked event loop) what it knows grows old, and just
then the lag matters. Whether anybody answers is how a broker outage is told from a standstill.

librdkafka says once that a right is gone, and nothing when it is back; so rights are asked for.
While another client is refused, each question goes over a new connection: whoever was connected
before a password changed proves nothing. So it does after ends were not told (see ``ends``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streamproc.ops.counters import Counters, Partition
from streamproc.ops.health import Health
from streamproc.refusals import refusal_of
from streamproc.transport.broker_errors import GROUP, TOPICS, BrokerErrors
from streamproc.transport.ends import end_of

logger = logging.getLogger(__name__)

ASK_S = 5.0
TIMEOUT_S = 5.0
RIGHTS_S = 10.0  # between two looks at rights while none is missing
# The client's own codes are negative: nobody said them. These two it knows from an answer.
_FROM_METADATA = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


class Probe:
    """Keeps ``Lag.end`` and ``Health.brokers_at_s`` up to date.

    Args:
        client: librdkafka settings, ``bootstrap.servers`` among them.
        counters: Their ``partitions`` are asked for.
        health: Learns when brokers have answered.
        topics: What to ask about while nothing is assigned: partition 0 of each.
        errors: Is told what is refused, and what is no longer.
        wanted_rights: Topic to the operations that the worker needs on it.
        ask_s: Seconds between two questions.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        counters: Counters,
        health: Health,
        topics: Callable[[], Collection[str]],
        errors: BrokerErrors,
        wanted_rights: Callable[[], Mapping[str, Collection[str]]] = dict,
        ask_s: float = ASK_S,
    ) -> None:
        self._client = client
        self._errors = errors
        self._wanted_rights = wanted_rights
        self._rights_at_s = 0.0
        self._counters = counters
        self._health = health
        self._topics = topics
        self._ask_s = ask_s
        self._is_stale = False
        self._absent: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamproc-probe", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def renew(self) -> None:
        """Use what the settings of the client are now from the next question on."""
        self._is_stale = True

    def stop(self) -> None:
        """End the thread when its last question is answered; does not wait for it."""
        self._stop.set()

    def _run(self) -> None:
        admin = self._connect()
        while not self._stop.wait(self._ask_s if self._health.brokers_at_s else 0.2):
            try:
                is_refused = bool(set(self._errors.standing()) - {GROUP, TOPICS})
                if is_refused or self._is_stale:
                    admin = self._connect()
                if self._ask(admin) and is_refused:
                    self._errors.connected()
                self._ask_rights(admin)
            except Exception:
                # Whatever it is: without this thread the worker goes on, and says "brokers".
                logger.exception("the brokers could not be asked")
                self._stop.wait(self._ask_s)

    def _connect(self) -> AdminClient:
        self._is_stale = False
        settings: dict[str, Any] = {**self._client, "error_cb": self._error}
        settings.setdefault("client.id", "streamproc-probe")
        return AdminClient(settings, logger=logging.getLogger("streamproc.kafka"))

    def _error(self, error: KafkaError) -> None:
        # That a broker is away the other clients say; what is refused may be news.
        if refusal_of(error):
            self._errors.tell(error, "probe")

    def _ask(self, admin: Any) -> bool:
        """Ask for the ends; say whether a broker answered."""
        has_answered = False
        lags = dict(self._counters.partitions)
        places: list[Partition] = list(lags) or [(topic, 0) for topic in self._topics()]
        if not places:
            return False
        latest: Any = OffsetSpec.latest
        wanted = {TopicPartition(*place): latest() for place in places}
        futures = admin.list_offsets(wanted, request_timeout=TIMEOUT_S)
        wait(futures.values(), 2 * TIMEOUT_S)
        for place, future in futures.items():
            error = future.exception() if future.done() else None
            end = end_of(future.result()) if future.done() and error is None else None
            if end is None:
                self._is_stale = True
                has_answered |= error is not None and is_answer(error)
                logger.debug("%s[%d]: end not known: %s", place.topic, place.partition, error)
                continue
            has_answered = True
            if (lag := lags.get((place.topic, place.partition))) is not None:
                lag.end = end
        if has_answered:
            self._health.brokers_at_s = self._health.clock()
            self._errors.worked("probe")
        return has_answered

    def _note_absent(self, topics: set[str]) -> None:
        """Say once of each topic that it is missing: whoever waits for it would wait for ever."""
        if topics:
            self._health.brokers_at_s = self._health.clock()  # for one has said so
        for topic in sorted(topics - self._absent):
            logger.error("%s: no such topic; `streamproc topics create` makes it", topic)
        self._absent = topics

    def _ask_rights(self, admin: Any) -> None:
        wanted = self._wanted_rights()
        now_s = time.monotonic()
        is_due = TOPICS in self._errors.standing() or now_s - self._rights_at_s >= RIGHTS_S
        if not wanted or not is_due:
            return
        futures = admin.describe_topics(
            TopicCollection(list(wanted)),
            include_authorized_operations=True,
            request_timeout=TIMEOUT_S,
        )
        wait(futures.values(), 2 * TIMEOUT_S)
        self._note_absent({topic for topic, future in futures.items() if _is_absent(future)})
        found = {topic: _rights_of(future) for topic, future in futures.items()}
        missing = [
            f"{right} on topic {topic}"
            for topic, rights in wanted.items()
            for right in sorted(set(rights) - (found[topic] or set(rights)))
        ]
        if missing:
            self._errors.lacks(f"the user has no right to {', '.join(missing)}")
        elif None not in found.values():
            self._errors.worked(TOPICS)
        self._rights_at_s = now_s


NO_RIGHT = frozenset({"NONE"})


def _rights_of(future: Future[Any]) -> frozenset[str] | None:
    """Return the names of the operations that are allowed on a topic; None: not known."""
    if not future.done():
        return None
    error = future.exception()
    if error is None:
        # Brokers that are not Apache Kafka may tell none; one that is tells "refused" instead.
        operations = future.result().authorized_operations or ()
        return frozenset(operation.name for operation in operations) or None
    code = error.args[0].code() if isinstance(error, KafkaException) else None
    return NO_RIGHT if code == KafkaError.TOPIC_AUTHORIZATION_FAILED else None


def _is_absent(future: Future[Any]) -> bool:
    """Whether a broker said that there is no such topic."""
    error = future.exception() if future.done() else None
    if not isinstance(error, KafkaException):
        return False
    return bool(error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART)


def is_answer(error: BaseException) -> bool:
    """Say whether a broker has said this: then one is there."""
    if not isinstance(error, KafkaException):
        return False
    code = error.args[0].code()
    return code >= 0 or code in _FROM_METADATA
