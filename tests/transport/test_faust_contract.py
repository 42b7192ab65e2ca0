"""Every internal of Faust, mode and confluent-kafka that the transport stands on.

A failure here after an upgrade names what changed; read the module named in the message before
the pins in pyproject.toml are moved.
"""

from __future__ import annotations

import asyncio
import inspect

import confluent_kafka
import faust
import pytest
from confluent_kafka import Message
from faust._cython.streams import StreamIterator
from faust.app.base import App
from faust.assignor.client_assignment import ClientAssignment
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables.recovery import Recovery
from faust.transport import base, conductor, consumer, drivers, producer
from faust.types import TP, ConsumerMessage

from streamproc.model import Record
from streamproc.transport.ack import AckLog, NoIndex
from streamproc.transport.batch import BatchTopic, RecordBatch, each_batch
from streamproc.transport.consumer import Consumer
from streamproc.transport.driver import Transport
from streamproc.transport.partitions import PartitionConsumer


def source(thing: object) -> str:
    return inspect.getsource(thing)


def test_worker_sleeps_once_before_it_closes_the_loop() -> None:
    """Ours sleeps for less."""
    assert "self._sentinel_task()" in source(faust.Worker._shutdown_loop), "app: _Worker"
    assert "asyncio.sleep(1.0)" in source(faust.Worker._sentinel_task), "app: _Worker"


def test_versions_are_the_pinned_ones() -> None:
    assert faust.__version__.startswith("0.15."), "transport: internals of faust-streaming 0.15"
    assert confluent_kafka.__version__.startswith("2.16."), "poller: the gate of 2.16"


def test_the_entry_point_is_found_by_faust() -> None:
    """Faust resolves ``streamproc://`` through the group ``faust.transports``."""
    assert drivers.by_url("streamproc://localhost:9092") is Transport


@pytest.mark.parametrize(
    ("where", "text", "reason"),
    [
        (consumer.Consumer.ack, "acked_for_tp.append(offset)", "ack.AckLog.append"),
        (consumer.Consumer.ack, "offset not in acked_index", "ack.NoIndex"),
        (consumer.Consumer.commit, "self.force_commit(", "consumer: the commit timer"),
        (consumer.Consumer.force_commit, "_filter_tps_with_pending_acks", "consumer._new_offset"),
        (consumer.Consumer._commit_tps, "self._commit_offsets(", "consumer._commit_offsets"),
        (consumer.Consumer._filter_committable_offsets, "self._new_offset(tp)", "consumer"),
        (consumer.Consumer._filter_committable_offsets, "self._should_commit(", "consumer"),
        (consumer.Fetcher, "consumer._drain_messages(self)", "consumer hand-over"),
        (consumer.Consumer.on_partitions_revoked, "self._acked.pop(tp", "consumer: state"),
        (consumer.Consumer.on_partitions_assigned, "_set_active_tps(assigned)", "consumer"),
        (App._on_agent_error, "on_task_error(exc)", "consumer.on_task_error"),
        (App._on_partitions_revoked, "_producer_flush", "producer.flush must not raise"),
        (App._stop_consumer, "_consumer_wait_empty", "consumer.wait_empty"),
        (Recovery._resume_streams, "consumer.perform_seek()", "partitions.perform_seek"),
        (Recovery._resume_streams, "consumer.resume_partitions(", "partitions"),
        (Recovery._build_highwaters, "consumer.highwaters(*tps)", "partitions.highwaters"),
        (Recovery._build_offsets, "consumer.earliest_offsets(*tps)", "partitions"),
        (Recovery._seek_offsets, "consumer.seek_wait(new_offsets)", "partitions.seek_wait"),
        (PartitionAssignor.assigned_actives, "self._assignment.actives", "consumer assignor"),
        (PartitionAssignor.is_active, "self._active_tps", "consumer._tell_assignor"),
        (conductor.Conductor._build_handler, "ConductorHandler", "batch.BatchTopic"),
        (producer.Producer.on_start, "self.buffer", "producer.on_start"),
        (producer.ProducerBuffer.size.fget, "self.pending", "producer.confirm"),
    ],
)
def test_faust_still_does_it_this_way(where, text, reason) -> None:
    assert text in source(where), f"Faust changed {where.__qualname__}: check {reason}"


