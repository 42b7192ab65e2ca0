"""The thread that owns the confluent-kafka Consumer.

Law of the file: every call on the Consumer is made here, by this thread. Since confluent-kafka
2.16 a method waits for a ``consume()`` that another thread has in flight, and a busy loop starves
the caller for good; so the event loop posts commands, and this thread serves them between two
``consume()`` calls, and while it waits inside a revocation for the event loop.

Second law: inside a callback no method is called that confluent-kafka brackets with a call state
of its own (``list_topics``, ``set_sasl_credentials``, ``poll``, ``consume``): it forgets the outer
call's, and the next callback of that call, for a log line or an error, aborts the process. So the
callback of an assignment only takes note of it, and whatever may take long comes after it, while
the consumer goes on polling: a broker may be away for an hour, and the group may think otherwise.

Kafka's rebalance protocol is eager: every revocation takes all partitions.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from faust.types import TP

from streamproc.transport.batch import batches_of
from streamproc.transport.event_loop import call_soon
from streamproc.transport.listener import Handed, Listener
from streamproc.transport.options import TransportOptions
from streamproc.transport.positions import Positions
from streamproc.transport.starts import committed_starts

logger = logging.getLogger(__name__)

Command = Callable[[Any], Any]
"""A function of the Consumer, run on the poll thread."""

IDLE_S = 0.05  # between two looks at the group's events while no records are wanted
REFRESH_S = 1.0  # between two looks at ends and gaps
LEAVE_TIMEOUT_S = 5.0
# Between two hand-overs, at least. One costs as much as a hundred records do, and records trickle
# in one by one; but the first after a pause waits for no others.
APART_S = 0.004
# Read at a time, however many records that is: a few events of a megabyte do not fill the memory.
READ_BYTES_MAX = 8 * 1024 * 1024
FIRST_READ_RECORDS = 500  # while nothing is known of their size
_ERROR = Message.error


class _Assignment:
    """Partitions that the group has given us and that we have not taken over yet."""

    def __init__(self, partitions: list[TopicPartition]) -> None:
        self.partitions = partitions
        self.taken: concurrent.futures.Future[None] | None = None  # the event loop's part


class Poller:
    """Owns the Consumer: hands batches to ``ready``, serves commands, tells of rebalances.

    Attributes:
        ready: Batches for the event loop, oldest first.
        assigned: Partitions that are ours.
        generation: Number of the assignment, counted from 0; messages carry it.
        partition_counts: Partitions of each topic in the assignment.
        records_at_a_time: How many records the next read asks for.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        options: TransportOptions,
        listener: Listener,
        *,
        starts_at_end: bool,
    ) -> None:
        """Make the Consumer (raises KafkaException on a wrong setting) without starting."""
        self._options = options
        self._listener = listener
        self._start_offset = OFFSET_END if starts_at_end else OFFSET_BEGINNING
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._commands: deque[tuple[Command, asyncio.Future[Any] | None]] = deque()
        self._carried: list[Message] = []
        self._positions = Positions(options.counters, listener.acks_enabled)
        self._in_flight = 0
        self._flows = False
        self._halted = False
        self._ended = False
        self._one_topic = False
        self._refresh_at = 0.0
        self._handed_over_s = 0.0
        self.ready: deque[Handed] = deque()
        self.assigned: frozenset[TP] = frozenset()
        self.generation = 0
        self.partition_counts: dict[str, int] = {}
        self.records_at_a_time = min(options.batch_records, FIRST_READ_RECORDS)
        self._topics: list[str] = []
        self._assignment: _Assignment | None = None
        self._renewal: tuple[Mapping[str, Any], asyncio.Future[Any]] | None = None
        self._login: tuple[str, str] | None = None
        self._consumer = self._new_consumer(settings)
        self._thread = threading.Thread(target=self._run, name="streamproc-poller", daemon=True)

    # -- from the event loop -------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self, timeout_s: float) -> None:
        """Serve what was posted, leave the group and end the thread."""
        self._halted = True
        self._notify()
        await self._loop.run_in_executor(None, self._thread.join, timeout_s)
        if self._thread.is_alive():
            logger.warning("the Kafka consumer did not close within %.0f s", timeout_s)

    def call(self, command: Command) -> asyncio.Future[Any]:
        """Run ``command`` on the poll thread; the future has its result or exception."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._post(command, future)
        return future

    def tell(self, command: Command) -> None:
        """Run ``command`` on the poll thread and do not wait; a failure is logged."""
        self._post(command, None)

    def subscribe(self, topics: Sequence[str]) -> asyncio.Future[Any]:
        """Join the group for ``topics``, in place of an earlier subscription."""
        self._one_topic = len(topics) == 1
        self._topics = list(topics)
        return self.call(self._join)

    def renew(self, settings: Mapping[str, Any]) -> asyncio.Future[Any]:
        """Go on with a new Consumer; for the listener it is a rebalance.

        The future has a KafkaException where librdkafka refuses the settings: the old one stays.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._renewal = (settings, future)
        self._notify()
        return future

    def set_login(self, username: str, password: str) -> None:
        """Log in with these from the next connection on."""
        self._login = (username, password)
        self._notify()

    def set_flow(self, flows: bool) -> None:
        """Let records come, or hold them back without touching what librdkafka prefetched."""
        self._flows = flows
        self._notify()

    def acquire(self, count: int = 1) -> None:
        """Count batches (or records of ordinary topics) as in flight."""
        with self._changed:
            self._in_flight += count

    def release(self) -> None:
        """Count one batch as no longer in flight."""
        with self._changed:
            self._in_flight -= 1
            if self._in_flight == self._options.batches_in_flight - 1:
                self._changed.notify()

    def release_all(self) -> None:
        """Count nothing as in flight: the partitions are gone."""
        with self._changed:
            self._in_flight = 0
            self._changed.notify()

    def seek(self, tp: TP, offset: int) -> asyncio.Future[Any]:
        """Move a partition and drop what was read of it and not handed over."""

        def command(consumer: Any) -> None:
            consumer.seek(TopicPartition(tp.topic, tp.partition, offset))
            self._positions.seek(tp, offset)
            self._carried = [m for m in self._carried if (m.topic(), m.partition()) != tp]

        return self.call(command)

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._halted:
                self._serve()
                if self._renewal is not None:
                    self._replace_consumer(*self._renewal)
                if self._login is not None:
                    login, self._login = self._login, None
                    self._consumer.set_sasl_credentials(*login)
                if self._assignment is not None:
                    self._take_over(self._assignment)
                if self._wanted():
                    generation = self.generation
                    messages = self._read()
                    # A rebalance may have happened inside the calls: what they return then was
                    # read under the old assignment, and the new one starts at what is committed.
                    if generation == self.generation:
                        self._hand_over(messages)
                else:
                    self._idle()
                if time.monotonic() >= self._refresh_at:
                    self._refresh_at = time.monotonic() + REFRESH_S
                    self._positions.refresh(self._consumer)
            self._serve()
            if self._options.leaves_group:
                self._leave()
            self._consumer.close()
        except Exception as error:  # noqa: BLE001 - the outermost frame of the thread
            # Bound to a name of its own: Python unbinds ``error`` at the end of this block.
            reason = error
            call_soon(self._loop, lambda: self._listener.poll_failed(reason))
        finally:
            self._ended = True
            self._reject_commands()

    def _new_consumer(self, settings: Mapping[str, Any]) -> Consumer:
        return Consumer(
            {**settings, "error_cb": self._error}, logger=logging.getLogger("streamproc.kafka")
        )

    def _join(self, consumer: Any) -> None:
        consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _replace_consumer(self, settings: Mapping[str, Any], future: asyncio.Future[Any]) -> None:
        """Let go as in a rebalance, close, and join with a new Consumer.

        A static member does not leave by closing: it comes back, and the group does not rebalance.
        """
        self._renewal = None
        try:
            new = self._new_consumer(settings)
        except KafkaException as error:
            self._settle(future, None, error)
            return
        old = self._consumer
        held = [TopicPartition(*tp) for tp in self.assigned]
        self._let_go(old, held, lost=False)
        old.close()
        self._consumer = new
        if self._topics:
            self._join(new)
        self._settle(future, None, None)

    def _read(self) -> list[Message]:
        """Take what is there, or wait for it, and what comes until a hand-over is due."""
        consume, count = self._consumer.consume, self.records_at_a_time
        messages: list[Message] = consume(count, 0)
        if not messages:
            messages = consume(1, self._options.consume_timeout_s)
        if 0 < len(messages) < count:
            left_s = max(self._handed_over_s + APART_S - time.monotonic(), 0)
            messages += consume(count - len(messages), left_s)
        return messages

    def _leave(self) -> None:
        """Leave the group, static member or not; ``close`` alone lets a static one stay.

        librdkafka sends no LeaveGroup for a static member that terminates (KIP-345), but does when
        it unsubscribes. It has forgotten its member id once that is on its way.
        """
        self._consumer.unsubscribe()
        end = time.monotonic() + LEAVE_TIMEOUT_S
        while self._consumer.memberid() and time.monotonic() < end:
            self._consumer.poll(IDLE_S)

    def _wanted(self) -> bool:
        return (
            self._flows
            and bool(self.assigned)
            and self._assignment is None
            and self._in_flight < self._options.batches_in_flight
            and not self._listener.commit_stalled()
        )

    def _idle(self) -> None:
        with self._changed:
            if not self._commands and not self._halted:
                self._changed.wait(IDLE_S)
        if self._commands or self._wanted():
            return
        # Keeps the membership alive and lets the rebalance callbacks run. A record that comes
        # out although none is wanted is carried into the next batch.
        generation = self.generation
        message = self._consumer.poll(0)
        if message is not None and generation == self.generation:
            self._carried.append(message)

    def _hand_over(self, messages: list[Message]) -> None:
        if self._carried:
            messages = self._carried + messages
            self._carried = []
        ends: list[Message] = []
        if any(map(_ERROR, messages)):
            messages = self._without_errors(messages, ends)
        handed = []
        batches = batches_of(messages, one_topic=self._one_topic) if messages else []
        if messages:
            size = max(sum(batch.value_bytes for batch in batches) // len(messages), 1)
            self.records_at_a_time = max(
                min(self._options.batch_records, READ_BYTES_MAX // size), 1
            )
        for batch in batches:
            if batch.tp in self.assigned:
                continues = self._positions.advance(batch)
                handed.append(Handed(self.generation, batch, not continues))
        for end in ends:
            self._positions.reached_end(_place(end), end.offset() or 0)
        if not handed:
            return
        self.acquire(len(handed))
        self._handed_over_s = time.monotonic()
        asleep = not self.ready
        self.ready.extend(handed)
        if asleep:
            call_soon(self._loop, self._listener.wake)

    def _without_errors(self, messages: list[Message], ends: list[Message]) -> list[Message]:
        """Return the records; tell of errors; ends of partitions go to ``ends``."""
        records = []
        for message, error in zip(messages, map(_ERROR, messages), strict=True):
            if error is None:
                records.append(message)
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                ends.append(message)
                continue
            if error.fatal() or error.code() == KafkaError._MAX_POLL_EXCEEDED:
                raise KafkaException(error)
            self._error(error)
        return records

    def _error(self, error: KafkaError) -> None:
        call_soon(self._loop, lambda: self._listener.kafka_error(error))

    # -- commands ------------------------------------------------------------------------------

    def _post(self, command: Command, future: asyncio.Future[Any] | None) -> None:
        self._commands.append((command, future))
        self._notify()
        if self._ended:  # nobody will serve it
            self._reject_commands()

    def _serve(self) -> None:
        while self._commands:
            command, future = self._commands.popleft()
            try:
                result = command(self._consumer)
            except Exception as error:  # noqa: BLE001 - belongs to whoever posted the command
                if future is None:
                    logger.warning("the Kafka consumer refused a command: %s", error)
                else:
                    self._settle(future, None, error)
            else:
                if future is not None:
                    self._settle(future, result, None)

    def _settle(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        call_soon(self._loop, settle)

    def _reject_commands(self) -> None:
        while self._commands:
            try:
                _, future = self._commands.popleft()
            except IndexError:  # the other thread was quicker
                return
            if future is not None:
                self._settle(future, None, ConnectionError("the Kafka consumer is closed"))

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # -- rebalances: these run inside consume() and poll() ---------------------------------------

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._assignment = _Assignment(partitions)
        consumer.assign([])  # the group is answered; what is read comes with the offsets

    def _take_over(self, assignment: _Assignment) -> None:
        """Go on with an assignment as far as it goes now; called again until it is through."""
        if assignment.taken is None:
            starts = committed_starts(self._consumer, assignment.partitions, self._error)
            if starts is not None:
                self._assign(starts)
                self._count_partitions(self._consumer)
                work = self._listener.partitions_assigned(self.generation, starts)
                assignment.taken = asyncio.run_coroutine_threadsafe(work, self._loop)
                assignment.taken.add_done_callback(lambda _: self._notify())
        elif assignment.taken.done():
            self._assignment = None
            assignment.taken.result()

    def _assign(self, starts: Mapping[TP, int | None]) -> None:
        self.generation += 1
        self._carried = []
        self.assigned = frozenset(starts)
        self._positions.assign(dict(starts))
        assignment = [
            TopicPartition(tp.topic, tp.partition, self._first_offset(tp, offset))
            for tp, offset in starts.items()
        ]
        if assignment:
            self._consumer.assign(assignment)
            # Until Faust has recovered its tables; it resumes them by itself.
            self._consumer.pause(assignment)

    def _first_offset(self, tp: TP, committed: int | None) -> int:
        if committed is not None:
            return committed
        # A changelog is read from where Faust seeks; its beginning is the safe default.
        if not self._listener.acks_enabled(tp.topic):
            return int(OFFSET_BEGINNING)
        return int(self._start_offset)

    def _count_partitions(self, consumer: Any) -> None:
        for topic in {tp.topic for tp in self.assigned} - self.partition_counts.keys():
            try:
                found = consumer.list_topics(topic, timeout=5.0).topics.get(topic)
            except KafkaException as error:
                logger.warning("%s: number of partitions not known: %s", topic, error)
                continue
            if found is not None and found.partitions:
                self.partition_counts[topic] = len(found.partitions)

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._let_go(consumer, partitions, lost=False)

    def _on_lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._let_go(consumer, partitions, lost=True)

    def _let_go(self, consumer: Any, partitions: list[TopicPartition], *, lost: bool) -> None:
        self._assignment = None  # what is not taken over yet never will be
        tps = {TP(place.topic, place.partition) for place in partitions} & self.assigned
        if self._halted or not tps:
            return  # closing: everything was committed before
        if lost:
            self.generation += 1  # too late to commit anything
        future = self._ask_loop(
            self._listener.partitions_revoked(tps, lost=lost),
            2 * (self._options.drain_timeout_s + self._options.flush_timeout_s),
        )
        self.generation += 1
        self.assigned -= tps
        self._carried = []
        self._positions.drop(tps)
        consumer.unassign()
        if future.done():
            future.result()
        else:
            logger.error("partitions were given up before the agents had let go of them")

    def _ask_loop(self, work: Coroutine[Any, Any, None], timeout_s: float) -> Any:
        """Have the event loop do ``work``, serving its commands (commit, pause) meanwhile."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.add_done_callback(lambda _: self._notify())
        end = time.monotonic() + timeout_s
        while not future.done() and time.monotonic() < end:
            with self._changed:
                if not self._commands and not future.done():
                    self._changed.wait(IDLE_S)
            self._serve()
        return future


def _place(message: Any) -> TP:
    return TP(message.topic(), message.partition())
