"""The event loop's heartbeat: says that it runs, how late it was, and how far processing has come.

Law of the file: it takes microseconds and waits for nobody. What it writes are plain values, which
the metrics and ``streamproc.ops.health`` read from other threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from streamproc.ops.health import BEAT_S
from streamproc.transport.probe import Probe
from streamproc.transport.settings import bootstrap_servers

logger = logging.getLogger(__name__)

LAG_WINDOW_S = 30.0
"""The longest delay of the loop is kept for one window and the next."""


class Heartbeat:
    """Beats while a consumer runs; made by the consumer.

    Args:
        consumer: ``streamproc.transport.consumer.Consumer``.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._app = consumer.app
        options = consumer.options
        self._counters = options.counters
        self._health = options.health
        self._health.oldest_batch_at_s = self._oldest_batch_at_s
        self._health.excused_until_s = lambda: self._app.producer.blocked_until_s()
        bootstrap = bootstrap_servers(consumer.transport.url)
        self._probe = Probe(
            {**options.client, "bootstrap.servers": bootstrap},
            self._counters,
            self._health,
            consumer.batch_topics,
            options.broker_errors,
            options.wanted_rights,
        )
        self._task: asyncio.Future[None] | None = None
        self._errors = 0
        self._latest_s = 0.0
        self._latest_before_s = 0.0
        self._window_ends_s = 0.0

    def start(self) -> None:
        """Beat from now on."""
        self._probe.start()
        self._task = asyncio.ensure_future(self._run())

    def renew(self) -> None:
        """Ask the brokers by a new client from now on."""
        self._probe.renew()

    def stop(self) -> None:
        """Beat no more; the worker counts as stopping."""
        self._health.rest()
        self._probe.stop()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            self._health.beat()
            self._counters.heartbeat_s = time.time()
            try:
                self._look()
            except Exception:
                logger.exception("the state of the worker could not be noted")
            due_s = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self._note_delay(time.monotonic() - due_s)

    def _note_delay(self, late_s: float) -> None:
        now_s = time.monotonic()
        if now_s >= self._window_ends_s:
            self._latest_before_s, self._latest_s = self._latest_s, 0.0
            self._window_ends_s = now_s + LAG_WINDOW_S
        self._latest_s = max(self._latest_s, late_s)
        self._counters.loop_lag_s = max(self._latest_s, self._latest_before_s)

    def _look(self) -> None:
        producer, health, counters = self._app.producer, self._health, self._counters
        counters.outputs_pending = producer.pending()
        health.is_producer_up = producer.is_up()
        health.is_held_back = self._consumer.commit_stalled() or producer.is_full()
        counters.is_held_back = health.is_held_back
        self._note_positions()
        health.look(counters.partitions, waits=self._waits())

    def _waits(self) -> bool:
        """Say whether somebody else is the reason when nothing moves."""
        errors = sum(self._counters.kafka_errors.values())
        has_failed, self._errors = errors != self._errors, errors
        return (
            has_failed
            or bool(self._consumer.options.broker_errors.standing())
            or self._health.is_held_back
            or self._app.rebalancing
            or not self._health.has_assignment
            or "brokers" in self._health.unready()
        )

    def _note_positions(self) -> None:
        logs = self._consumer.ack_logs()
        now_ms = time.time_ns() // 1_000_000
        for partition, lag in self._counters.partitions.items():
            log = logs.get(partition)
            if log is not None and log.watermark is not None:
                lag.position = log.watermark
                lag.timestamp_ms = log.timestamp_ms
            lag.next_timestamp_ms = 0 if log is None else log.oldest_timestamp_ms()
            if lag.records() == 0:
                lag.caught_up_ms = now_ms

    def _oldest_batch_at_s(self) -> float | None:
        """Return when the oldest batch that no agent has finished was handed out (any thread)."""
        oldest = [log.oldest_at_s() for log in self._consumer.ack_logs().values()]
        return min((at_s for at_s in oldest if at_s is not None), default=None)
