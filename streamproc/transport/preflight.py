"""What can be seen to be wrong before a worker starts: options of librdkafka, files, the port.

Law of the file: nothing is connected. librdkafka checks its options and reads certificates when a
client is made, so clients without brokers are made and thrown away; found later, within Faust's
start, the same mistake would be a traceback and the exit code of a crash.
"""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from prometheus_client import CollectorRegistry

from streamproc.config import Settings
from streamproc.errors import ConfigError
from streamproc.ops.metrics import serve_metrics
from streamproc.transport.options import options_of
from streamproc.transport.settings import consumer_settings, producer_settings

# What librdkafka calls it, and the setting that it came from.
_SETTINGS = {
    "ssl.ca.location": "ssl_ca_file",
    "ssl.certificate.location": "ssl_certificate_file",
    "ssl.key.location": "ssl_key_file",
    "ssl.key.password": "ssl_key_password",
}
_silent = logging.getLogger("streamproc.kafka.preflight")
_silent.disabled = True  # a client without brokers complains that it has none


def check_start(app: Any, settings: Settings) -> None:
    """Refuse to start what could not run.

    Raises:
        ConfigError: librdkafka takes an option or a file not, or the metrics port is not to be had.
    """
    options = options_of(app)
    try:
        Producer(_alone(producer_settings("", app.conf, options)), logger=_silent)
        Consumer(_alone(consumer_settings("", app.conf, options)), logger=_silent).close()
    except KafkaException as error:
        raise ConfigError(_in_our_words(error.args[0].str())) from None
    if settings.metrics_port:
        host, port = settings.metrics_host, settings.metrics_port
        serve_metrics(host, port, CollectorRegistry()).close()


def _alone(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "bootstrap.servers"}


def _in_our_words(text: str) -> str:
    """Name the setting that librdkafka means."""
    for theirs, ours in _SETTINGS.items():
        if theirs in text:
            return f"{ours}: the Kafka client cannot use it: {text}"
    return f"the Kafka client refuses its settings: {text}; see kafka_options"
