"""The demonstration's events on their way to a Kafka of the user's own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import streamproc.demo.feed
from streamproc.cli import main
from streamproc.config import Settings
from streamproc.demo.feed import Outputs
from streamproc.demo.run import DemoFailedError, DemoOptions
from streamproc.demo.send import send_traffic
from streamproc.demo.story import STORY
from streamproc.demo.traffic import NEAR_MISS_INTERVAL
from streamproc.transport.embedded import EmbeddedBroker


def test_the_whole_story_arrives_among_everyday_events(tmp_path: Path):
    """Every event that was counted is on the topic, and they raise as many alerts as was said."""
    with EmbeddedBroker() as broker:
        settings = Settings(bootstrap_servers=broker.bootstrap, events_topic="elsewhere")
        broker.make_topics("elsewhere")
        sent = send_traffic(settings, DemoOptions(seconds=2, rate=3_000))
        arrived = read(broker.bootstrap, sent.events)

    assert len(arrived) == sent.events > NEAR_MISS_INTERVAL
    assert sent.alerts == sum(bool(step.rule_id) for step in STORY)
    assert sent.near_misses >= 1
    events, alerts = tmp_path / "events.ndjson", tmp_path / "alerts.ndjson"
    events.write_bytes(b"\n".join(arrived))
    assert CliRunner().invoke(main, ["replay", str(events), "--alerts", str(alerts)]).exit_code == 0
    assert len(alerts.read_text().splitlines()) == sent.alerts


def test_brokers_that_cannot_be_reached_are_a_failure(monkeypatch: pytest.MonkeyPatch):
    """It says how many events are missing, not that all was sent."""
    monkeypatch.setattr(streamproc.demo.feed, "_TIMEOUT_S", 0.1)
    settings = Settings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(DemoFailedError, match=r"[1-9]\d* events were not delivered"):
        send_traffic(settings, DemoOptions(seconds=0.1, rate=1_000))


def read(bootstrap_servers: str, count: int) -> list[bytes]:
    """The values on the topic, once there are ``count`` of them."""
    outputs = Outputs(bootstrap_servers, ("elsewhere",))
    values: list[bytes] = []
    deadline = time.monotonic() + 120
    while len(values) < count and time.monotonic() < deadline:
        values += [value for _, value in outputs.read()]
        time.sleep(0.01)
    outputs.close()
    return values
