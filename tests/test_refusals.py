"""The word for each refusal: from codes, from texts, and from certificates that are looked at."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaError

from streamproc.ops.collector_output import ERROR_REASONS
from streamproc.refusals import EXIT_CODES, WAYS_OUT, cause_of, in_words, needs_look, refusal_of
from streamproc.transport.watchdog import EXIT_CRASHED, EXIT_STUCK
from tests.kafka.authority import Authority

VERIFY_FAILED = (
    "sasl_ssl://{}/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify"
    " failed: broker certificate could not be verified (after 25ms in state SSL_HANDSHAKE)"
)
BAD_CERTIFICATE = "ssl://b:1/1: error:0A000412:SSL routines::sslv3 alert bad certificate"


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (KafkaError._AUTHENTICATION, "SASL authentication error: ...", "auth"),
        (KafkaError.SASL_AUTHENTICATION_FAILED, "", "auth"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "", "authorization"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "", "authorization"),
        (KafkaError._SSL, VERIFY_FAILED.format("b:1"), "tls_authority"),
        (KafkaError._SSL, "error: unable to get local issuer certificate", "tls_authority"),
        (KafkaError._SSL, "tlsv1 alert unknown CA", "tls_authority"),
        (KafkaError._SSL, BAD_CERTIFICATE, "tls_authority"),
        (KafkaError._SSL, "certificate verify failed: certificate has expired", "tls_expired"),
        (KafkaError._SSL, "sslv3 alert certificate expired", "tls_expired"),
        (KafkaError._SSL, "certificate verify failed: Hostname mismatch", "tls_hostname"),
        (KafkaError._SSL, "certificate verify failed: IP address mismatch", "tls_hostname"),
        (KafkaError._SSL, "wrong version number", "tls"),
        (KafkaError._TRANSPORT, "Receive failed: tls alert bad certificate", "tls_authority"),
        (KafkaError._TRANSPORT, "Receive failed: tls alert certificate expired", "tls_expired"),
        (KafkaError._TRANSPORT, VERIFY_FAILED.format("b:1"), "tls_authority"),
        (KafkaError._TRANSPORT, "Receive failed: tls alert internal error", None),
        (KafkaError._TRANSPORT, "Connect to ssl://b:1 failed: Connection refused", None),
        (KafkaError._TRANSPORT, "SSL routines::unexpected eof while reading", None),
        (KafkaError._TIMED_OUT, "", None),
    ],
)
def test_texts_and_codes(code: int, text: str, reason: str | None) -> None:
    assert refusal_of(KafkaError(code, text)) == reason


def test_every_reason_has_an_exit_code_of_its_own_a_way_out_and_a_series() -> None:
    assert len({*EXIT_CODES.values(), EXIT_STUCK, EXIT_CRASHED}) == len(EXIT_CODES) + 2
    assert EXIT_CODES.keys() == WAYS_OUT.keys()
    assert EXIT_CODES.keys() <= set(ERROR_REASONS)
    for reason in EXIT_CODES:
        assert WAYS_OUT[reason] in in_words(reason, "no")


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.stranger("stranger")
    return made


@contextmanager
def server(authority: Authority, name: str):
    """A TLS server on 127.0.0.1; yields its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / f"{name}.pem", authority.folder / f"{name}.key")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        context.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("address", "days", "trusted", "reason"),
    [
        pytest.param("IP:127.0.0.1", 1, "stranger", "tls_authority", id="authority"),
        pytest.param("IP:127.0.0.1", -1, "authority", "tls_expired", id="expired"),
        pytest.param("IP:127.0.0.2", 1, "authority", "tls_hostname", id="address"),
        pytest.param("DNS:elsewhere", 1, "authority", "tls_hostname", id="host name"),
        # What is refused no longer when it is looked at: librdkafka's word stands.
        pytest.param("IP:127.0.0.1", 1, "authority", "tls_authority", id="mended meanwhile"),
    ],
)
def test_a_refused_certificate_is_looked_at(authority, address, days, trusted, reason) -> None:
    """All of them are the same to librdkafka."""
    name = authority.sign_for(address, days)
    client = {"ssl.ca.location": str(authority.folder / f"{trusted}.pem")}
    with server(authority, name) as place:
        error = KafkaError(KafkaError._SSL, VERIFY_FAILED.format(place))
        assert needs_look(error)
        assert cause_of(error, client) == reason


def test_names_are_not_compared_where_the_setting_says_so(authority) -> None:
    name = authority.sign_for("DNS:elsewhere", -1)
    client = {
        "ssl.ca.location": str(authority.folder / "authority.pem"),
        "ssl.endpoint.identification.algorithm": "none",
    }
    with server(authority, name) as place:
        error = KafkaError(KafkaError._SSL, VERIFY_FAILED.format(place))
        assert cause_of(error, client) == "tls_expired"


@pytest.mark.parametrize(("days", "reason"), [(-1, "tls_expired"), (1, "tls_authority")])
def test_a_certificate_of_ours_that_brokers_refuse(authority, days, reason) -> None:
    """A broker does not say why; whether ours has expired we can see."""
    name = authority.sign_for("DNS:client", days)
    client = {"ssl.certificate.location": str(authority.folder / f"{name}.pem")}
    assert cause_of(KafkaError(KafkaError._SSL, BAD_CERTIFICATE), client) == reason


def test_nobody_there_to_look_at(authority) -> None:
    """The broker has gone away since: what librdkafka said stands, and nothing is raised."""
    error = KafkaError(KafkaError._SSL, VERIFY_FAILED.format("127.0.0.1:1"))
    assert cause_of(error, {"ssl.ca.location": "/nowhere"}) == "tls_authority"
    assert cause_of(KafkaError(KafkaError._SSL, "certificate verify failed"), {}) == "tls_authority"
