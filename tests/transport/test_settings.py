"""Which librdkafka settings reach the clients, and who wins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from yarl import URL

from streamproc.errors import ConfigError
from streamproc.transport.options import RESERVED_SETTINGS, TransportOptions, options_of
from streamproc.transport.settings import (
    bootstrap_servers,
    consumer_settings,
    producer_settings,
)

CONF = SimpleNamespace(
    id="group",
    broker_client_id="client",
    broker_session_timeout=45.0,
    broker_heartbeat_interval=3.0,
    broker_max_poll_interval=300.0,
    consumer_max_fetch_size=1_000_000,
    consumer_group_instance_id="pod-0",
    producer_linger=0.0,
    producer_compression_type="zstd",
)


def test_client_settings_reach_both_and_own_settings_one() -> None:
    """Security is set once; what is set for one client stays there and wins."""
    options = TransportOptions(
        client={"security.protocol": "sasl_ssl", "socket.timeout.ms": 1},
        consumer={"socket.timeout.ms": 2},
        producer={"linger.ms": 50},
    )
    consumer = consumer_settings("h:1", CONF, options)
    producer = producer_settings("h:1", CONF, options)
    assert consumer["security.protocol"] == producer["security.protocol"] == "sasl_ssl"
    assert (consumer["socket.timeout.ms"], producer["socket.timeout.ms"]) == (2, 1)
    assert producer["linger.ms"] == 50
    assert "linger.ms" not in consumer


def test_promises_are_kept_by_settings() -> None:
    """No commit behind our back, no silent skip, idempotence, Java's partitioner."""
    consumer = consumer_settings("h:1", CONF, TransportOptions())
    assert consumer["enable.auto.commit"] is False
    assert consumer["enable.auto.offset.store"] is False
    assert consumer["auto.offset.reset"] == "earliest"
    assert consumer["partition.assignment.strategy"] == "range"
    assert consumer["group.instance.id"] == "pod-0"
    assert consumer["session.timeout.ms"] == 45_000
    producer = producer_settings("h:1", CONF, TransportOptions())
    assert producer["acks"] == "all"
    assert producer["enable.idempotence"] is True
    assert producer["partitioner"] == "murmur2_random"
    assert producer["compression.type"] == "zstd"
    assert producer["linger.ms"] == 0.5


@pytest.mark.parametrize("name", sorted(RESERVED_SETTINGS))
@pytest.mark.parametrize("place", ["client", "consumer", "producer"])
def test_reserved_settings_are_refused_by_name(place: str, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        TransportOptions(**{place: {name: "x"}})


def test_message_bytes_max_is_the_producers_limit() -> None:
    """Its own setting wins over the common one; the default fits a broker's default."""
    assert TransportOptions().message_bytes_max == 1_000_000
    assert TransportOptions(client={"message.max.bytes": "5"}).message_bytes_max == 5
    both = TransportOptions(client={"message.max.bytes": 5}, producer={"message.max.bytes": 7})
    assert both.message_bytes_max == 7
    assert producer_settings("h:1", CONF, both)["message.max.bytes"] == 7


def test_bootstrap_names_every_broker() -> None:
    urls = [URL("streamproc://a:9093"), URL("streamproc://b")]
    assert bootstrap_servers(urls) == "a:9093,b:9092"


def test_an_app_without_options_gets_the_defaults_once() -> None:
    """Consumer and producer share one set of counters."""
    app = SimpleNamespace()
    assert options_of(app) is options_of(app)
    app.streamproc_options = {"client": {}}
    with pytest.raises(ConfigError):
        options_of(app)
