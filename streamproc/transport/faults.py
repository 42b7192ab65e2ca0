"""What a Kafka error means: its label for metrics, and what a commit does about it.

Law of the file: every ``KafkaError`` maps to a word of a bounded set, and only errors that are
known to be harmless are retried; whatever is not named here ends the worker. What brokers refuse
is retried for a time, which ``streamproc.transport.broker_errors`` keeps.
"""

from __future__ import annotations

from enum import Enum

from confluent_kafka import KafkaError

from streamproc.errors import StreamprocError
from streamproc.refusals import refusal_of

NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
"""There is no such topic: a broker says so, or the client after it has asked one."""


class DeliveryFailedError(StreamprocError):
    """The broker refused an output for good; nothing may be committed any more."""


class DeliveryPendingError(StreamprocError):
    """Outputs are not acknowledged yet; the commit is put off, nothing is lost."""


class Verdict(Enum):
    """What to do after a commit failed."""

    REPLAY = "replay"  # the group moved on: the events will be processed again
    RETRY = "retry"  # the broker is away or refuses: the next commit carries the same offsets
    CRASH = "crash"  # nobody knows better: end the worker, replay after the restart


_REASONS: dict[str, frozenset[int]] = {
    "timeout": frozenset(
        {
            KafkaError._TIMED_OUT,
            KafkaError._TIMED_OUT_QUEUE,
            KafkaError._MSG_TIMED_OUT,
            KafkaError.REQUEST_TIMED_OUT,
        }
    ),
    "fenced": frozenset(
        {
            KafkaError._FENCED,
            KafkaError.FENCED_INSTANCE_ID,
            KafkaError.INVALID_PRODUCER_EPOCH,
        }
    ),
}
_BY_CODE = {code: reason for reason, codes in _REASONS.items() for code in codes}

_GROUP_MOVED_ON = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._NO_OFFSET,
        KafkaError._ASSIGNMENT_LOST,
    }
)
# COORDINATOR_* and REQUEST_TIMED_OUT carry librdkafka's own mark "retriable"; its local codes
# carry none.
_BROKER_AWAY = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)


def reason_of(error: KafkaError) -> str:
    """Return a reason of ``streamproc.refusals``, or timeout, fenced or other."""
    return refusal_of(error) or _BY_CODE.get(error.code(), "other")


def commit_verdict(error: KafkaError) -> Verdict:
    """Say what a consumer does whose offset commit failed with ``error``."""
    code = error.code()
    if code in _GROUP_MOVED_ON:
        return Verdict.REPLAY
    if code in _BROKER_AWAY or error.retriable() or refusal_of(error):
        return Verdict.RETRY
    return Verdict.CRASH


def commit_reason(error: KafkaError) -> str:
    """Return the label of a failed commit: rebalance, unavailable, or as ``reason_of``."""
    code = error.code()
    if code in _GROUP_MOVED_ON and code != KafkaError.FENCED_INSTANCE_ID:
        return "rebalance"
    reason = reason_of(error)
    if reason == "other" and code in _BROKER_AWAY:
        return "unavailable"
    return reason
