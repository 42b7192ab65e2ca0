"""The whole course of a run over the embedded broker, with a stand-in for the worker."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from streamproc.demo.run import DemoFailedError, DemoOptions, run_demo
from streamproc.demo.screen import PlainScreen

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in_worker.py")))


def play(command: tuple[str, ...], seconds: float = 2, rate: float = 2_000) -> str:
    console = Console(file=io.StringIO(), width=100)
    run_demo(DemoOptions(seconds, rate, worker_command=command), PlainScreen(console))
    return console.file.getvalue()


def test_a_run_shows_every_alert_and_the_summary():
    """Six alerts, as many as the story has, and none from the near misses."""
    text = play(STAND_IN)
    assert text.count("ALERT  high  Microsoft Exchange Worker Spawning Suspicious Processes") == 4
    assert text.count("ALERT  medium  Microsoft Exchange Server UM Spawning") == 2
    assert "alerts: 6 of 6 expected" in text
    assert "context requests: 18 (15 resolved, 3 partial)" in text
    assert "0 alerts from them" in text


def test_a_worker_that_ends_is_a_failure():
    """With its exit code and what it said last."""
    with pytest.raises(DemoFailedError, match="the worker ended with exit code 7") as failure:
        play((sys.executable, "-c", "print('no broker'); raise SystemExit(7)"))
    assert failure.value.log_tail == "no broker"


def test_a_missing_alert_is_a_failure(tmp_path: Path):
    """A worker that takes everything in and answers too little does not pass."""
    forgetful = tmp_path / "forgetful.py"
    forgetful.write_text(Path(STAND_IN[1]).read_text().replace('"PowerShell.EXE", ', ""))
    with pytest.raises(DemoFailedError, match=r"no alert for event .* on EXCH01"):
        play((sys.executable, str(forgetful)))


def test_an_alert_without_cause_is_a_failure(tmp_path: Path):
    """A worker that takes a near miss for an attack does not pass either."""
    eager = tmp_path / "eager.py"
    eager.write_text(
        Path(STAND_IN[1]).read_text().replace('part.startswith("MSExchange") and ', "")
    )
    with pytest.raises(DemoFailedError, match=r"alerts without cause: .*IIS01"):
        play((sys.executable, str(eager)))
