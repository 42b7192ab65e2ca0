"""What tells that brokers are there."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamproc.transport.probe import is_answer


@pytest.mark.parametrize(
    ("code", "answered"),
    [
        pytest.param(KafkaError.TOPIC_AUTHORIZATION_FAILED, True, id="refused"),
        pytest.param(KafkaError.UNKNOWN_TOPIC_OR_PART, True, id="no such topic"),
        pytest.param(KafkaError._UNKNOWN_TOPIC, True, id="no such topic, from metadata"),
        pytest.param(KafkaError._TIMED_OUT, False, id="no answer in time"),
        pytest.param(KafkaError._TRANSPORT, False, id="no connection"),
        pytest.param(KafkaError._NOENT, False, id="no leader known, for nobody is there"),
        pytest.param(KafkaError._SSL, False, id="no handshake"),
    ],
)
def test_only_what_a_broker_said_is_an_answer(code, answered) -> None:
    assert is_answer(KafkaException(KafkaError(code))) is answered
    assert not is_answer(RuntimeError("ours"))
