"""Faust's Consumer on confluent-kafka: acknowledgement, commits, rebalances.

Law of the file: an offset is committed only after every record before it is acknowledged and every
output that came from them is acknowledged by the broker; ``_committed_offset`` moves only when a
commit succeeded. Everything here runs on the event loop; the confluent Consumer belongs to the
``Poller``.

Underscored names without a leading comment are Faust's own: its recovery, streams and conductor
read or call them (tests/transport/test_faust_contract.py holds each).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from faust.assignor.client_assignment import ClientAssignment
from faust.types import TP
from faust.types.enums import ProcessingGuarantee

from streamproc.errors import ConfigError
from streamproc.ops.counters import Partition
from streamproc.refusals import refusal_of
from streamproc.transport.ack import AckLog, NoIndex
from streamproc.transport.broker_errors import GROUP
from streamproc.transport.faults import (
    DeliveryFailedError,
    DeliveryPendingError,
    Verdict,
    commit_reason,
    commit_verdict,
)
from streamproc.transport.handover import DeliveringConsumer
from streamproc.transport.heartbeat import Heartbeat
from streamproc.transport.poller import Poller
from streamproc.transport.settings import bootstrap_servers, consumer_settings
from streamproc.transport.watchdog import Watchdog

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 10.0
ASSIGN_TIMEOUT_S = 60.0  # Faust's part of an assignment
# Collect the youngest generation every 100,000 containers instead of every 700: a batch makes
# some thousand short-lived messages, and each pass would walk them in vain.
GC_THRESHOLDS = (100_000, 20, 100)


class Consumer(DeliveringConsumer):
    """Hands record batches (or single records of ordinary topics) to Faust's conductor."""

    logger = logger

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        guarantee: Any = self.app.conf.processing_guarantee
        if guarantee == ProcessingGuarantee.EXACTLY_ONCE:
            raise ConfigError(
                "processing_guarantee=exactly_once is not supported by the streamproc transport;"
                " alerts have deterministic ids, so that a repeated one replaces the first"
            )
        self._watchdog: Watchdog | None = None
        self._heartbeat: Heartbeat | None = None
        self._rebalance_from_s: float | None = None
        self._commit_attempt_s: float | None = None
        self._lets_go = False
        self._producer_is_old = False
        self._heap_frozen = False
        self._taking_over = asyncio.Lock()
        self._restoring: asyncio.Future[None] | None = None
        no_index = NoIndex()
        # In place of Faust's list and set of offsets; see the ack module.
        self._acked: Any = defaultdict(self._new_log)
        self._acked_index: Any = defaultdict(lambda: no_index)

    def _new_log(self) -> AckLog:
        return AckLog(self._on_done)

    def _on_done(self) -> None:
        if self._poller is not None:
            self._poller.release()

    # -- lifecycle -----------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the poll thread and the watchdog; a client-only app gets neither."""
        await super().on_start()
        if self.app.client_only:
            return
        reset = self.app.conf.consumer_auto_offset_reset
        self._poller = Poller(
            consumer_settings(bootstrap_servers(self.transport.url), self.app.conf, self.options),
            self.options,
            self,
            starts_at_end=reset == "latest",
        )
        self._poller.start()
        self._watchdog = Watchdog(
            self.options,
            stall=self.options.health.stall,
            crashed=lambda: bool(self.app.crashed or self.crashed),
        )
        self._watchdog.start()
        self._heartbeat = Heartbeat(self)
        self._heartbeat.start()

    async def on_stop(self) -> None:
        """Let agents finish, commit, leave the group."""
        self.options.health.is_stopping = True
        self._give_up_restore()
        await self.wait_empty()
        if self._poller is not None:
            await self._poller.stop(CLOSE_TIMEOUT_S)
        if self._watchdog is not None:
            self._watchdog.consumer_stopped()
        if self._heartbeat is not None:
            self._heartbeat.stop()

    async def wait_empty(self) -> None:
        """Wait, for a bounded time, until agents have acknowledged what they hold; commit."""
        end = time.monotonic() + self.options.drain_timeout_s
        while self._held_by_agents() and not self.should_crash() and time.monotonic() < end:
            await asyncio.sleep(0.005)
        await self.maybe_wait_for_commit_to_finish()
        self._lets_go = True
        try:
            await self.commit()
        finally:
            self._lets_go = False

    def should_crash(self) -> bool:
        """Say whether waiting for anybody is in vain."""
        return bool(self.crashed or self.app.crashed)

    def _held_by_agents(self) -> bool:
        return any(not message.acked for message in list(self._unacked_messages))

    # -- what the poll thread tells -------------------------------------------------------------

    def commit_stalled(self) -> bool:
        """Say whether commits have failed for so long that no more work is handed out."""
        since = self._commit_attempt_s
        return since is not None and time.monotonic() - since > self.options.commit_stall_max_s

    def kafka_error(self, error: KafkaError) -> None:
        """Take an error of librdkafka; a fatal one crashes the worker."""
        self.options.broker_errors.tell(error, "consumer")
        if error.fatal():
            self.options.broker_errors.end_for(error)
            self._crash_soon(KafkaException(error))

    def poll_failed(self, error: Exception) -> None:
        """Crash: the poll thread has ended by ``error``."""
        if isinstance(error, KafkaException):
            self.options.broker_errors.tell(error.args[0], "consumer")
            self.options.broker_errors.end_for(error.args[0])
        self._crash_soon(error)

    async def on_task_error(self, exc: BaseException) -> None:
        """Crash the worker when an agent raises.

        Faust would restart the agent and go on behind the batch that failed, which stays
        unacknowledged and holds up every commit of its partition.
        """
        logger.critical("an agent failed; the worker ends and its batch is read again: %r", exc)
        await self.crash(exc)

    def _crash_soon(self, error: BaseException) -> None:
        task = asyncio.ensure_future(self.crash(error))
        self._crash_task = task  # the loop itself keeps only a weak reference

    async def partitions_assigned(self, generation: int, starts: Mapping[TP, int | None]) -> None:
        """Take over an assignment and let Faust recover its tables.

        It may wait for brokers for as long as they are away; a revocation ends that.
        """
        async with self._taking_over:
            began_s = self._rebalance_from_s or time.monotonic()
            self._counters.rebalances["assigned"] += 1
            self._assigned = frozenset(starts)
            self._paused_at_broker = set(starts)
            self._held.clear()
            for tp, offset in starts.items():
                self._acked.pop(tp, None)
                self._committed_offset[tp] = offset
                self._read_offset[tp] = None
            self.app.consumer_generation_id = generation
            self._tell_assignor(starts)
            if not self.app.rebalancing:
                self.app.on_rebalance_start()
            # Here and not by Faust's signal: while its receivers run, records may flow already.
            if not await self._restored(starts):
                return
            await self._assign(set(starts), generation)
            self._freeze_heap()
            self._rebalance_from_s = None
            self._counters.rebalance_seconds.observe(time.monotonic() - began_s)
            self.options.health.has_assignment = True
            self.options.broker_errors.worked(GROUP)

    async def _assign(self, partitions: set[TP], generation: int) -> None:
        try:
            async with asyncio.timeout(ASSIGN_TIMEOUT_S):
                await self.on_partitions_assigned(partitions, generation)
        except TimeoutError:
            raise TimeoutError(f"Faust took over no partitions in {ASSIGN_TIMEOUT_S} s") from None

    async def _restored(self, partitions: Iterable[TP]) -> bool:
        """Restore the state of the partitions; False: they were revoked meanwhile."""
        if self.options.store is None:
            return True
        self._restoring = asyncio.ensure_future(self.options.store.restore(partitions))
        try:
            await asyncio.wait([self._restoring])
            if self._restoring.cancelled():
                logger.info("partitions were revoked before their state was restored")
                return False
            self._restoring.result()
        finally:
            self._restoring.cancel()
            self._restoring = None
        return True

    def _give_up_restore(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()

    def _tell_assignor(self, tps: Iterable[TP]) -> None:
        # Kafka's range assignment gives a worker the same partition numbers of topics with equal
        # partition counts, so the changelog partitions that came along are those of our source
        # partitions. Faust's table code asks its own assignor what it owns.
        actives: dict[str, list[int]] = {}
        for tp in tps:
            actives.setdefault(tp.topic, []).append(tp.partition)
        assignor: Any = self.app.assignor
        assignor._assignment = ClientAssignment(actives=actives, standbys={})
        assignor._active_tps = set(tps)
        assignor._standby_tps = set()

    def _freeze_heap(self) -> None:
        # Faust, the rules and the libraries are some hundred thousand objects that never die.
        # Every full collection walks them all, and message objects bring one on all the time;
        # frozen, they are left out. Together with the thresholds: 612 -> 740 thousand events/s.
        if self.options.tune_gc and not self._heap_frozen:
            self._heap_frozen = True
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)

    async def partitions_revoked(self, tps: set[TP], *, lost: bool) -> None:
        """Stop feeding, let agents finish, commit while the partitions are ours, let go."""
        self._give_up_restore()
        async with self._taking_over:
            self._counters.rebalances["lost" if lost else "revoked"] += 1
            self._rebalance_from_s = time.monotonic()
            self.options.health.has_assignment = False
            app = self.app
            app.on_rebalance_start()
            self.stop_flow()
            if self._poller is not None:
                self._poller.ready.clear()
            self._held.clear()
            app.flow_control.suspend()  # streams skip what is queued, unacknowledged
            app.flow_control.clear()
            if not lost:
                await self.wait_empty()
            self._unacked_messages.clear()
            self._assigned -= tps
            self._commit_attempt_s = None
            if self.options.store is not None:
                self.options.store.give_up(tps)
            await self.on_partitions_revoked(tps)
            if self._poller is not None:
                self._poller.release_all()
            if self._producer_is_old:
                await self._renew_producer()

    async def renew(self) -> bool:
        """Make the clients anew, of the settings as they are now; False: try again later.

        The producer has its turn between revocation and assignment, when no output is made.

        Raises:
            KafkaException: librdkafka refuses the settings; the clients stay as they are.
        """
        if self._poller is None:
            return True
        self._producer_is_old = True
        try:
            await self._poller.renew(
                consumer_settings(
                    bootstrap_servers(self.transport.url), self.app.conf, self.options
                )
            )
            if self._producer_is_old:  # nothing was assigned, so nothing was revoked
                await self._renew_producer()
            return not self._producer_is_old
        finally:
            self._producer_is_old = False
            if self._heartbeat is not None:
                self._heartbeat.renew()

    async def _renew_producer(self) -> None:
        producer: Any = self.app.producer
        self._producer_is_old = not await producer.renew()

    def set_login(self, username: str, password: str) -> None:
        """Log in with these from the next connection on."""
        if self._poller is not None:
            self._poller.set_login(username, password)
        producer: Any = self.app.producer
        producer.set_login(username, password)
        if self._heartbeat is not None:
            self._heartbeat.renew()

    def ack_logs(self) -> dict[TP, AckLog]:
        """Return what is handed out and acknowledged of each partition (any thread)."""
        return dict(self._acked)

    # -- commits -----------------------------------------------------------------------------------

    def _new_offset(self, tp: TP) -> int | None:
        log = self._acked[tp]
        lag = self._counters.partitions.get((tp.topic, tp.partition))
        if lag is not None and log.watermark is not None:
            lag.position = log.watermark
            lag.timestamp_ms = log.timestamp_ms
        return log.watermark if log.watermark != self._committed_offset[tp] else None

    def _should_commit(self, tp: TP, offset: int) -> bool:
        # Also below the committed offset, when the partition began anew.
        return bool(offset != self._committed_offset[tp])

    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        # Faust's own moves _committed_offset although the commit failed, and its flush does
        # not notice outputs that were not delivered.
        logs = {tp: self._acked[tp] for tp in offsets if tp in self._assigned}
        poller = self._poller
        if not logs or poller is None:
            return False
        store = self.options.store
        if store is not None and not (self._lets_go or store.is_due()):
            return False
        if self._commit_attempt_s is None:
            self._commit_attempt_s = time.monotonic()
        generation, began_s = poller.generation, time.monotonic()
        if store is not None and not await store.write(
            self._assigned, self.app.producer, self._outputs_delivered
        ):
            return False
        if not await self._outputs_delivered():
            return False
        committed = await self._commit_at_broker({tp: offsets[tp] for tp in logs}, generation)
        if not committed:
            return False
        self._commit_attempt_s = None
        self._counters.phases["commit"].observe(time.monotonic() - began_s)
        if store is not None:
            store.committed({(tp.topic, tp.partition): at for tp, at in committed.items()})
        self.app.tables.on_commit(committed)
        for tp, offset in committed.items():
            if self._acked.get(tp) is logs[tp]:  # not revoked or begun anew meanwhile
                self._committed_offset[tp] = offset
        self.app.monitor.on_tp_commit(committed)
        return True

    async def write_state(self) -> None:
        """Write the state that only time has changed: no offset moves, so no commit does it."""
        store = self.options.store
        if store is None or self.app.rebalancing or not store.is_due():
            return
        if not any(self._new_offset(tp) is not None for tp in self._acked):
            await store.write(self._assigned, self.app.producer, self._outputs_delivered)

    def is_read_to(self, partition: Partition, end: int) -> bool:
        """Say whether all records before ``end`` are acknowledged by the agents."""
        tp = TP(*partition)
        if tp not in self._assigned:
            return False
        log = self._acked.get(tp)
        position = None if log is None else log.watermark
        if position is None:
            position = self._committed_offset[tp]
        lag = self._counters.partitions.get((tp.topic, tp.partition))
        place = -1 if position is None else position
        if lag is not None and place >= lag.empty[0]:
            place = max(place, lag.empty[1])  # behind it there are markers of transactions only
        return end == 0 or place >= end

    async def _outputs_delivered(self) -> bool:
        producer: Any = self.app.producer
        try:
            await producer.confirm()
        except DeliveryPendingError as pending:
            self._counters.commit_failures["outputs_pending"] += 1
            logger.warning("commit put off: %s", pending)
            return False
        except DeliveryFailedError as failed:
            self._counters.commit_failures["outputs_failed"] += 1
            if not self.should_crash():
                await self.crash(failed)
            return False
        return True

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        poller = self._poller
        if poller is None:
            return False
        return bool(await self._commit_at_broker(dict(offsets), poller.generation))

    async def _commit_at_broker(self, offsets: dict[TP, int], generation: int) -> dict[TP, int]:
        """Commit and return what the broker took; nothing once the assignment has changed."""
        poller = self.poller

        def command(consumer: Any) -> list[TopicPartition]:
            if poller.generation != generation:
                return []
            places = [TopicPartition(*tp, offset) for tp, offset in offsets.items()]
            return list(consumer.commit(offsets=places, asynchronous=False))

        try:
            places = await poller.call(command)
        except KafkaException as error:
            await self._commit_failed(error.args[0])
            return {}
        except ConnectionError as error:
            logger.info("not committed: %s", error)
            return {}
        committed = {}
        for place in places:
            if place.error is not None:
                await self._commit_failed(place.error)
            else:
                committed[TP(place.topic, place.partition)] = place.offset
        if committed:
            self.options.broker_errors.worked("consumer")
            self.options.broker_errors.worked(GROUP)
        return committed

    async def _commit_failed(self, error: KafkaError) -> None:
        self._counters.commit_failures[commit_reason(error)] += 1
        if refusal_of(error):
            self.options.broker_errors.tell(error, "consumer")
        verdict = commit_verdict(error)
        if verdict is Verdict.REPLAY:
            # The group is rebalancing: what is not committed is read again by the next owner.
            self._commit_attempt_s = None
            logger.info("commit refused, events will be processed again: %s", error)
        elif verdict is Verdict.RETRY:
            logger.warning("commit failed, will be repeated: %s", error)
        elif self.should_crash():
            logger.error("commit failed: %s", error)
        else:
            await self.crash(KafkaException(error))
