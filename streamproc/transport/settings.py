"""librdkafka settings of the consumer and the producer, from Faust's settings and our options.

Law of the file: what the operator sets wins over these defaults, except for the reserved settings
(``options.RESERVED_SETTINGS``), which nobody can set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streamproc.transport.options import TransportOptions

# Milliseconds before a partition whose local queue was full is fetched again. The default of
# 1,000 stalls a fast consumer: 100,000 to 1,000,000 records/s from run to run.
FETCH_QUEUE_BACKOFF_MS = 2
# KiB prefetched over all partitions: two reads of usual size. More is no faster, and memory.
QUEUED_KBYTES_MAX = 16_384
LINGER_MS_MIN = 0.5  # without it every output is a request of its own: ten times the work
# Milliseconds. A topic that did not exist at the start is noticed after at most this long; the
# default is five minutes.
METADATA_REFRESH_MS = 30_000
DEFAULT_PORT = 9092


def bootstrap_servers(urls: Iterable[Any]) -> str:
    """Return ``host:port,host:port`` for the broker URLs of a Faust transport."""
    return ",".join(f"{url.host}:{url.port or DEFAULT_PORT}" for url in urls)


def consumer_settings(bootstrap: str, conf: Any, options: TransportOptions) -> dict[str, Any]:
    """Return the settings of the consumer.

    Args:
        bootstrap: ``host:port,host:port``.
        conf: ``app.conf`` of the Faust app.
        options: Ours.
    """
    settings = {
        "client.id": conf.broker_client_id,
        "session.timeout.ms": int(conf.broker_session_timeout * 1000),
        "heartbeat.interval.ms": int(conf.broker_heartbeat_interval * 1000),
        "max.poll.interval.ms": int((conf.broker_max_poll_interval or 300) * 1000),
        "max.partition.fetch.bytes": conf.consumer_max_fetch_size,
        "fetch.queue.backoff.ms": FETCH_QUEUE_BACKOFF_MS,
        "queued.max.messages.kbytes": QUEUED_KBYTES_MAX,
        "topic.metadata.refresh.interval.ms": METADATA_REFRESH_MS,
    }
    if conf.consumer_group_instance_id:
        settings["group.instance.id"] = conf.consumer_group_instance_id
    return {
        **settings,
        **options.client,
        **options.consumer,
        "bootstrap.servers": bootstrap,
        "group.id": conf.id,
        # Out of range: go on at the beginning. Positions notices and says so.
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Behind the last record there may be markers of transactions: the end is told, not
        # reckoned.
        "enable.partition.eof": True,
        # Eager, and co-partitioned for topics with equal partition counts, which tables need.
        "partition.assignment.strategy": "range",
    }


def producer_settings(bootstrap: str, conf: Any, options: TransportOptions) -> dict[str, Any]:
    """Return the settings of the idempotent producer; arguments as ``consumer_settings``."""
    return {
        "client.id": conf.broker_client_id,
        "linger.ms": max(conf.producer_linger * 1000, LINGER_MS_MIN),
        "compression.type": conf.producer_compression_type or "none",
        "message.max.bytes": options.message_bytes_max,
        # Never: with librdkafka's five minutes an outage would end every worker that has an
        # alert on its way. What waits is bounded by the queue, and by commits that stand still.
        "message.timeout.ms": 0,
        **options.client,
        **options.producer,
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        # Java's default partitioner. librdkafka's own differs, and shippers and we would put one
        # host into two partitions.
        "partitioner": "murmur2_random",
    }
