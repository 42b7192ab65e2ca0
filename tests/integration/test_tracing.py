"""Trace context and log of a real worker on a real Kafka: what goes on, and what never goes out."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from tests.integration.stream import make_stream
from tests.integration.worker import Worker, committed, read_all, wait_until, wait_until_ended
from tests.ops.otlp_receiver import Receiver, attributes

PARTITIONS = 2
STATE = b"vendor=1"
SECRET = "hunter2-of-the-command-line"

# A rule that fails on every event that it is asked about, and a batch that nothing can process:
# both errors quote the event.
FAULTS = """
from streamproc.engine import detector, program

process = detector.Detector.process

def fail(event):
    raise ValueError(event.document["process"]["command_line"])

def prepare(self, *args, made=program.Program.__init__, **options):
    made(self, *args, **options)
    self.matchers = [fail for _ in self.matchers]

def break_down(self, batch, now_ms):
    values = batch.values()
    if any(b"break down" in value for value in values):
        raise KeyError(values[-1].decode())
    return process(self, batch, now_ms)

program.Program.__init__ = prepare
detector.Detector.process = break_down
"""


@pytest.fixture
def settings(kafka):
    """Topics of this test's own, and the settings that name them."""
    return {
        "bootstrap_servers": kafka.bootstrap,
        "group_id": kafka.topic_name("group"),
        "events_topic": kafka.create_topic("events", PARTITIONS),
        "alerts_topic": kafka.create_topic("alerts", 1),
        "context_requests_topic": kafka.create_topic("context-requests", 1),
        "dead_letters_topic": kafka.create_topic("dead-letters", 1),
        "session_timeout_s": "60",  # the worker is not taken for dead: nothing is read twice
        "commit_interval_s": "0.2",
        "log_format": "json",
    }


def _traceparent(number):
    return f"00-{number + 1:032x}-{number + 1:016x}-01"


def _produce(kafka, topic, values, start=0):
    """Write records, each with a trace of its own; some hops before left headers, too."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number, value in enumerate(values, start):
        headers = [
            ("traceparent", b"broken"),
            ("traceparent", _traceparent(number).encode()),
            ("tracestate", STATE),
        ]
        producer.produce(topic, value, str(number), headers=headers)
        producer.poll(0)
    assert producer.flush(60) == 0


def _trace(message):
    """The context that a record bears: of several, the last."""
    headers = dict(message.headers())
    return headers["traceparent"].decode(), headers["tracestate"]


def _log(worker):
    return [json.loads(line) for line in worker.log.read_text().splitlines()]


def test_trace_of_an_event_goes_on(kafka, settings, tmp_path):
    """In alert, requests and dead letter, and as a span at the collector; not in the log."""
    stream = make_stream(5_000)
    values = [value.replace(b" /x a", b" /x " + SECRET.encode()) for _, value in stream.records]
    with Receiver() as receiver:
        settings |= {"otel_endpoint": receiver.address}
        _produce(kafka, settings["events_topic"], values)
        with Worker(tmp_path / "worker.log", settings) as worker:
            total = len(values)
            wait_until(lambda: committed(settings, PARTITIONS) == total, "all is committed", worker)
            assert worker.stop() == 0
        spans, metrics = receiver.spans(), receiver.metrics()
    alerts = {}
    for message in read_all(kafka.bootstrap, settings["alerts_topic"]):
        document = json.loads(message.value())
        number = int(document["event"]["id"].removeprefix("e"))
        assert _trace(message) == (_traceparent(number), STATE)
        alerts[message.key().decode()] = number, document
    assert alerts.keys() == stream.alerts
    requests = read_all(kafka.bootstrap, settings["context_requests_topic"])
    assert len(requests) == len(stream.requests)
    for message in requests:
        number, _ = alerts[message.key().decode().partition(":")[0]]
        assert _trace(message) == (_traceparent(number), STATE)
    [letter] = read_all(kafka.bootstrap, settings["dead_letters_topic"])
    assert _trace(letter) == (_traceparent(4_999), STATE)
    assert len(spans) == len(alerts)
    for span, _ in spans:
        said = attributes(span)
        number, document = alerts[said["kibana.alert.uuid"]]
        context = f"00-{span.trace_id.hex()}-{span.parent_span_id.hex()}-01"
        assert context == _traceparent(number)
        assert said["rule.id"] == document["rule.id"]
        assert said["messaging.kafka.offset"] == document["streamproc.record.offset"]
    consumed = metrics["messaging.client.consumed.messages"].sum.data_points
    assert sum(point.as_double for point in consumed) == len(values)
    text = worker.log.read_text()
    assert SECRET not in text
    [told] = [line for line in _log(worker) if line["message"].startswith("dead letter")]
    assert told["kafka"]["offset"] == int(dict(letter.headers())["offset"])


def test_log_never_says_what_an_event_says(kafka, settings, tmp_path):
    """Not even when a rule or the worker itself fails with an error that quotes the event."""
    event = json.loads(make_stream(1).records[0][1])  # the prefilter keeps it for a rule
    event["process"]["command_line"] = SECRET
    topic = settings["events_topic"]
    with Worker(tmp_path / "worker.log", settings, prelude=FAULTS) as worker:
        _produce(kafka, topic, [json.dumps(event).encode()])
        wait_until(lambda: committed(settings, PARTITIONS) == 1, "it is committed", worker)
        _produce(kafka, topic, [json.dumps(event | {"message": "break down"}).encode()])
        assert wait_until_ended(worker) != 0
    [letter] = read_all(kafka.bootstrap, settings["dead_letters_topic"])
    headers = {name: value.decode() for name, value in letter.headers()}
    text = worker.log.read_text()

    assert SECRET in headers["error"]
    assert SECRET not in text
    assert "KeyError" in text
    [told] = [line for line in _log(worker) if line["message"].startswith("dead letter")]
    assert told["kafka"] == {
        "topic": topic,
        "partition": int(headers["partition"]),
        "offset": int(headers["offset"]),
    }
    assert told["rule"]["id"]
    assert told["event"]["dataset"] == "streamproc"
