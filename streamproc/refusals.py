"""Why Kafka refuses a client: one word for each cause, its exit code, and the way out.

Law of the file: plain functions of what librdkafka said, and of the files that the settings name.
librdkafka's text does not tell an unknown authority from an expired certificate or a wrong host
name, so for these the certificate is looked at over a connection of our own; nothing is sent on
it, and no check that the client makes is left out.
"""

from __future__ import annotations

import datetime
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError
from cryptography import x509

LOOK_TIMEOUT_S = 3.0

# 70 and 71 are the watchdog's own.
EXIT_CODES: dict[str, int] = {
    "auth": 72,
    "auth_rotated": 73,
    "tls_authority": 74,
    "tls_expired": 75,
    "tls_hostname": 76,
    "authorization": 77,
    "tls": 78,
}
"""Exit code of a worker that is refused for good, by reason."""

WAYS_OUT: dict[str, str] = {
    "auth": "see sasl_username, sasl_password_file and sasl_mechanism, and the user in Kafka",
    "auth_rotated": (
        "the login worked before: the password was changed in Kafka or the user deleted; write"
        " the new password to sasl_password_file"
    ),
    "tls_authority": (
        "ssl_ca_file must hold the authority of the brokers' certificates; with mutual TLS,"
        " brokers must trust the authority of ssl_certificate_file"
    ),
    "tls_expired": (
        "renew the brokers' certificate or, with mutual TLS, ssl_certificate_file; see the clocks"
    ),
    "tls_hostname": (
        "bootstrap_servers and the brokers' advertised.listeners must be names that stand in the"
        " brokers' certificates"
    ),
    "authorization": "give the user the rights that docs/security.md lists, and no others",
    "tls": "see security_protocol, the port in bootstrap_servers, and the brokers' log",
}
"""What an operator does about it, by reason."""

_LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
_RIGHTS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_ADDRESS = re.compile(r"^(?:sasl_)?ssl://\[?(?P<host>[^/]+?)\]?:(?P<port>\d+)/")
_ALERT = "alert"  # TLS's word for what the other side says
# First match wins.
_TLS_TEXTS = (
    ("tls_expired", ("certificate has expired", "certificate expired", "not yet valid")),
    ("tls_hostname", ("hostname mismatch", "ip address mismatch")),
    (
        "tls_authority",
        (
            "certificate verify failed",
            "unable to get local issuer",
            "self-signed certificate",
            "self signed certificate",
            "unknown ca",
            "bad certificate",
            "certificate unknown",
            "certificate required",
        ),
    ),
)
# X509_V_ERR_* of OpenSSL.
_VERIFY_REASONS = {
    9: "tls_expired",  # not yet valid
    10: "tls_expired",
    62: "tls_hostname",
    64: "tls_hostname",  # the same for an IP address
}


def refusal_of(error: KafkaError) -> str | None:
    """Return the reason, a key of ``EXIT_CODES``; None: nothing is refused.

    As far as the error itself tells; ``cause_of`` knows more.
    """
    code = error.code()
    if code in _LOGIN:
        return "auth"
    if code in _RIGHTS:
        return "authorization"
    if code == KafkaError._SSL:
        return _tls_reason(error.str()) or "tls"
    # A lost connection at times: with TLS 1.3 our certificate is refused after the handshake.
    return _tls_reason(error.str()) if code == KafkaError._TRANSPORT else None


def needs_look(error: KafkaError) -> bool:
    """Say whether ``cause_of`` would look further than the error: it may take seconds."""
    return refusal_of(error) == "tls_authority"


def cause_of(error: KafkaError, client: Mapping[str, Any]) -> str | None:
    """Return the reason as ``refusal_of``, after a look at the certificate that was refused.

    Args:
        error: What librdkafka said.
        client: librdkafka's settings of the client that was refused.
    """
    reason = refusal_of(error)
    if not needs_look(error):
        return reason
    if _ALERT in error.str().lower():  # the broker refuses ours
        return "tls_expired" if _has_expired(client.get("ssl.certificate.location")) else reason
    address = _ADDRESS.match(error.str())
    if address is None:
        return reason
    return _refused_certificate(address["host"], int(address["port"]), client) or reason


def in_words(reason: str, text: str) -> str:
    """Return what Kafka said, the reason, and the way out, in one line."""
    return f"{text} (reason {reason}): {WAYS_OUT[reason]}"


def _tls_reason(text: str) -> str | None:
    lowered = text.lower()
    for reason, words in _TLS_TEXTS:
        if any(word in lowered for word in words):
            return reason
    return None


def _refused_certificate(host: str, port: int, client: Mapping[str, Any]) -> str | None:
    """Return why a broker's certificate is refused; None if it is not, or nobody answers."""
    try:
        context = ssl.create_default_context(cafile=client.get("ssl.ca.location"))
        identifies = client.get("ssl.endpoint.identification.algorithm", "https")
        context.check_hostname = identifies != "none"
        with (
            socket.create_connection((host, port), LOOK_TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as refused:
        return _VERIFY_REASONS.get(refused.verify_code, "tls_authority")
    except (OSError, ValueError):
        return None


def _has_expired(path: str | None) -> bool:
    """Say whether the first certificate of a PEM file is out of its time; False if unreadable."""
    if path is None:
        return False
    try:
        own = x509.load_pem_x509_certificates(Path(path).read_bytes())[0]
    except (OSError, ValueError, IndexError):
        return False
    now = datetime.datetime.now(datetime.UTC)
    return not own.not_valid_before_utc <= now <= own.not_valid_after_utc
