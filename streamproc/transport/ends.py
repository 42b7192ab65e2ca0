"""The ends of partitions, asked of the brokers over a connection of their own.

Law of the file: an answer is as of now or there is none. The consumer cannot be asked: what a
fetch told may be old while the broker is out of reach, and a question would wait behind the
fetches on its connection.

Second law: whoever was not told an end asks by a new client. librdkafka's knows who leads a
partition, and since when, and goes on asking so for minutes after a broker has said that it is
old: "leader epoch is older than broker epoch", as after a broker was away for a moment.
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


def end_of(answer: Any) -> int | None:
    """Return the end in an answer of ``list_offsets``; None: it is not known.

    Where a broker is connected and silent until the time is over, librdkafka gives an offset of
    -1001, and no error.
    """
    offset = int(answer.offset)
    return offset if offset >= 0 else None


class PartitionEnds:
    """Asks for the ends of partitions.

    Args:
        client: librdkafka settings, ``bootstrap.servers`` among them.
    """

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._admin: AdminClient | None = None

    def renew(self) -> None:
        """Use a new client, of what the settings are now, from the next question on."""
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
            is_error = isinstance(answer, BaseException)
            end = None if is_error else end_of(answer)
            if end is None:
                why = answer if is_error else "no answer in time"
                logger.warning("%s[%d]: end is not known: %s", place.topic, place.partition, why)
                self.renew()
            else:
                ends[place.topic, place.partition] = end
        return ends