@pytest.mark.parametrize(
    "name",
    [
        "_acked",
        "_acked_index",
        "_committed_offset",
        "_read_offset",
        "_unacked_messages",
        "_active_partitions",
        "callback",
        "suspend_flow",
        "in_transaction",
    ],
)
def test_faust_still_keeps_the_attribute(name: str) -> None:
    init = source(consumer.Consumer.__init__) + source(consumer.Consumer._reset_state)
    assert f"self.{name} =" in init, f"Consumer.{name} is gone: check consumer and partitions"


def test_every_abstract_method_of_the_consumer_is_there() -> None:
    """Faust adds an abstract method now and then."""
    missing = {
        name
        for name in getattr(consumer.Consumer, "__abstractmethods__", ())
        if getattr(getattr(Consumer, name), "__isabstractmethod__", False)
    }
    assert not missing
    assert issubclass(Consumer, PartitionConsumer)
    assert issubclass(PartitionConsumer, base.Consumer)


@pytest.mark.parametrize("by_cython", [True, False])
def test_a_final_acknowledgement_ends_in_the_ack_log(by_cython: bool) -> None:
    """Both stream iterators: the compiled one inlines Consumer.ack, the other calls it."""

    async def run() -> AckLog:
        app = faust.App("contract", broker="streamproc://localhost:1")
        app.topics._acking_topics.add("events")
        log = app.consumer._acked[TP("events", 0)]
        log.deliver(5, 9)
        message = ConsumerMessage(
            "events", 0, 5, 0.0, 0, None, None, None, None, tp=TP("events", 0)
        )
        message.incref(1)
        if by_cython:
            topic = BatchTopic(app, topics=["events"])
            stream = topic.stream()
            event = faust.Event(app, None, b"", None, message)
            StreamIterator(stream).after(event, True, None)
        else:
            message.ack(app.consumer)
        return log

    log = asyncio.run(run())
    assert isinstance(log, AckLog)
    assert log.watermark == 9, "Faust acknowledges in another way: check ack and consumer"


def test_the_index_is_only_asked_and_added_to() -> None:
    text = source(consumer.Consumer.ack)
    used = {name for name in ("add", "difference_update") if f"acked_index.{name}" in text}
    assert used <= set(dir(NoIndex)), "Faust asks more of the index: check ack.NoIndex"


def test_a_batch_travels_through_a_test_context() -> None:
    """``agent.test_context()`` works with a batch made of records."""

    async def run() -> list[list[bytes | None]]:
        app = faust.App("contract", broker="streamproc://localhost:1", store="memory://")
        got = []

        @app.agent(BatchTopic(app, topics=["events"]))
        async def detect(stream):
            async for batch in each_batch(stream):
                got.append(batch.values())
                batch.ack()
                yield batch

        batch = RecordBatch.of([Record(b"x", "events", 0, 4, 0, [])])
        async with detect.test_context() as agent:
            await agent.put([batch])
        assert batch.acknowledged
        return got

    assert asyncio.run(run()) == [[b"x"]]


def test_client_assignment_takes_actives_and_standbys() -> None:
    assignment = ClientAssignment(actives={"events": [0, 2]}, standbys={})
    assert assignment.active_tps == {TP("events", 0), TP("events", 2)}


def test_confluent_messages_can_be_made_and_measured() -> None:
    """RecordBatch.of makes them; ``len`` is the length of the value, 0 for a tombstone."""
    message = Message(topic="t", partition=1, offset=2, value=b"abc", timestamp=(1, 7))
    assert (len(message), message.value(), message.timestamp()) == (3, b"abc", (1, 7))
    assert len(Message(topic="t", partition=1, offset=2, value=None)) == 0
    assert list(map(Message.value, [message])) == [b"abc"]
