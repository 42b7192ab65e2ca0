"""The demonstration's events, sent to a Kafka of the user's own: something to try a set-up with.

Law of the file: the same events as the demonstration's, and no more of them on the way than the
brokers have acknowledged; nothing is read, so what becomes of them is for the user to look at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamproc.config import Settings
from streamproc.demo.feed import Feed
from streamproc.demo.pace import Pace
from streamproc.demo.run import DemoFailedError, DemoOptions
from streamproc.demo.traffic import Traffic

_TICK_S = 0.02


@dataclass(frozen=True, slots=True)
class SentTraffic:
    """What was sent, and what is to be expected of it.

    Attributes:
        events: Events that the brokers have acknowledged.
        hosts: Hosts that they came from.
        alerts: How many of them the shipped rules must answer with an alert.
        near_misses: How many look like those and must raise none.
    """

    events: int
    hosts: int
    alerts: int
    near_misses: int


def send_traffic(settings: Settings, options: DemoOptions) -> SentTraffic:
    """Send an ordinary day with the attack in it; returns when the brokers have all of it.

    Args:
        settings: Which brokers and topic, and how to log in.
        options: How long, how fast, which events; the worker's command is not looked at.

    Raises:
        DemoFailedError: An event could not be delivered.
    """
    traffic = Traffic(options.seed)
    feed = Feed(
        settings.bootstrap_servers, settings.events_topic, settings.librdkafka_client_options()
    )
    began_s = time.monotonic()
    pace = Pace(options.rate, began_s)
    passed_s = 0.0
    while passed_s < options.seconds and not feed.failure:
        now_s = time.monotonic()
        passed_s = min(now_s - began_s, options.seconds)
        feed.send(traffic.story(passed_s / options.seconds, time.time()))
        feed.send(traffic.everyday(pace.allowance(now_s, feed.waiting), time.time()))
        time.sleep(max(0.0, _TICK_S - (time.monotonic() - now_s)))
    if not feed.failure:
        feed.flush()
    if feed.failure:
        raise DemoFailedError(feed.failure)
    return SentTraffic(feed.sent, traffic.hosts_count, len(traffic.expected), traffic.near_misses)
