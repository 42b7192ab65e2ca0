"""The wiring of a worker: sequence rules bring a store into use, others cost nothing."""

from __future__ import annotations

import os
import signal

import pytest

from streamproc.config import Settings
from streamproc.topics import SNAPSHOT_BYTES_MAX
from streamproc.transport.app import build_app, load_worker_rules
from tests.cli.samples import write_rule
from tests.engine.programs import PAIR, SHELL, ruleset


def options(*queries: str, **settings):
    chosen = Settings(bootstrap_servers="localhost:1", metrics_port=0, **settings)
    return build_app(chosen, ruleset(*queries)).streamproc_options


@pytest.mark.parametrize(("queries", "is_used"), [([SHELL], False), ([SHELL, PAIR], True)])
def test_store_is_in_use_when_there_are_sequence_rules(queries, is_used):
    """Without, no topic is needed; there is room for snapshots, for the rules may change."""
    found = options(*queries, output_bytes_max=500_000, dead_letter_bytes_max=400_000)
    assert found.store.is_used is is_used
    assert found.message_bytes_max > SNAPSHOT_BYTES_MAX


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


def test_a_request_to_load_rules_anew_does_not_end_a_worker_that_starts(tmp_path):
    """SIGHUP arrives while the rules are being loaded: they are the new ones anyway."""
    before = signal.getsignal(signal.SIGHUP)
    write_rule(tmp_path / "rule.toml", SHELL)
    try:
        load_worker_rules(Settings(bootstrap_servers="localhost:1", rules=(tmp_path,)))
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
