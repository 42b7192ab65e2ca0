"""The agent that detects: batches of events in, alerts, context requests and dead letters out.

Law of the file: a batch is acknowledged after its outputs are queued, never before and never in
part; an agent that raises ends the worker, and its batch is read again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from streamproc.ops.counters import Counters
from streamproc.transport.batch import each_batch
from streamproc.transport.canary import Canary
from streamproc.transport.ends import PartitionEnds
from streamproc.transport.in_force import RulesInForce
from streamproc.transport.publisher import Publisher

CLOCK_SKEW_MS = 5_000
"""How far the clocks of the broker and the worker may differ, milliseconds.

An idle partition's time stays this far behind the worker's, so that the next record, which bears
the broker's time, does not find time ahead of it.
"""

TURN_RECORDS = 256
"""How many records are evaluated before others have their turn of the event loop.

A batch is never divided. A turn costs as much as some ten records do, and more while the poll
thread waits for the interpreter; while records trickle in, batches are small.
"""


def define_detect_agent(
    app: Any, topic: Any, rules: RulesInForce, publisher: Publisher, counters: Counters
) -> Any:
    """Define the agent ``detect`` on the events topic and return it."""

    @app.agent(topic, name="detect")  # type: ignore[untyped-decorator]
    async def detect(stream: Any) -> None:
        since_turn = 0
        async for batch in each_batch(stream):
            if batch.tp not in app.consumer.assignment():
                continue  # lost meanwhile, and with it the state of its sequences
            now_ms = time.time_ns() // 1_000_000
            detector = rules.detector  # the same for all of the batch
            rules.saw(batch)
            began_s = time.perf_counter()
            with detector.sequences.moving(batch.tp):
                detections = detector.process(batch, now_ms)
                evaluated_s = time.perf_counter()
                await publisher.publish(detections, now_ms)
            counters.phases["evaluate"].observe(evaluated_s - began_s)
            counters.phases["produce"].observe(time.perf_counter() - evaluated_s)
            _count_age(counters, batch, now_ms)
            batch.ack()
            # A hand-over holds many batches, and nothing above waits while there is room for the
            # outputs: signals, commits and changed rules have their turn meanwhile.
            since_turn += len(batch)
            if since_turn >= TURN_RECORDS:
                since_turn = 0
                await asyncio.sleep(0)

    return detect


def define_clock(app: Any, rules: RulesInForce, publisher: Publisher, ends: PartitionEnds) -> None:
    """Let time pass in partitions that are read to their end, once a second.

    What waits there for an earlier event, or for the end of a span, would wait for ever otherwise.
    """

    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def clock(app: Any) -> None:
        consumer, sequences = app.consumer, rules.detector.sequences
        if consumer is None or app.rebalancing:
            return
        asked_ms = time.time_ns() // 1_000_000
        waiting = [partition for partition, state in sequences.items() if any(state.scopes())]
        for partition, end in (await ends.of(waiting)).items():
            if app.rebalancing:
                break
            if sequences.holds(partition) and consumer.is_read_to(partition, end):
                with sequences.moving(partition):
                    idle_ms = asked_ms - CLOCK_SKEW_MS
                    found = rules.detector.advance(partition, idle_ms, asked_ms)
                    await publisher.publish(found, asked_ms)
        await consumer.write_state()


def define_canary(app: Any, canary: Canary, interval_s: float) -> None:
    """Send a synthetic event every ``interval_s`` seconds."""

    @app.timer(interval=interval_s)  # type: ignore[untyped-decorator]
    async def send(app: Any) -> None:
        if app.consumer is not None and not app.rebalancing:
            canary.send(app.producer)


def _count_age(counters: Counters, batch: Any, now_ms: int) -> None:
    """Count the batch at the age of its oldest record: never better than it was."""
    oldest_ms = batch.oldest_timestamp_ms
    if oldest_ms:
        counters.event_age.observe(max(now_ms - oldest_ms, 0) / 1000, len(batch))
