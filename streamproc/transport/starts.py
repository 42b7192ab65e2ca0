"""Where the records of newly assigned partitions begin: at the group's committed offsets.

Law of the file: brokers that do not answer, or refuse for a time, are asked again; only what no
repetition mends ends a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from faust.types import TP

from streamproc.transport.faults import Verdict, commit_verdict

# Of one question. Between two the consumer polls, so that the group can take partitions away.
TIMEOUT_S = 5.0


def committed_starts(
    consumer: Any, partitions: Sequence[TopicPartition], tell: Callable[[KafkaError], None]
) -> dict[TP, int | None] | None:
    """Return the committed offset of each partition (None: there is none).

    Args:
        consumer: Of the group.
        partitions: What is assigned.
        tell: Takes an error after which it is worth asking again; the result is None then.

    Raises:
        KafkaException: No repetition would mend it.
    """
    starts: dict[TP, int | None] = {}
    try:
        for place in consumer.committed(list(partitions), timeout=TIMEOUT_S) if partitions else ():
            if place.error is not None:
                raise KafkaException(place.error)
            starts[TP(place.topic, place.partition)] = place.offset if place.offset >= 0 else None
    except KafkaException as error:
        if commit_verdict(error.args[0]) is Verdict.CRASH:
            raise
        tell(error.args[0])
        return None
    return starts
