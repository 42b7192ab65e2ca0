"""How long a refusal stands, and what it is told by."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from streamproc.ops.counters import Counters
from streamproc.transport.broker_errors import GROUP, TOPICS, BrokerErrors

LOGIN = KafkaError(KafkaError._AUTHENTICATION, "SASL authentication error: no")
TLS = KafkaError(KafkaError._SSL, "wrong version number")
TOPIC = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not this topic")
GROUP_ERROR = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "not this group")
AWAY = KafkaError(KafkaError._TRANSPORT, "connection refused")


class Clock:
    """Seconds that a test sets."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def errors(clock) -> BrokerErrors:
    return BrokerErrors(Counters(), {}, exit_s=60, clock=clock)


def test_a_refusal_that_is_met_again_after_the_time_ends_the_worker(errors, clock) -> None:
    """That time has passed is not enough: it must still be refused."""
    errors.tell(LOGIN, "consumer")
    clock.now_s += 1_000
    assert errors.verdict() is None
    errors.tell(LOGIN, "consumer")
    refusal = errors.verdict()
    assert refusal is not None
    assert (refusal.reason, refusal.exit_code, refusal.text) == ("auth", 72, LOGIN.str())


def test_an_outage_ends_no_worker(errors, clock) -> None:
    for _ in range(1_000):
        errors.tell(AWAY, "consumer")
        clock.now_s += 1
    assert errors.verdict() is None


def test_zero_waits_for_ever(clock) -> None:
    errors = BrokerErrors(Counters(), {}, exit_s=0, clock=clock)
    for _ in range(1_000):
        errors.tell(LOGIN, "consumer")
        clock.now_s += 1_000
    assert errors.verdict() is None


@pytest.mark.parametrize(
    ("error", "success", "clears"),
    [
        (LOGIN, lambda errors: errors.worked("consumer"), True),
        (TLS, lambda errors: errors.worked("producer"), False),
        (LOGIN, lambda errors: errors.connected(), True),
        (TOPIC, lambda errors: errors.worked(TOPICS), True),
        (TOPIC, lambda errors: errors.connected(), False),
        (TOPIC, lambda errors: errors.worked("consumer"), False),
        (GROUP_ERROR, lambda errors: errors.worked(GROUP), True),
        (GROUP_ERROR, lambda errors: errors.worked(TOPICS), False),
    ],
)
def test_only_a_success_of_its_kind_clears_a_refusal(errors, clock, error, success, clears) -> None:
    """Who may read may not therefore commit."""
    errors.tell(error, "consumer")
    success(errors)
    clock.now_s += 61
    errors.tell(error, "consumer")
    assert (errors.verdict() is None) is clears


def test_a_login_that_worked_before_was_changed(errors, clock, caplog) -> None:
    """It has a word of its own, and the log says what to do."""
    errors.worked("probe")
    with caplog.at_level(logging.ERROR):
        errors.tell(LOGIN, "consumer")
    assert errors.standing()["consumer"].reason == "auth_rotated"
    assert "(reason auth_rotated): the login worked before" in caplog.text


def test_missing_rights_are_counted_and_stand_until_they_are_there(errors, clock) -> None:
    errors.lacks("no WRITE on topic alerts")
    clock.now_s += 60
    errors.lacks("no WRITE on topic alerts")
    refusal = errors.verdict()
    assert refusal is not None
    assert refusal.exit_code == 77
    errors.worked(TOPICS)
    assert errors.verdict() is None


def test_another_reason_has_its_own_time(errors, clock) -> None:
    """A login that fails after a certificate was mended has just begun to fail."""
    errors.tell(TLS, "consumer")
    clock.now_s += 61
    errors.tell(LOGIN, "consumer")
    assert errors.verdict() is None


def test_a_crash_by_a_refusal_has_its_exit_code(errors) -> None:
    """The first that crashes the worker counts; what is no refusal has no code of its own."""
    errors.end_for(AWAY)
    assert errors.crash is None
    errors.end_for(TOPIC)
    errors.end_for(LOGIN)
    assert errors.crash is not None
    assert errors.crash.exit_code == 77


def test_a_repeated_error_is_counted_each_time_and_logged_once(clock, caplog) -> None:
    counters = Counters()
    errors = BrokerErrors(counters, {}, exit_s=60, clock=clock)
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            errors.tell(AWAY, "consumer")
            errors.tell(LOGIN, "consumer")
    assert counters.kafka_errors == {"other": 5, "auth": 5}
    assert caplog.text.count("connection refused") == 1
    assert caplog.text.count("SASL authentication error") == 1


def test_a_certificate_is_looked_at_by_another_thread(clock) -> None:
    """Nobody listens there: what librdkafka said stands."""
    counters = Counters()
    errors = BrokerErrors(counters, {}, exit_s=60, clock=clock)
    text = "ssl://127.0.0.1:1/bootstrap: SSL handshake failed: certificate verify failed"
    errors.tell(KafkaError(KafkaError._SSL, text), "producer")
    errors._looker.shutdown(wait=True)
    assert counters.kafka_errors == {"tls_authority": 1}
    assert errors.standing()["producer"].exit_code == 74
