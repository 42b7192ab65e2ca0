"""``streamproc worker``: what it checks before it connects, and the profile that it leaves."""

from __future__ import annotations

import pstats
import socket

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


def start(**variables):
    """Start a worker that is expected not to get far; no Kafka is there."""
    env = {"STREAMPROC_BOOTSTRAP_SERVERS": "127.0.0.1:1", "STREAMPROC_METRICS_PORT": "0"}
    return CliRunner().invoke(main, ["worker"], env=env | variables)


def test_option_that_librdkafka_does_not_know_is_one_message():
    """Not a traceback of Faust's, and not the exit code of a crash."""
    result = start(STREAMPROC_KAFKA_OPTIONS='{"bogus.option": 5}')

    assert result.exit_code == 2
    assert 'No such configuration property: "bogus.option"' in result.output
    assert "see kafka_options" in result.output
    assert "Traceback" not in result.output


def test_file_that_holds_no_certificate_is_one_message(tmp_path):
    """The setting is named, not only librdkafka's word for it."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")

    result = start(STREAMPROC_SECURITY_PROTOCOL="SSL", STREAMPROC_SSL_CA_FILE=str(path))

    assert result.exit_code == 2
    assert "Error: ssl_ca_file: the Kafka client cannot use it" in result.output


def test_second_worker_on_a_machine_is_told_that_the_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = start(STREAMPROC_METRICS_PORT=str(port))

    assert result.exit_code == 2
    assert f"metrics_port = {port}: cannot listen there: Address already in use" in result.output
    assert "choose another port" in result.output
