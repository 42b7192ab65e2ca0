"""The Producer in a running Faust app on the mock cluster."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamproc.transport.faults import DeliveryFailedError, DeliveryPendingError
from streamproc.transport.producer import Outgoing
from tests.transport.harness import make_app, read_all, until
from tests.transport.mock_cluster import PRODUCE, MockCluster

MESSAGE_SIZE_TOO_LARGE = 10


@pytest.fixture
def cluster():
    """One broker with ``alerts`` (4 partitions)."""
    cluster = MockCluster({"alerts": 4})
    yield cluster
    cluster.close()


def with_producer(cluster, use, **options):
    """Run ``use(producer)`` on an app whose producer alone is started."""

    async def run():
        app = make_app(cluster.bootstrap, **options)
        await app.producer.start()
        try:
            return await use(app.producer)
        finally:
            await app.producer.stop()

    return asyncio.run(run())


def test_confirm_waits_for_everything_produced_before(cluster) -> None:
    """After it, every output is in the topic with key and headers, and counted."""

    async def use(producer):
        for number in range(1000):
            producer.produce_nowait(
                Outgoing("alerts", b"%d" % number, b"value", [("severity", b"high")])
            )
        await producer.confirm()
        return producer.options.counters.records_produced["alerts"]

    assert with_producer(cluster, use) == 1000
    messages = read_all(cluster.bootstrap, "alerts", 4)
    assert {message.key() for message in messages} == {b"%d" % number for number in range(1000)}
    assert messages[0].headers() == [("severity", b"high")]


def test_a_steady_stream_does_not_hold_a_confirmation_up(cluster) -> None:
    """Outputs produced while one waits belong to the next."""

    async def use(producer):
        going = True

        async def stream():
            while going:
                producer.produce_nowait(Outgoing("alerts", None, b"x"))
                await asyncio.sleep(0)

        task = asyncio.ensure_future(stream())
        for _ in range(20):
            await producer.confirm()
        going = False
        await task

    with_producer(cluster, use)


def test_keys_go_where_javas_partitioner_sends_them(cluster) -> None:
    """murmur2 as in org.apache.kafka.common.utils.Utils: its own published test vectors."""
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}

    async def use(producer):
        for key in hashes:
            producer.produce_nowait(Outgoing("alerts", key, b"x"))
        await producer.confirm()

    with_producer(cluster, use)
    for message in read_all(cluster.bootstrap, "alerts", 4):
        assert message.partition() == (hashes[message.key()] & 0x7FFFFFFF) % 4


def test_a_refused_output_fails_every_later_confirmation(cluster) -> None:
    """Remembered for ever; producing is refused too, and the crash is set off."""

    async def use(producer):
        cluster.refuse(PRODUCE, MESSAGE_SIZE_TOO_LARGE)
        producer.produce_nowait(Outgoing("alerts", b"k", b"v"))
        with pytest.raises(DeliveryFailedError, match="alerts"):
            await producer.confirm()
        with pytest.raises(DeliveryFailedError):
            await producer.confirm()
        with pytest.raises(DeliveryFailedError):
            producer.produce_nowait(Outgoing("alerts", b"k", b"v"))
        await producer.flush()  # Faust's own callers are not to fail at a stop
        await until(lambda: producer.crashed)
        return producer.options.counters

    counters = with_producer(cluster, use)
    assert counters.produce_errors == {("alerts", "other"): 1}
    assert not counters.records_produced


async def confirm_at_last(producer) -> None:
    """Confirm, however often it is put off."""
    for _ in range(100):
        try:
            return await producer.confirm()
        except DeliveryPendingError:
            continue
    pytest.fail("never confirmed")


def test_a_broker_that_is_away_puts_a_confirmation_off(cluster) -> None:
    """Not lost and not failed: the same outputs are confirmed when it is back."""

    async def use(producer):
        producer.produce_nowait(Outgoing("alerts", None, b"first"))
        await confirm_at_last(producer)
        cluster.down()
        producer.produce_nowait(Outgoing("alerts", None, b"second"))
        with pytest.raises(DeliveryPendingError):
            await producer.confirm()
        assert not producer.crashed
        cluster.up()
        await confirm_at_last(producer)

    with_producer(cluster, use, flush_timeout_s=0.5)
    assert [m.value() for m in read_all(cluster.bootstrap, "alerts", 4)].count(b"second") == 1


def test_a_full_queue_is_waited_for(cluster) -> None:
    """``produce`` waits for room; ``produce_nowait`` says that there is none."""

    async def use(producer):
        cluster.down()
        for _ in range(10):
            producer.produce_nowait(Outgoing("alerts", None, b"x"))
        with pytest.raises(BufferError):
            producer.produce_nowait(Outgoing("alerts", None, b"x"))
        waiting = asyncio.ensure_future(producer.produce(Outgoing("alerts", None, b"last")))
        await until(lambda: producer.blocked_until_s() is not None)
        assert not waiting.done()
        cluster.up()
        await waiting
        await producer.confirm()

    with_producer(cluster, use, producer={"queue.buffering.max.messages": 10})
    assert len(read_all(cluster.bootstrap, "alerts", 4)) == 11


def test_an_output_above_the_limit_is_refused_at_once(cluster) -> None:
    """It spoils nothing: the caller hears of it before anything is queued."""

    async def use(producer):
        assert producer.message_bytes_max == 2000
        with pytest.raises(KafkaException) as refused:
            await producer.produce(Outgoing("alerts", None, b"x" * 2001))
        assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        await producer.produce(Outgoing("alerts", None, b"x" * 1000))
        await producer.confirm()

    with_producer(cluster, use, client={"message.max.bytes": 2000})
    assert len(read_all(cluster.bootstrap, "alerts", 4)) == 1


def test_fausts_send_gives_metadata(cluster) -> None:
    """``topic.send`` works: its future holds partition and offset."""

    async def use(producer):
        sent = await producer.send_and_wait("alerts", b"k", b"v", 2, 1.5, {"a": b"b"})
        return sent

    metadata = with_producer(cluster, use)
    assert (metadata.topic, metadata.partition, metadata.offset) == ("alerts", 2, 0)
    (message,) = read_all(cluster.bootstrap, "alerts", 4)
    assert (message.timestamp()[1], message.headers()) == (1500, [("a", b"b")])
