"""Bare confluent-kafka loops, as one would write them: nothing, ``orjson.loads``, matchers.

Run: ``python -m benchmarks.contenders.loop MODE BOOTSTRAP TOPIC RECORDS [RULES ...]``; prints
the measured run as JSON. One process, one loop, all partitions, from the first record.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks.contenders.rules import Matchers
from benchmarks.meter import Meter

BATCH = 1_000
# The product's own settings: with librdkafka's default backoff a loop is slower and its rate
# swings by a factor of ten.
SETTINGS = {"fetch.queue.backoff.ms": 2, "queued.max.messages.kbytes": 16_384}


def main(mode: str, bootstrap: str, topic: str, records: str, *rules: str) -> None:
    """Consume, measure, print."""
    total = int(records)
    consumer = Consumer(
        {
            **SETTINGS,
            "bootstrap.servers": bootstrap,
            "group.id": "benchmark-loop",
            "enable.auto.commit": False,
        }
    )
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    matchers = Matchers([Path(path) for path in rules]) if mode == "matchers" else None
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    meter = Meter(total)
    if matchers is not None:
        _each(consumer, total, meter, matchers.evaluate)
    elif mode == "loads":
        _each(consumer, total, meter, orjson.loads)
    elif mode == "bare":
        _nothing(consumer, total, meter)
    else:
        raise SystemExit(f"{mode}: no such mode")
    _check(consumer, topic, list(partitions), total)
    print(json.dumps(meter.measured(matchers.found if matchers else set()).as_json()))
    consumer.close()


def _nothing(consumer: Any, total: int, meter: Meter) -> None:
    count = 0
    while count < total:
        count += len(consumer.consume(BATCH, 1.0))
        if count >= meter.next_at:
            meter.mark(count)


def _each(consumer: Any, total: int, meter: Meter, work: Callable[[bytes], object]) -> None:
    count = 0
    while count < total:
        for message in consumer.consume(BATCH, 1.0):
            work(message.value())
            count += 1
        if count >= meter.next_at:
            meter.mark(count)


def _check(consumer: Any, topic: str, partitions: list[int], total: int) -> None:
    """Every record was a record: the loops count errors too, for a look at each has its price."""
    places = consumer.position([TopicPartition(topic, number) for number in partitions])
    consumed = sum(max(place.offset, 0) for place in places)
    if consumed != total:
        raise KafkaException(f"consumed {consumed:,} of {total:,} records")


if __name__ == "__main__":
    main(*sys.argv[1:])
