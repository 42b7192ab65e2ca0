"""``streamproc worker``: what it checks before it connects, and the profile that it leaves."""

from __future__ import annotations

import pstats

import pytest
from click.testing import CliRunner

from streamproc.cli import main
from streamproc.cli.worker import profiled


def work():
    raise SystemExit(sum([0]))


def test_profile_is_written_when_the_worker_ends(tmp_path):
    """A worker ends by SystemExit; the profile holds what ran, and that goes on."""
    path = tmp_path / "worker.pstats"

    with pytest.raises(SystemExit), profiled(path):
        work()

    functions = {name for _, _, name in pstats.Stats(str(path)).stats}
    assert "work" in functions


def test_profile_that_cannot_be_written_is_told_at_once(tmp_path):
    """Hours of profiling must not end in a message that the folder is not there."""
    path = tmp_path / "missing" / "worker.pstats"

    result = CliRunner().invoke(
        main,
        ["worker", "--profile", str(path)],
        env={"STREAMPROC_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
    )

    assert result.exit_code == 2
    assert f"--profile {path}: No such file or directory" in result.output


def test_without_a_profile_nothing_is_written(tmp_path):
    with pytest.raises(SystemExit), profiled(None):
        work()

    assert list(tmp_path.iterdir()) == []
