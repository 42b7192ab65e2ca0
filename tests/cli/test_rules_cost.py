"""``streamproc rules cost``: the ranking, and the rules that the prefilter cannot help."""

from __future__ import annotations

from itertools import count

import orjson
from click.testing import CliRunner

from streamproc.cli import main
from tests.cli.samples import OTHER_RULE_ID, event, ndjson, write_rule


def run(*args):
    return CliRunner().invoke(main, ["rules", "cost", *map(str, args)])


def prepare(tmp_path):
    rules = tmp_path / "rules"
    write_rule(rules / "name.toml", 'process where process.name == "seldom.exe"', name="By name")
    write_rule(rules / "pid.toml", "process where process.pid > 0", OTHER_RULE_ID, "By number")
    events = tmp_path / "events.ndjson"
    names = ["seldom.exe", *["usual.exe"] * 9]
    events.write_bytes(ndjson([event(number, name) for number, name in enumerate(names)]))
    return rules, events


def test_costliest_first_and_why(tmp_path, monkeypatch):
    """The rule that every event reaches comes first, and it is said why."""
    ticks = count()  # each evaluation takes one, whatever else the machine does meanwhile
    monkeypatch.setattr("streamproc.engine.costs.perf_counter", lambda: next(ticks) / 1_000)
    rules, events = prepare(tmp_path)

    result = run(rules, "--events", events)

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    rows = [line for line in lines if line.startswith("By ")]
    assert [row.split("  ")[0] for row in rows] == ["By number", "By name"]
    assert "100.00%" in rows[0]
    assert rows[0].endswith("cannot help")
    assert "10.00%" in rows[1]
    assert any(line.startswith("The prefilter cannot help By number: ") for line in lines)


def test_all_of_it_as_json(tmp_path):
    rules, events = prepare(tmp_path)

    found = orjson.loads(run(rules, "--events", events, "--format", "json").output)

    assert (found["events"], found["passed"]) == (10, 10)
    assert {rule["name"]: rule["candidates"] for rule in found["rules"]} == {
        "By number": 10,
        "By name": 1,
    }


def test_events_are_asked_for():
    assert run().exit_code == 2


def test_a_ranking_has_a_place(tmp_path):
    """None, or fewer, would be a table of nothing."""
    result = run("--events", str(tmp_path), "--top", "0")

    assert result.exit_code == 2
    assert "0 is not in the range x>=1" in result.output
