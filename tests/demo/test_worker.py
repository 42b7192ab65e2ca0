"""The worker process: its settings, its log, its end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamproc.demo.worker import WorkerProcess
from tests.demo.processes import is_alive, wait_for


def run(folder: Path, code: str, settings: dict[str, str] | None = None) -> WorkerProcess:
    return WorkerProcess(settings or {}, folder / "log", (sys.executable, "-c", code))


def test_settings_of_the_user_do_not_get_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They name a real cluster; the demonstration's own are all that counts."""
    monkeypatch.setenv("STREAMPROC_BOOTSTRAP_SERVERS", "production:9092")
    monkeypatch.setenv("STREAMPROC_SASL_PASSWORD", "secret")
    code = (
        "import os; print(sorted(k + '=' + v for k, v in os.environ.items() if 'STREAMPROC' in k))"
    )
    with run(tmp_path, code, {"STREAMPROC_BOOTSTRAP_SERVERS": "here:1"}) as worker:
        wait_for(lambda: worker.exit_code is not None)
        assert worker.log_tail() == "['STREAMPROC_BOOTSTRAP_SERVERS=here:1']"


def test_exit_and_log_tail(tmp_path: Path):
    """The exit code is seen, and the last lines of both streams are kept."""
    code = "import sys; print('\\n'.join(map(str, range(50)))); sys.exit('the reason')"
    with run(tmp_path, code) as worker:
        wait_for(lambda: worker.exit_code is not None)
        assert worker.exit_code == 1
        assert "the reason" in worker.log_tail(3)
        assert len(worker.log_tail(3).splitlines()) == 3


def test_the_whole_group_is_ended(tmp_path: Path):
    """Also a child that ignores SIGTERM and whose parent has gone."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    code = (
        "import subprocess, sys, time;"
        f"print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True);"
        "time.sleep(600)"
    )
    with run(tmp_path, code) as worker:
        wait_for(lambda: worker.log_tail().strip())
        pid = int(worker.log_tail())
        assert is_alive(pid)
    wait_for(lambda: not is_alive(pid))
    assert worker.exit_code == -signal.SIGTERM


def test_it_is_ended_when_the_interpreter_exits(tmp_path: Path):
    """Whoever forgets to leave the context leaves no worker behind."""
    code = (
        "import sys, time, pathlib; from streamproc.demo.worker import WorkerProcess;"
        "w = WorkerProcess({}, pathlib.Path(sys.argv[1]),"
        " (sys.executable, '-c', 'import time; time.sleep(600)')); w.__enter__();"
        "print(w._process.pid); sys.exit(3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert not is_alive(int(done.stdout))
