"""The Faust transport ``streamproc://``: confluent-kafka underneath, record batches on top.

Law of the file: it only ties the parts together. Faust finds it through the entry point group
``faust.transports``, so ``faust -A streamproc.app worker`` works as it does for any app. The
delivery guarantee is at least once; exactly-once processing is refused.
"""

from __future__ import annotations

import confluent_kafka
from faust.transport import base

from streamproc.transport.consumer import Consumer
from streamproc.transport.producer import Producer
from streamproc.transport.settings import DEFAULT_PORT


class Transport(base.Transport):
    """``faust.App(broker="streamproc://host:9092;host2:9092")``."""

    Consumer = Consumer
    Producer = Producer
    default_port = DEFAULT_PORT
    driver_version = (
        f"confluent-kafka={confluent_kafka.__version__},"
        f" librdkafka={confluent_kafka.libversion()[0]}"
    )
