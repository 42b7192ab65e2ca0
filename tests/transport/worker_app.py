"""The app that tests/transport/test_worker.py starts as a process of its own.

Set by environment: BOOTSTRAP, and MISBEHAVE for what the agent does to the batch that holds the
record with offset 500 of any partition: ``raise``, ``block`` (the event loop), ``hang`` (block, and
survive the crash of the worker), or nothing. SESSION_S is the group's, 1.5 by default: the mock
cluster gives partitions to the next worker when it is over. Every batch writes "partition first
next" to the topic ``cover`` before it is acknowledged.
"""

from __future__ import annotations

import os
import time

import faust

from streamproc.transport.batch import BatchTopic, each_batch
from streamproc.transport.options import TransportOptions
from streamproc.transport.producer import Outgoing

misbehave = os.environ.get("MISBEHAVE", "")
app = faust.App(
    "group",
    broker=f"streamproc://{os.environ['BOOTSTRAP']}",
    broker_commit_interval=0.1,
    broker_session_timeout=float(os.environ.get("SESSION_S", "1.5")),
    broker_heartbeat_interval=0.3,
    topic_disable_leader=True,
    topic_allow_declare=False,
    web_enabled=False,
    store="memory://",
)
app.streamproc_options = TransportOptions(
    batch_records=50,
    # On a slow machine anybody may stand still for seconds.
    batch_age_max_s=2.0 if misbehave == "block" else 120.0,
    crash_exit_s=3.0,
    drain_timeout_s=60.0,
)


@app.agent(BatchTopic(app, topics=["events"]))
async def detect(stream):
    async for batch in each_batch(stream):
        if batch.first_offset <= 500 < batch.next_offset:
            if misbehave == "raise":
                raise LookupError("record 500")
            if misbehave == "block":
                time.sleep(3600)
            if misbehave == "hang":
                await app.consumer.crash(LookupError("record 500"))
                time.sleep(3600)
        cover = f"{batch.partition} {batch.first_offset} {batch.next_offset}"
        await app.producer.produce(Outgoing("cover", None, cover.encode()))
        time.sleep(0.002)  # so that a kill comes in the middle
        batch.ack()


if __name__ == "__main__":
    app.main()
