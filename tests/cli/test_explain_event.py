"""``streamproc rules explain RULE --event FILE`` for rules of one event."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.cli import main
from streamproc.cli.explain_event import _Explained
from streamproc.eql import Event
from streamproc.ruleset.loader import rule_from_query
from tests.cli.samples import event, ndjson, write_rule
from tests.properties.random_queries import random_condition, random_event

QUERY = """process where process.name : ("cmd.exe", "powershell.exe") and
  (process.args : "-enc*" or length(process.args) > 2) and not user.name == "SYSTEM" """


def explain(*args: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["rules", "explain", *map(str, args)], input=given)


def explain_file(tmp_path: Path, query: str, events: list[Any], *options: str) -> Result:
    rule = write_rule(tmp_path / "rule.toml", query)
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson(events))
    return explain(rule, "--event", file, *options)


def test_each_clause_has_its_truth_and_its_values(tmp_path: Path):
    """The tree as it is written, marks before the clauses, values in one column."""
    given = event(1, "notepad.exe")
    given["process"]["args"] = ["-EncodedCommand", "x", "abc"]
    result = explain_file(tmp_path, QUERY, [given])

    assert result.exit_code == 1, result.output
    tree = result.stdout.partition("  ✗ process where\n")[2]
    assert tree.splitlines() == [
        '    ✓ event.category == "process"                    saw "process"',
        '    ✗ process.name : ("cmd.exe", "powershell.exe")   saw "notepad.exe"',
        "    ✓ any of",
        '      ✓ process.args : "-enc*"                       saw "-EncodedCommand", "x", "abc"',
        "      ✓ length(process.args) > 2                     "
        'saw process.args = "-EncodedCommand", "x", "abc"; length(process.args) = 15, 1, 3',
        "    ✓ not",
        '      ✗ user.name == "SYSTEM"                        no value',
    ]


def test_match_ends_with_0(tmp_path: Path):
    """One event that matches is enough; each is named by its line, time and id."""
    given = event(2) | {"user": {"name": "web"}}
    given["process"]["args"] = "-enc"
    result = explain_file(tmp_path, QUERY, [event(1), given])

    assert result.exit_code == 0, result.output
    assert "line 1, 2026-03-01T10:00:01.000Z, event-1: does not match\n" in result.stdout
    assert "line 2, 2026-03-01T10:00:02.000Z, event-2: matches\n" in result.stdout
    assert "1 of 2 events match." in result.stderr


def test_first_events_are_shown_and_all_are_counted(tmp_path: Path):
    """The seventh event matches, and is seen only with --all; the exit code knows it anyway."""
    events = [event(number) for number in range(1, 8)]
    query = 'process where event.id == "event-7"'

    few = explain_file(tmp_path, query, events)
    every = explain_file(tmp_path, query, events, "--all")

    assert (few.exit_code, every.exit_code) == (0, 0)
    assert (few.stdout.count(", line "), every.stdout.count(", line ")) == (5, 7)
    assert "1 of 7 events match. (shown: the first 5; --all)" in few.stderr
    assert "1 of 7 events match.\n" in every.stderr


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        (
            {"data_stream": {"type": "logs", "dataset": "x.y", "namespace": "default"}},
            "it lies in logs-x.y-default; the rule applies to logs-endpoint.*, winlogbeat-*",
        ),
        (
            {"event": {"category": ["file", "intrusion_detection"]}},
            'event.category is "file", "intrusion_detection"; the rule is about process',
        ),
        (
            {"process": {"name": "notepad.exe"}},
            "the prefilter ends it before it is decoded: it contains none of the texts of\n"
            '        process.name: "cmd.exe"',
        ),
    ],
)
def test_what_keeps_an_event_from_the_rule_is_said(
    changes: dict[str, Any], obstacle: str, tmp_path: Path
):
    """The index, the category, the prefilter: none is a clause of the query's condition."""
    rule = write_rule(tmp_path / "rule.toml", 'process where process.name : "cmd.exe"')
    rule.write_text(rule.read_text() + 'index = ["logs-endpoint.*", "winlogbeat-*"]\n')
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson([event(1) | changes]))

    result = explain(rule, "--event", file)

    assert result.exit_code == 1, result.output
    assert f"  ! {obstacle}" in result.stdout
    assert ": does not match\n" in result.stdout


def test_index_alone_keeps_an_event_out(tmp_path: Path):
    """Every clause is true, and yet there would be no alert: said, and the exit code is 1."""
    rule = write_rule(tmp_path / "rule.toml", "any where true")
    rule.write_text(rule.read_text() + 'index = ["logs-*"]\n')
    stream = {"type": "metrics", "dataset": "x", "namespace": "y"}
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson([{"data_stream": stream}]))

    result = explain(rule, "--event", file)

    assert result.exit_code == 1
    assert "✓ any where" in result.stdout


@pytest.mark.parametrize("packed", [False, True])
def test_events_come_from_standard_input_and_packed_files(packed: bool, tmp_path: Path):
    """As for the other commands that read events."""
    rule = write_rule(tmp_path / "rule.toml", 'process where process.name : "cmd.exe"')
    content = ndjson([event(1)])

    result = explain(rule, "--event", "-", given=gzip.compress(content) if packed else content)

    assert result.exit_code == 0, result.output
    assert "\nline 1, 2026-03-01T10:00:01.000Z, event-1: matches" in result.stdout


def test_line_that_is_no_event_is_shown_as_such(tmp_path: Path):
    """It would be a dead letter."""
    rule = write_rule(tmp_path / "rule.toml", "any where true")

    result = explain(rule, "--event", "-", given=b'[1]\n{"a": \n{}\n')

    assert result.exit_code == 0, result.output
    assert "! JSON, but not an object" in result.stdout
    assert "! not JSON: " in result.stdout
    assert "1 of 3 events match." in result.stderr


def test_event_without_time_gets_that_of_the_file(tmp_path: Path):
    """As the engine gives it the time of its record."""
    result = explain_file(tmp_path, "any where @timestamp != null", [{"a": 1}])

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("option", ["--all", "--clauses"])
def test_options_of_events_need_events(option: str):
    result = explain("worker spawning", option)

    assert result.exit_code == 2
    assert "need --event FILE" in result.stderr


def test_missing_file_is_told():
    result = explain("worker spawning", "--event", "nowhere.ndjson")

    assert result.exit_code == 2
    assert "nowhere.ndjson: " in result.stderr


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_prefilter_and_explanation_agree_on_anything(seed: int):
    """The command asserts it; here is what it is asserted on."""
    rng = Random(seed)
    explained = _Explained(rule_from_query(f"process where {random_condition(rng)}"))
    for _ in range(3):
        document = random_event(rng)
        explanation, obstacles = explained.of(Event(document), orjson.dumps(document))
        if obstacles:
            assert not explanation.is_true
