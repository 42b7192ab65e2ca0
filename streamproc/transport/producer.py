"""Faust's Producer on confluent-kafka: idempotent, and it forgets no failed delivery.

Law of the file: once the broker has refused one output for good, ``confirm`` raises for ever, so
that nothing is committed past it; and the worker crashes, so that it is produced again after the
restart. ``confirm`` waits for the outputs produced before it and for no others: a steady stream
of alerts cannot hold a commit up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as KafkaProducer
from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, RecordMetadata

from streamproc.ops.counters import PRODUCE_BUCKETS_S, Histogram
from streamproc.transport.event_loop import call_soon
from streamproc.transport.faults import DeliveryFailedError, DeliveryPendingError, reason_of
from streamproc.transport.options import TransportOptions, options_of
from streamproc.transport.settings import bootstrap_servers, producer_settings

logger = logging.getLogger(__name__)

DeliveryReport = Callable[[KafkaError | None, Any], None]

POLL_S = 0.1
FULL_QUEUE_PAUSE_S = 0.01
BUFFER_PAUSE_S = 0.01
STOP_FLUSH_S = 10.0


class Outgoing(NamedTuple):
    """One record to be produced.

    Attributes:
        topic: Where to.
        key: Chooses the partition, unless ``partition`` is given.
        value: The content; None for a tombstone.
        headers: Record headers, in order.
        partition: Number of the partition; None: the partitioner's choice.
        timestamp_ms: Its time, milliseconds since the epoch; 0: when it is produced.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    timestamp_ms: int = 0


class Epoch:
    """Outputs between two confirmations; produced by the loop, reported by the poll thread."""

    __slots__ = ("_owner", "closed", "produced", "reported")

    def __init__(self, owner: Producer) -> None:
        self._owner = owner
        self.closed = False
        self.produced = 0
        self.reported = 0

    @property
    def complete(self) -> bool:
        """Every output of a closed epoch is acknowledged or refused."""
        return self.closed and self.produced == self.reported

    def report(self, error: KafkaError | None, message: Any) -> None:
        """Take one delivery report (poll thread)."""
        self._owner.count_report(error, message)
        self.reported += 1
        if self.complete:
            self._owner.epoch_complete()


