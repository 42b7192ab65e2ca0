"""The wiring of a worker: sequence rules bring a store, others cost nothing."""

from __future__ import annotations

from streamproc.config import Settings
from streamproc.topics import SNAPSHOT_BYTES_MAX
from streamproc.transport.app import build_app
from tests.engine.programs import PAIR, SHELL, ruleset


def options(*queries: str, **settings):
    chosen = Settings(bootstrap_servers="localhost:1", metrics_port=0, **settings)
    return build_app(chosen, ruleset(*queries)).streamproc_options


def test_sequence_rules_bring_a_store_and_room_for_its_snapshots():
    """The producer takes the largest snapshot as well as the largest output."""
    assert options(SHELL, PAIR).store is not None
    assert options(SHELL, PAIR).message_bytes_max > SNAPSHOT_BYTES_MAX


def test_without_sequence_rules_there_is_no_store():
    """No topic is needed, no clock ticks, and no output may be larger than before."""
    found = options(SHELL, output_bytes_max=500_000, dead_letter_bytes_max=400_000)
    assert found.store is None
    assert 500_000 < found.message_bytes_max < SNAPSHOT_BYTES_MAX


def test_settings_reach_the_store(monkeypatch):
    """Topic, group and interval are the user's."""
    seen = {}

    class Store:
        def __init__(self, states, topic, client, counters, **more):
            seen.update(topic=topic, client=client, **more)

    monkeypatch.setattr("streamproc.transport.app.SequenceStore", Store)
    options(PAIR, group_id="g", sequence_state_topic="s", sequence_state_interval_s=3)
    assert tuple(seen["topic"]) == ("s", "streamproc.events", "g")
    assert seen["client"]["bootstrap.servers"] == "localhost:1"
    assert seen["interval_s"] == 3
