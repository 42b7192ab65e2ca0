"""The security settings on a real broker: mutual TLS, every login mechanism, every refusal."""

import time

import pytest
from confluent_kafka import Consumer, Producer

from streamproc.config import Settings
from streamproc.errors import ConfigError
from streamproc.topics import TopicOptions, create_topics
from tests.kafka.authority import Authority

PATIENCE_S = 60
SINGLE = TopicOptions(events_partitions=1, outputs_partitions=1, replication=1)
SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
PLAIN_MODULE = (
    'org.apache.kafka.common.security.plain.PlainLoginModule required user_worker="s3cret";'
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a client's certificate by it, and a stranger's."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.stranger("stranger")
    authority.sign("client")
    return authority


@pytest.fixture(scope="module")
def secure_broker(certificates, make_kafka_broker):
    """A broker whose second listener wants a client certificate and a login."""
    secure = {
        **certificates.broker_properties("server"),
        "ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "plain.sasl.jaas.config": PLAIN_MODULE,
        "scram-sha-256.sasl.jaas.config": SCRAM_MODULE,
        "scram-sha-512.sasl.jaas.config": SCRAM_MODULE,
    }
    broker = make_kafka_broker(secure=secure, scram_users={"worker": "s3cret"})
    yield broker
    broker.kill()


def secure_settings(broker, certificates, **changes):
    """Settings that the broker accepts, but for the changes."""
    values = {
        "bootstrap_servers": broker.secure_bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_username": "worker",
        "sasl_password": "s3cret",
        "ssl_ca_file": certificates.folder / "authority.pem",
        "ssl_certificate_file": certificates.folder / "client.pem",
        "ssl_key_file": certificates.folder / "client.key",
    }
    settings = Settings(**values | changes)
    assert settings.problems() == []
    return settings


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_topics_are_made_written_and_read_over_tls_and_login(
    secure_broker, certificates, mechanism
):
    """Admin client, producer and consumer get in by the same settings."""
    topic = f"events.{mechanism}"
    settings = secure_settings(
        secure_broker, certificates, sasl_mechanism=mechanism, events_topic=topic
    )
    outcomes = create_topics(settings, SINGLE)
    options = settings.librdkafka_client_options()
    options["bootstrap.servers"] = settings.bootstrap_servers
    producer = Producer(options)
    producer.produce(topic, b"by " + mechanism.encode())

    assert outcomes[0].action == "created"
    assert producer.flush(PATIENCE_S) == 0
    assert _read_one(options, topic) == b"by " + mechanism.encode()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sasl_password": "wrong"}, "SASL authentication error"),
        ({"sasl_mechanism": "PLAIN", "sasl_password": "wrong"}, "SASL authentication error"),
        ({"ssl_ca_file": "stranger.pem"}, "certificate verify failed"),
        (
            {"ssl_certificate_file": "stranger.pem", "ssl_key_file": "stranger.key"},
            "alert bad certificate",
        ),
    ],
    ids=["scram password", "plain password", "authority", "client certificate"],
)
def test_wrong_credentials_are_refused_with_the_reason(secure_broker, certificates, changes, word):
    """No way around: the command stops, and its message says what was wrong, without secrets."""
    files = {name: certificates.folder / value for name, value in changes.items() if "ssl_" in name}
    settings = secure_settings(secure_broker, certificates, **changes | files)
    with pytest.raises(ConfigError) as caught:
        create_topics(settings, SINGLE)

    message = str(caught.value)

    assert word in message
    assert "s3cret" not in message
    assert "wrong" not in message


def _read_one(options, topic):
    consumer = Consumer({**options, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                return message.value()
    finally:
        consumer.close()
    raise AssertionError("nothing was read")
