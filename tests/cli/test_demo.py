"""The command line of the demonstration: how each ending is told."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import streamproc.cli.demo
from streamproc.cli.demo import demo
from streamproc.config import Settings
from streamproc.demo.run import DemoFailedError, DemoOptions
from streamproc.demo.send import SentTraffic


def test_options_reach_the_run(monkeypatch: pytest.MonkeyPatch):
    """Twenty seconds unless asked otherwise."""
    seen: list[DemoOptions] = []
    monkeypatch.setattr(streamproc.cli.demo, "run_demo", lambda options, _: seen.append(options))
    assert CliRunner().invoke(demo, []).exit_code == 0
    assert CliRunner().invoke(demo, ["--seconds", "2.5", "--rate", "500"]).exit_code == 0
    assert [(options.seconds, options.rate) for options in seen] == [(20, 8_000), (2.5, 500)]


def test_to_sends_and_starts_nothing(monkeypatch: pytest.MonkeyPatch):
    """The brokers of the option, the other settings from where the worker has them."""
    seen: list[tuple[str, str, float]] = []

    def send(settings: Settings, options: DemoOptions) -> SentTraffic:
        seen.append((settings.bootstrap_servers, settings.events_topic, options.seconds))
        return SentTraffic(events=12_345, hosts=50, alerts=6, near_misses=12)

    monkeypatch.setattr(streamproc.cli.demo, "send_traffic", send)
    monkeypatch.setenv("STREAMPROC_BOOTSTRAP_SERVERS", "production:9092")
    monkeypatch.setenv("STREAMPROC_EVENTS_TOPIC", "trial")
    done = CliRunner().invoke(demo, ["--to", "here:9092", "--seconds", "3"])
    assert (done.exit_code, seen) == (0, [("here:9092", "trial", 3)])
    assert "Sent 12,345 events of 50 hosts to trial at here:9092: 6 must raise" in done.stdout


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds", "x"], ["--rate", "1"]])
def test_wrong_options_are_usage_errors(arguments: list[str]):
    """Nothing is started."""
    assert CliRunner().invoke(demo, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("ending", "exit_code", "words"),
    [
        pytest.param(
            DemoFailedError("no alert for event x", "log line"),
            1,
            ("the demo failed: no alert for event x", "The worker's last lines:\nlog line"),
            id="failed",
        ),
        pytest.param(KeyboardInterrupt(), 130, ("Stopped before the end",), id="interrupted"),
    ],
)
def test_endings(
    monkeypatch: pytest.MonkeyPatch, ending: BaseException, exit_code: int, words: tuple[str, ...]
):
    """A failure says why and shows the worker's log; an interruption is no failure."""

    def end(*_: object) -> None:
        raise ending

    monkeypatch.setattr(streamproc.cli.demo, "run_demo", end)
    done = CliRunner().invoke(demo, [])
    assert done.exit_code == exit_code
    assert all(word in done.stderr for word in words)
    assert done.stdout == ""