class Producer(FaustProducer):
    """Produces outputs, replies and changelogs; ``confirm`` tells whether they arrived."""

    logger = logger
    allow_headers = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options: TransportOptions = options_of(self.app)
        self._counters = self.options.counters
        self._broker_errors = self.options.broker_errors
        self._kafka: KafkaProducer | None = None
        self._halted = False
        self._failure: DeliveryFailedError | None = None
        self._waiting = 0  # tasks that wait for room in the queue
        self._blocked_until_s: float | None = None
        self._epoch = Epoch(self)
        self._closed_epochs: list[Epoch] = []
        self._reported = asyncio.Event()

    @property
    def message_bytes_max(self) -> int:
        """Largest record in bytes (key, value, headers); cut an output before it is produced."""
        return self.options.message_bytes_max

    # -- lifecycle -----------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Connect and start the thread that takes delivery reports."""
        await super().on_start()
        self._running_loop = asyncio.get_running_loop()
        self._use(self._new_client())

    def _new_client(self) -> KafkaProducer:
        settings = producer_settings(
            bootstrap_servers(self.transport.url), self.app.conf, self.options
        )
        return KafkaProducer(
            {**settings, "error_cb": self._error}, logger=logging.getLogger("streamproc.kafka")
        )

    def _use(self, kafka: KafkaProducer) -> None:
        self._kafka = kafka
        self._thread = threading.Thread(
            target=self._poll, args=(kafka,), name="streamproc-producer", daemon=True
        )
        self._thread.start()

    async def renew(self) -> bool:
        """Go on with a new client of the settings as they are now; False: not yet.

        Only between two outputs, when the old client has nothing on its way: of two clients
        nobody knows whose record is written first.
        """
        if self._kafka is None:
            return True
        new = self._new_client()
        end = time.monotonic() + self.options.flush_timeout_s
        while len(self._kafka) or self._waiting:
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(BUFFER_PAUSE_S)
        self._use(new)  # the old one's thread sees that it is no longer in use
        return True

    def set_login(self, username: str, password: str) -> None:
        """Log in with these from the next connection on."""
        if self._kafka is not None:
            self._kafka.set_sasl_credentials(username, password)

    async def on_stop(self) -> None:
        """Wait a bounded time for what is on its way, and say what was not delivered."""
        await super().on_stop()
        if self._kafka is None:
            return
        loop = asyncio.get_running_loop()
        left = await loop.run_in_executor(None, self._kafka.flush, STOP_FLUSH_S)
        if left:
            logger.error("%d outputs not delivered at the stop; not committed, so repeated", left)
        self._halted = True
        await loop.run_in_executor(None, self._thread.join, 2 * POLL_S + 1)

    def _poll(self, kafka: KafkaProducer) -> None:
        while not self._halted and kafka is self._kafka:
            try:
                kafka.poll(POLL_S)
            except KafkaException as error:  # a fatal one is raised, too
                self._error(error.args[0])

    # -- producing -----------------------------------------------------------------------------

    def produce_nowait(self, output: Outgoing, on_acked: Callable[[], None] | None = None) -> None:
        """Queue one output; whether it arrived is known at ``confirm``.

        ``on_acked`` is called, by the producer's thread, when the broker has it.

        Raises:
            BufferError: The queue is full; use ``produce``, which waits.
            DeliveryFailedError: An earlier output was refused; the worker is going down.
            KafkaException: The output is refused at once, larger than ``message_bytes_max``.
        """
        self._queue(output, _reporting(self._epoch, on_acked))

    async def produce(self, output: Outgoing, on_acked: Callable[[], None] | None = None) -> None:
        """Queue one output and wait for room if the queue is full; as ``produce_nowait``."""
        try:
            self.produce_nowait(output, on_acked)
        except BufferError:
            await self._queue_when_room(output, lambda epoch: _reporting(epoch, on_acked))

    def produce_aside(
        self,
        topic: str,
        value: bytes,
        headers: Sequence[tuple[str, bytes]],
        partition: int,
        report: DeliveryReport,
    ) -> None:
        """Queue a record that no offset waits for and whose refusal ends nothing.

        Raises:
            BufferError: The queue is full.
            KafkaException: It is refused at once.
            RuntimeError: The producer is not started.
        """
        if self._kafka is None:
            raise RuntimeError("the producer is not started")
        self._kafka.produce(
            topic, value, None, partition, on_delivery=report, headers=list(headers) or None
        )

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        """Queue one output for Faust (``topic.send``, changelogs); the future is its delivery."""
        future: asyncio.Future[RecordMetadata] = self._running_loop.create_future()
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        output = Outgoing(topic, key, value, list(pairs), partition, int((timestamp or 0) * 1000))
        await self._queue_when_room(
            output, lambda epoch: _settling(epoch, future, self._running_loop)
        )
        return future

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """Queue one output and wait until the broker has it."""
        return await (await self.send(*args, **kwargs))

    async def _queue_when_room(
        self, output: Outgoing, report: Callable[[Epoch], DeliveryReport]
    ) -> None:
        self._waiting += 1
        try:
            while True:
                try:
                    # The epoch of the moment: it may have been closed while we waited.
                    self._queue(output, report(self._epoch))
                except BufferError:
                    await asyncio.sleep(FULL_QUEUE_PAUSE_S)
                    self._blocked_until_s = time.monotonic()
                else:
                    return
        finally:
            self._waiting -= 1

    def _queue(self, output: Outgoing, report: DeliveryReport) -> None:
        if self._failure is not None:
            raise self._failure
        if self._kafka is None:
            raise RuntimeError("the producer is not started")
        self._kafka.produce(
            output.topic,
            output.value,
            output.key,
            -1 if output.partition is None else output.partition,
            on_delivery=report,
            timestamp=output.timestamp_ms,
            headers=list(output.headers) or None,
        )
        self._epoch.produced += 1

    def blocked_until_s(self) -> float | None:
        """Return until when an agent waited for room in the queue; None if none ever did.

        Monotonic seconds, any thread. The watchdog does not blame an agent for a broker.
        """
        return self._blocked_until_s

    def is_full(self) -> bool:
        """Say whether somebody waits for room in the queue now."""
        return self._waiting > 0

    def is_up(self) -> bool:
        """Say whether it runs and no output was refused."""
        return self._kafka is not None and self._failure is None

    def pending(self) -> int:
        """Return how many records are queued and not acknowledged."""
        return 0 if self._kafka is None else len(self._kafka)

    # -- delivery ------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Wait as ``confirm`` does, for Faust (stop, revocation, recovery), and raise nothing.

        Outputs that are still on their way are not committed, so nothing is lost by going on.
        """
        try:
            await self.confirm()
        except (DeliveryFailedError, DeliveryPendingError) as error:
            logger.warning("going on without a commit: %s", error)

    async def confirm(self) -> None:
        """Wait until the broker has every output produced before this call.

        Raises:
            DeliveryFailedError: It refused one, now or ever.
            DeliveryPendingError: It has not answered within ``flush_timeout_s``.
        """
        if self._kafka is None:
            return
        end = time.monotonic() + self.options.flush_timeout_s
        # Faust's own buffer (changelogs) first; its flush gives up after a tenth of a second.
        while self.buffer.size or self._waiting:
            self._raise_failure()
            if time.monotonic() >= end:
                raise DeliveryPendingError(f"{self.buffer.size} outputs wait for room")
            await asyncio.sleep(BUFFER_PAUSE_S)
        self._epoch.closed = True
        self._closed_epochs.append(self._epoch)
        self._epoch = Epoch(self)
        while not self._all_reported():
            self._raise_failure()
            self._reported.clear()
            if self._all_reported():
                break
            try:
                await asyncio.wait_for(self._reported.wait(), max(end - time.monotonic(), 0.001))
            except TimeoutError:
                if time.monotonic() >= end:
                    raise DeliveryPendingError(
                        f"outputs not acknowledged within {self.options.flush_timeout_s:.0f} s"
                    ) from None
        self._raise_failure()

    def _all_reported(self) -> bool:
        self._closed_epochs = [epoch for epoch in self._closed_epochs if not epoch.complete]
        return not self._closed_epochs

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def count_report(self, error: KafkaError | None, message: Any) -> None:
        """Count a delivery report; the first failure crashes the worker (poll thread)."""
        topic = message.topic()
        if error is None:
            self._broker_errors.worked("producer")
            self._counters.records_produced[topic] += 1
            seconds = self._counters.produce_seconds
            if topic not in seconds:
                seconds[topic] = Histogram(PRODUCE_BUCKETS_S)
            seconds[topic].observe(message.latency() or 0.0)
            return
        self._counters.produce_errors[topic, reason_of(error)] += 1
        self._broker_errors.end_for(error)
        failure = DeliveryFailedError(f"the broker refused an output for {topic}: {error.str()}")
        call_soon(self._running_loop, lambda: self._fail(failure))
        # Set here too: the epoch may be complete before the loop gets to it.
        self._failure = self._failure or failure

    def epoch_complete(self) -> None:
        """Wake ``confirm`` (poll thread)."""
        call_soon(self._running_loop, self._reported.set)

    def _error(self, error: KafkaError) -> None:
        self._broker_errors.tell(error, "producer")
        if error.fatal():
            logger.error("Kafka producer: %s", error.str())
            self._broker_errors.end_for(error)
            failure = DeliveryFailedError(f"the producer cannot go on: {error.str()}")
            call_soon(self._running_loop, lambda: self._fail(failure))

    def _fail(self, failure: DeliveryFailedError) -> None:
        self._failure = self._failure or failure
        self._reported.set()
        if not self.crashed:
            self._crash_task = asyncio.ensure_future(self.crash(failure))

    # -- the rest of Faust's interface -----------------------------------------------------------

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Refuse: the partitioner of librdkafka chooses when the output is produced."""
        raise NotImplementedError("the partition of a key is chosen by librdkafka")

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the worker creates no topics."""

    def supports_headers(self) -> bool:
        """Say yes."""
        return True


def _reporting(epoch: Epoch, on_acked: Callable[[], None] | None) -> DeliveryReport:
    """Make a delivery report that also tells whoever asked."""
    if on_acked is None:
        return epoch.report

    def report(error: KafkaError | None, message: Any) -> None:
        epoch.report(error, message)
        if error is None:
            on_acked()

    return report


def _settling(
    epoch: Epoch, future: asyncio.Future[RecordMetadata], loop: asyncio.AbstractEventLoop
) -> DeliveryReport:
    """Make a delivery report that also settles Faust's future."""

    def report(error: KafkaError | None, message: Any) -> None:
        epoch.report(error, message)
        topic, partition = message.topic(), message.partition()
        metadata = RecordMetadata(topic, partition, TP(topic, partition), message.offset())

        def settle() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(metadata)
            else:
                future.set_exception(KafkaException(error))

        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:
            logger.debug("event loop closed before a delivery report")

    return report
