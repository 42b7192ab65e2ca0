"""Labels of Kafka errors and what a failed commit does."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from streamproc.transport.faults import Verdict, commit_reason, commit_verdict, reason_of


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (KafkaError._AUTHENTICATION, "auth"),
        (KafkaError.SASL_AUTHENTICATION_FAILED, "auth"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "authorization"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "authorization"),
        (KafkaError._SSL, "tls"),
        (KafkaError._TIMED_OUT, "timeout"),
        (KafkaError._MSG_TIMED_OUT, "timeout"),
        (KafkaError.FENCED_INSTANCE_ID, "fenced"),
        (KafkaError._TRANSPORT, "other"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "other"),
    ],
)
def test_reason_of_is_a_word_of_a_bounded_set(code: int, reason: str) -> None:
    assert reason_of(KafkaError(code)) == reason


@pytest.mark.parametrize(
    ("code", "verdict", "reason"),
    [
        (KafkaError.ILLEGAL_GENERATION, Verdict.REPLAY, "rebalance"),
        (KafkaError.REBALANCE_IN_PROGRESS, Verdict.REPLAY, "rebalance"),
        (KafkaError.UNKNOWN_MEMBER_ID, Verdict.REPLAY, "rebalance"),
        (KafkaError.FENCED_INSTANCE_ID, Verdict.REPLAY, "fenced"),
        (KafkaError._TRANSPORT, Verdict.RETRY, "unavailable"),
        (KafkaError._WAIT_COORD, Verdict.RETRY, "unavailable"),
        (KafkaError._TIMED_OUT, Verdict.RETRY, "timeout"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, Verdict.RETRY, "authorization"),
        (KafkaError._AUTHENTICATION, Verdict.RETRY, "auth"),
        (KafkaError.OFFSET_METADATA_TOO_LARGE, Verdict.CRASH, "other"),
    ],
)
def test_only_known_failures_of_a_commit_are_survived(code, verdict, reason) -> None:
    """What is not known to be harmless ends the worker."""
    assert commit_verdict(KafkaError(code)) is verdict
    assert commit_reason(KafkaError(code)) == reason
