"""The ends of partitions, asked of the brokers over a connection of their own.

Law of the file: an answer is as of now or there is none. The consumer cannot be asked: what a
fetch told may be old while the broker is out of reach, and a question would wait behind the
fetches on its connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streamproc.ops.counters import Partition

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0


class PartitionEnds:
    """Asks for the ends of partitions.

    Args:
        client: librdkafka settings, ``bootstrap.servers`` among them.
    """

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._admin: AdminClient | None = None

    def renew(self) -> None:
        """Use what the settings are now from the next question on."""
        self._admin = None

    async def of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset after the last record of each partition whose broker answers."""
        places = [TopicPartition(*partition) for partition in partitions]
        if not places:
            return {}
        if self._admin is None:
            self._admin = AdminClient(
                {"client.id": "streamproc-ends", **self._client},
                logger=logging.getLogger("streamproc.kafka"),
            )
        latest: Any = OffsetSpec.latest
        wanted = {place: latest() for place in places}
        try:
            futures = self._admin.list_offsets(wanted, request_timeout=TIMEOUT_S)
            answers = await asyncio.gather(
                *map(asyncio.wrap_future, futures.values()), return_exceptions=True
            )
        except KafkaException as error:
            logger.warning("ends of partitions are not known: %s", error)
            return {}
        ends = {}
        for place, answer in zip(futures, answers, strict=True):
            if isinstance(answer, BaseException):
                logger.warning("%s[%d]: end is not known: %s", place.topic, place.partition, answer)
            else:
                ends[place.topic, place.partition] = int(answer.offset)
        return ends
