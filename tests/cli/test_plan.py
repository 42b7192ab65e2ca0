"""``streamproc plan``: what is printed is what was calculated."""

from __future__ import annotations

from dataclasses import asdict

import orjson
from click.testing import CliRunner

from streamproc.capacity import Load, plan
from streamproc.cli import main
from streamproc.measured import EVENT_BYTES, RULE_SETS, Measured


def run(*args):
    return CliRunner().invoke(main, ["plan", *args])


def test_table():
    """Each line says why; the rate is that of the chosen rules."""
    result = run("--events-per-second", "20000", "--rules", "corpus")

    expected = plan(Load(20_000, EVENT_BYTES), RULE_SETS["corpus"])
    lines = {line[:15].strip(): line for line in result.output.splitlines()}
    assert result.exit_code == 0
    assert f" {expected.workers} " in lines["workers"]
    assert f" {expected.partitions} " in lines["partitions"]
    assert "corpus rules" in lines["events per core"]


def test_own_measurement_as_json():
    result = run(
        "--events-per-second", "20000", "--events-per-core", "9000", "--format", "json"
    )  # fmt: skip

    expected = plan(Load(20_000, EVENT_BYTES), Measured(9_000, RULE_SETS["shipped"].peak_bytes))
    assert orjson.loads(result.output) == asdict(expected)


def test_wrong_numbers_are_refused():
    result = run("--events-per-second", "0")

    assert result.exit_code == 2
    assert "above zero" in result.output
