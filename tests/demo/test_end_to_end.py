"""``streamproc demo`` as a user runs it: the real worker, on the embedded broker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.demo.processes import WAIT_S, is_alive, wait_for
from tests.demo.states import UM_NAME, WORKER_NAME

COMMAND = [sys.executable, "-m", "streamproc", "demo"]


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


def test_demo_ends_by_itself_with_every_alert(tmp_path: Path):
    """Exit code 0, plain lines with full names, expected equal to got, most events filtered."""
    done = subprocess.run(
        [*COMMAND, "--seconds", "8"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"ALERT  high  {WORKER_NAME}  host EXCH0") == 4
    assert done.stdout.count(f"ALERT  medium  {UM_NAME}  host EXCH02") == 2
    assert f"  4 of 4  {WORKER_NAME}" in done.stdout
    assert f"  2 of 2  {UM_NAME}" in done.stdout
    assert ", 0 alerts from them" in done.stdout
    # Five investigate queries of the worker rule for each of its four alerts, at the least.
    requests = re.search(r"^context requests: (\d+) \((.*)\)$", done.stdout, re.MULTILINE)
    assert requests is not None
    assert int(requests[1]) >= 20
    assert "resolved" in requests[2]
    assert "partial" in requests[2]
    share = re.search(r"^ended by the prefilter: ([\d.]+) %$", done.stdout, re.MULTILINE)
    assert share is not None
    assert 98 < float(share[1]) < 100
    assert done.stdout.isascii()
    assert list(tmp_path.iterdir()) == []


def test_closed_pipe_is_no_failure(tmp_path: Path):
    """``streamproc demo | head -1``: the exit code that shells expect, and nothing on stderr."""
    demo = subprocess.Popen(
        COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert demo.stdout is not None
        assert demo.stderr is not None
        assert demo.stdout.readline().startswith("Starting the worker")
        workers = children(demo.pid)
        demo.stdout.close()
        errors = demo.stderr.read()
        assert demo.wait(WAIT_S) == 141
    finally:
        demo.kill()
    demo.stderr.close()
    assert errors == ""
    wait_for(lambda: not any(map(is_alive, workers)))


def test_interrupted_demo_leaves_no_worker(tmp_path: Path):
    """Ctrl-C while events flow: exit code 130, said in a sentence, nothing left running."""
    demo = subprocess.Popen(
        [*COMMAND, "--seconds", "600"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "ended by the prefilter" in line:
                break
        workers = children(demo.pid)
        assert workers
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=WAIT_S)
    finally:
        demo.kill()
    assert demo.returncode == 130, errors
    assert "Stopped before the end" in errors
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(is_alive, workers)))
