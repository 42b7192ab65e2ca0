"""The commands and programs of the README run, and print what it says they print.

They run in the order of the text, in one folder, as a reader would run them. Those that need
Kafka get topics, group and port of their own in place of the names in the text.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs.blocks import Block, missing_line, read_blocks
from tests.docs.generated import README
from tests.integration.worker import free_port

BLOCKS = read_blocks(README.read_text())
BLOCK_TIMEOUT_S = 180
START_TIMEOUT_S = 180
COMMANDS = Path(sys.executable).parent


def run_block(block: Block, folder: Path, variables: Mapping[str, str]) -> None:
    """Run one block; fails unless it ends and prints as the README says."""
    command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    done = subprocess.run(
        [*command[block.language], block.text],
        cwd=folder,
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BLOCK_TIMEOUT_S,
    )
    exit_code = (
        int(block.detail.removeprefix("exit ")) if block.kind == "run" and block.detail else 0
    )
    place = f"README.md:{block.line}\n{done.stdout}"
    assert done.returncode == exit_code, place
    missing = missing_line(block.shows, done.stdout)
    assert missing is None, f"not printed: {missing}\n{place}"


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("STREAMPROC_")}
    path = f"{COMMANDS}{os.pathsep}{inherited.get('PATH', '')}"
    return inherited | {"PATH": path, "PYTHONUNBUFFERED": "1", **variables}


def test_blocks_without_kafka(tmp_path):
    """Every ``run`` block, in order, with the files that the text shows."""
    ran = 0
    for block in BLOCKS:
        if block.kind == "file":
            (tmp_path / block.detail).write_text(block.text)
            for named in ("kafka-password", "kafka-ca.pem"):  # of the file's own folder
                (tmp_path / named).write_text("secret\n")
        elif block.kind == "run":
            run_block(block, tmp_path, {})
            ran += 1
    assert ran >= 7


def test_blocks_with_kafka(kafka, tmp_path):
    """Topics made, worker started, events sent, alert and metrics read, worker stopped."""
    names = {
        f"streamproc.{name}": kafka.topic_name(f"readme.{name}")
        for name in ("events", "sequence-state", "alerts", "context-requests", "dead-letters")
    }
    port = str(free_port())
    replaced = {**names, "localhost:9092": kafka.bootstrap, "localhost:9464": f"127.0.0.1:{port}"}
    group = kafka.topic_name("readme-group")
    variables = {
        **{
            f"STREAMPROC_{name[11:].replace('-', '_').upper()}_TOPIC": topic
            for name, topic in names.items()
        },
        "STREAMPROC_GROUP_ID": group,
        "STREAMPROC_METRICS_PORT": port,
        "STREAMPROC_COMMIT_INTERVAL_S": "0.2",
    }
    events = next(block for block in BLOCKS if "> events.ndjson" in block.text)
    run_block(events, tmp_path, {})
    with contextlib.ExitStack() as workers:
        for block in BLOCKS:
            if block.kind != "kafka":
                continue
            actual = block._replace(
                text=_replace(block.text, replaced),
                shows=tuple(_replace(line, replaced) for line in block.shows),
            )
            if block.detail == "worker":
                workers.enter_context(_worker(actual, tmp_path, variables, port))
            elif not actual.text.startswith("curl"):
                run_block(actual, tmp_path, variables)
            elif shutil.which("curl"):
                _run_at_last(actual, tmp_path, variables)


def _run_at_last(block: Block, folder: Path, variables: Mapping[str, str]) -> None:
    """Run a block that reads what the worker counts; it may not have come to all events yet."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return run_block(block, folder, variables)
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def _replace(text: str, replaced: Mapping[str, str]) -> str:
    for old, new in replaced.items():
        # ``streamproc.eql`` and the like are modules; a topic's name is longer than its prefix.
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def _worker(block: Block, folder: Path, variables: Mapping[str, str], port: str) -> Iterator[None]:
    """A worker as the README starts it; stopped by SIGTERM, which it must survive in good order."""
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", block.text.replace("streamproc worker", "exec streamproc worker")],
            cwd=folder,
            env=environment(variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_assigned(process, port, log)
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_TIMEOUT_S) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(START_TIMEOUT_S)


def _wait_until_assigned(process: subprocess.Popen[bytes], port: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_assigned(port):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _is_assigned(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return b"streamproc_assigned_partitions 12.0" in answer.read()
    except OSError:  # not listening yet
        return False
