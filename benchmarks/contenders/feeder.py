"""A shipper at a steady pace: writes events and learns when the broker appended the bad ones.

Run: ``python -m benchmarks.contenders.feeder BOOTSTRAP TOPIC RATE SECONDS FIRST WORKER``; prints
JSON. RATE is events per second; 0 is as many as the worker follows, whose status is at port
WORKER. FIRST is the number of the first alert.

Law of the file: no event is made while the clock runs but those that raise alerts; the times of
these are the broker's (the topic stamps records when it appends them).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer

from benchmarks.contenders.worker import processed, read_page
from benchmarks.session import produce
from benchmarks.traffic.stream import Traffic

POOL = 8_000  # ordinary events, written again and again
ALERT_EVERY = 400
TICK_S = 0.002
LEAD = 20_000  # records that the worker may be behind when the pace is its own
LOOK_S = 0.1


@dataclass
class Feed:
    """What has been written so far.

    Attributes:
        sent: Events.
        appended_ms: When the broker appended the event of each alert, by the alert's name.
    """

    producer: Any
    topic: str
    traffic: Traffic
    pool: list[tuple[bytes, bytes]]
    first: int
    sent: int = 0
    appended_ms: dict[str, int] = field(default_factory=dict)

    def write(self, count: int) -> None:
        """Write so many events."""
        for number in range(self.sent, self.sent + count):
            if number % ALERT_EVERY == ALERT_EVERY // 2:
                key, value = self.traffic.attack(self.first + number)
                planted = self.traffic.planted[-1]
                name = f"{planted.rule_id}|{planted.host_id}|{planted.event_id}"
                produce(self.producer, self.topic, key, value, on_delivery=self._noting(name))
            else:
                produce(self.producer, self.topic, *self.pool[number % POOL])
        self.sent += count
        self.producer.poll(0)

    def _noting(self, name: str) -> Any:
        def note(error: Any, message: Any) -> None:
            kind, at_ms = message.timestamp()
            if error is not None or kind != TIMESTAMP_LOG_APPEND_TIME:
                raise RuntimeError(f"no time of the broker: {error or kind}")
            self.appended_ms[name] = at_ms

        return note


def main(bootstrap: str, topic: str, rate: str, seconds: str, first: str, worker: str) -> None:
    """Feed, print."""
    # Its own alerts are written one by one: the pool holds none.
    pool = list(Traffic(alert_every=1 << 40).events(POOL))
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "queue.buffering.max.kbytes": 65_536,
        }
    )
    feed = Feed(producer, topic, Traffic(seed=int(first) + 1), pool, int(first))
    began = time.monotonic()
    if float(rate):
        late_s = _steady(feed, float(rate), float(seconds))
    else:
        late_s = 0.0
        _following(feed, worker, float(seconds))
    took_s = time.monotonic() - began
    if producer.flush(60):
        raise RuntimeError("the broker did not take all events")
    print(
        json.dumps(
            {
                "sent": feed.sent,
                "seconds": took_s,
                "late_s": late_s,
                "appended_ms": feed.appended_ms,
            }
        )
    )


def _steady(feed: Feed, rate: float, seconds: float) -> float:
    """Write at a pace; returns how late the latest tick was, seconds."""
    began = time.monotonic()
    late_s = 0.0
    while (now := time.monotonic() - began) < seconds:
        due = int(now * rate) - feed.sent
        late_s = max(late_s, due / rate - TICK_S)
        if due:
            feed.write(due)
        time.sleep(TICK_S)
    return late_s


def _following(feed: Feed, worker: str, seconds: float) -> None:
    """Write as fast as the worker follows."""
    began = looked = time.monotonic()
    done = start = _done(worker)
    while (now := time.monotonic()) - began < seconds:
        if now - looked > LOOK_S:
            done, looked = _done(worker), now
        if feed.sent - (done - start) < LEAD:
            feed.write(200)
        else:
            time.sleep(LOOK_S / 4)


def _done(worker: str) -> int:
    return processed(read_page(int(worker), "/status"))


if __name__ == "__main__":
    main(*sys.argv[1:])
