"""``streamproc rules explain``: what is shown is what runs."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamproc.cli import main
from tests.cli.samples import OTHER_RULE_ID, SHELL_RULE_ID, write_rule


def explain(*args: object) -> Result:
    return CliRunner().invoke(main, ["rules", "explain", *map(str, args)])


@pytest.mark.parametrize(
    "wanted", ["f81ee52c-297e-46d9-9205-07e66931df26", "f81ee52c", "worker spawning"]
)
def test_shipped_rule_is_explained(wanted: str):
    """By id, by its beginning or by a part of the name in any case."""
    result = explain(wanted)

    assert result.exit_code == 0, result.output
    output = result.stdout
    assert output.splitlines()[0] == "Microsoft Exchange Worker Spawning Suspicious Processes"
    for part in (
        "f81ee52c-297e-46d9-9205-07e66931df26, version 316, severity high, risk score 73",
        "process where\n",
        'process.parent.name: "w3wp.exe"',
        "(looked for first)",
        "logs-endpoint.events.process-*",
    ):
        assert part in output
    requests = output.partition("Context requests with each alert\n")[2]
    assert [line[:4] for line in requests.splitlines()[1::3]] == [f"  {n} " for n in range(5)]
    assert "from now-48h/h to now" in requests


def test_rule_without_texts_says_why_it_is_always_a_candidate(tmp_path: Path):
    """The reason is there, and the default context requests are named as such."""
    path = write_rule(tmp_path / "rule.toml", "any where not process.pid == 1")

    result = explain(path)

    assert result.exit_code == 0, result.output
    assert "every event is decoded and evaluated: " in result.stdout
    assert "(the default set: the rule has none of its own)" in result.stdout
    assert "every index (the rule names none)" in result.stdout


def test_fields_have_their_types_and_uses(tmp_path: Path):
    """Fields that compare as something else than JSON says are marked."""
    query = 'network where source.ip == "10.0.0.1" and process.start > "2026-01-01" or ?a.b == 1'
    result = explain(write_rule(tmp_path / "rule.toml", query))

    rows = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    for row in (
        ["source.ip", "ip"],
        ["process.start", "date"],
        ["a.b"],
        ["event.category", "the", "event's category"],
        ["@timestamp", "date", "the event's time"],
    ):
        assert row in rows


def test_each_step_of_a_sequence_has_its_literals(tmp_path: Path):
    """Steps, missing events and until are looked for one by one."""
    query = """sequence by host.id with maxspan=1m
        [process where process.name : "certutil.exe"]
        ![network where process.name : "proxyhost.exe"]
        [file where true]
        until [process where process.name : "endmarker.exe"]"""
    result = explain(write_rule(tmp_path / "rule.toml", query))

    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.stdout.splitlines()]
    for name, text in (
        ("step 1", "certutil.exe"),
        ("step 2 (missing)", "proxyhost.exe"),
        ("until", "endmarker.exe"),
    ):
        at = lines.index(name)
        assert any(text in line for line in lines[at : at + 4])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("nothing like it", "no file, rule id or name fits 'nothing like it' in {rules}"),
        ("shell", f"'shell' fits 2 rules; say more, or name the id:\n  {SHELL_RULE_ID}  Shell one"),
        ("{rules}/broken.toml", "{rules}/broken.toml:"),
        ("broken", "the rule cannot be loaded: {rules}/broken.toml:"),
    ],
)
def test_rule_that_is_not_found_is_told(wanted: str, message: str, tmp_path: Path):
    """Not found, ambiguous and broken are told apart, with the way out."""
    write_rule(tmp_path / "one.toml", "any where true", SHELL_RULE_ID, "Shell one")
    write_rule(tmp_path / "two.toml", "any where true", OTHER_RULE_ID, "Shell two")
    write_rule(tmp_path / "broken.toml", "any where", "broken", "Broken")

    result = explain(wanted.format(rules=tmp_path), "--rules", tmp_path)

    assert result.exit_code == 2
    assert f"Error: {message.format(rules=tmp_path)}" in result.stderr


def test_whole_name_wins_over_a_part_of_one(tmp_path: Path):
    """A name that begins another name can still be asked for."""
    write_rule(tmp_path / "one.toml", "any where true", SHELL_RULE_ID, "Shell")
    write_rule(tmp_path / "two.toml", "any where true", OTHER_RULE_ID, "Shell two")

    assert SHELL_RULE_ID in explain("shell", "--rules", tmp_path).stdout
