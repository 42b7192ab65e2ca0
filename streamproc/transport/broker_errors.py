"""What brokers refuse this worker, since when, and whether it ends for that.

Law of the file: an outage ends no worker. Only a refusal does (a login, a certificate, a right),
when it is met again after ``exit_s`` without any success in between: then waiting does not mend
it, and the exit code tells an operator what would. What clears a refusal is a success of the same
kind: whoever may still read is not thereby allowed to commit.

Clients tell from any thread; looks at certificates are made by a thread of their own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from confluent_kafka import KafkaError

from streamproc.ops.counters import Counters
from streamproc.refusals import EXIT_CODES, cause_of, in_words, needs_look
from streamproc.transport.faults import reason_of

logger = logging.getLogger(__name__)

LOG_INTERVAL_S = 10.0  # librdkafka repeats itself several times a second
LOOK_KEPT_S = 5.0
GROUP, TOPICS = "group", "topics"
"""What a right is missing on; other refusals are kept by the client that met them."""


class Refusal(NamedTuple):
    """One that stands.

    Attributes:
        since_s: Monotonic seconds when it was met first.
        last_s: When it was met last.
        reason: A key of ``refusals.EXIT_CODES``.
        text: Kafka's words.
    """

    since_s: float
    last_s: float
    reason: str
    text: str

    @property
    def exit_code(self) -> int:
        """Return the exit code of a worker that ends for it."""
        return EXIT_CODES[self.reason]


class BrokerErrors:
    """Counts and logs what Kafka clients report, and remembers what is refused.

    Args:
        counters: ``kafka_errors`` is counted here and nowhere else.
        client: librdkafka's settings of all clients, as they are at the moment.
        exit_s: Seconds for which a refusal may stand; 0: for ever.
        clock: Monotonic seconds; replaced in tests.
    """

    def __init__(
        self,
        counters: Counters,
        client: Mapping[str, Any],
        *,
        exit_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = counters
        self._client = client
        self._exit_s = exit_s
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: dict[str, Refusal] = {}
        self._has_worked = False
        self._logged_s: dict[object, float] = {}
        self._looks: dict[str, tuple[float, str | None]] = {}
        self._looker = ThreadPoolExecutor(1, thread_name_prefix="streamproc-certificates")
        self.crash: Refusal | None = None

    # -- told ----------------------------------------------------------------------------------

    def tell(self, error: KafkaError, client: str) -> None:
        """Take an error that a client (``consumer``, ``producer``, ``probe``) reports."""
        if needs_look(error):
            try:
                self._looker.submit(self._look, error, client)
            except RuntimeError:  # the interpreter is on its way out
                logger.debug("no look at a certificate any more")
            return
        self._note(error, client, reason_of(error))

    def lacks(self, text: str) -> None:
        """Take note that rights on topics are missing; ``text`` names them."""
        with self._lock:
            self._counters.kafka_errors["authorization"] += 1
            self._stand(TOPICS, "authorization", text)
        self._log(TOPICS, in_words("authorization", text))

    def end_for(self, error: KafkaError) -> None:
        """Remember that the worker crashes by this error: a refusal has its own exit code."""
        reason = self._rotated(reason_of(error))
        if reason in EXIT_CODES and self.crash is None:
            now_s = self._clock()
            self.crash = Refusal(now_s, now_s, reason, error.str())

    def worked(self, what: str) -> None:
        """Take note of a success: of a client, or on ``GROUP`` or ``TOPICS``."""
        self._has_worked = True
        if what in self._standing:  # the usual case takes no lock
            with self._lock:
                self._standing.pop(what, None)

    def connected(self) -> None:
        """Take note that a new connection was made and used: none of the clients is refused one."""
        self._has_worked = True
        with self._lock:
            for client in set(self._standing) - {GROUP, TOPICS}:
                del self._standing[client]

    # -- asked ---------------------------------------------------------------------------------

    def standing(self) -> dict[str, Refusal]:
        """Return what is refused now, by client or kind of right."""
        with self._lock:
            return dict(self._standing)

    def verdict(self) -> Refusal | None:
        """Return the refusal to end the worker for; None: go on."""
        if not self._exit_s:
            return None
        found = self.standing().values()
        overdue = [one for one in found if one.last_s - one.since_s >= self._exit_s]
        return min(overdue, default=None)

    # -- inside --------------------------------------------------------------------------------

    def _look(self, error: KafkaError, client: str) -> None:
        place = error.str().partition(": ")[0]
        looked_s, reason = self._looks.get(place, (0.0, None))
        if reason is None or self._clock() - looked_s > LOOK_KEPT_S:
            reason = cause_of(error, dict(self._client))
            self._looks[place] = (self._clock(), reason)
        self._note(error, client, reason or "other")

    def _note(self, error: KafkaError, client: str, reason: str) -> None:
        with self._lock:
            reason = self._rotated(reason)
            self._counters.kafka_errors[reason] += 1
            if reason in EXIT_CODES:
                self._stand(_kind(error, client), reason, error.str())
        if reason in EXIT_CODES:
            self._log((client, reason), in_words(reason, error.str()))
        else:
            self._log((client, error.code()), f"{error.str()} ({error.name()})")

    def _rotated(self, reason: str) -> str:
        return "auth_rotated" if reason == "auth" and self._has_worked else reason

    def _stand(self, what: str, reason: str, text: str) -> None:
        now_s = self._clock()
        known = self._standing.get(what)
        # Another reason is another refusal, and has its own time.
        since_s = known.since_s if known is not None and known.reason == reason else now_s
        self._standing[what] = Refusal(since_s, now_s, reason, text)

    def _log(self, key: object, text: str) -> None:
        now_s = self._clock()
        if now_s - self._logged_s.get(key, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
            self._logged_s[key] = now_s
            logger.error("Kafka: %s", text)


def _kind(error: KafkaError, client: str) -> str:
    if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return GROUP
    return TOPICS if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED else client
