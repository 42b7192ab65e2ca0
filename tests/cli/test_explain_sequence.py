"""``streamproc rules explain RULE --event FILE`` for sequence rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from streamproc.cli import main
from tests.cli.samples import ndjson, write_rule

QUERY = """sequence by host.id with maxspan=1m
  [process where process.name == "a"]
  ![network where true]
  [file where true] with runs=2
  until [any where x == 1]"""


def sequence_event(second: int, category: str, host: Any = "h", **fields: Any) -> dict[str, Any]:
    stamp = f"2026-03-01T10:{second // 60:02d}:{second % 60:02d}Z"
    document = {"@timestamp": stamp, "event": {"category": category}, "process": {"name": "a"}}
    return document | ({"host": {"id": host}} if host else {}) | fields


def explain(tmp_path: Path, query: str, events: list[Any], *options: str) -> Result:
    rule = write_rule(tmp_path / "rule.toml", query)
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson(events))
    arguments = ["rules", "explain", str(rule), "--event", str(file), *options]
    return CliRunner().invoke(main, arguments)


def blocks(result: Result) -> dict[int, list[str]]:
    """Line number to what is printed of that event, in the order of printing."""
    found: dict[int, list[str]] = {}
    for block in result.stdout.split("\n\n")[1:]:
        heading, *lines = block.splitlines()
        if ", line " in heading:
            number = int(heading.partition(", line ")[2].split(",")[0])
            found[number] = [" ".join(line.split()) for line in lines]
    return found


def test_state_after_each_event_is_shown(tmp_path: Path):
    """Steps with join keys, what begins and goes on, what is left; in the order of time."""
    events = [
        sequence_event(3, "file"),
        sequence_event(1, "process", ["h", "i"]),
        sequence_event(2, "file"),
        sequence_event(4, "dns"),
    ]
    result = explain(tmp_path, QUERY, events)

    assert result.exit_code == 0, result.output
    found = blocks(result)
    assert list(found) == [2, 3, 1]
    assert found[2] == [
        'step 1 host.id = "h" and "i"',
        'started "h": line 2',
        'started "i": line 2',
        'state "h": at step 1, line 2',
        'state "i": at step 1, line 2',
    ]
    assert found[3] == [
        'step 3, run 1 host.id = "h"',
        'step 3, run 2 host.id = "h"',
        'extended "h": lines 2, 3',
        'state "h": at step 3, run 1, lines 2, 3',
    ]
    assert found[1][2:] == ['completed "h": lines 2, 3, 1', "state nothing begun"]
    assert "Meet no step: line 4\n" in result.stdout
    assert "1 sequence completed by 4 events." in result.stderr


def test_why_a_sequence_was_dropped_is_said(tmp_path: Path):
    """Replaced, too long, a missing event, until; nothing completes: exit code 1."""
    events = [
        sequence_event(1, "process"),
        sequence_event(2, "process"),
        sequence_event(63, "file"),
        sequence_event(70, "process"),
        sequence_event(71, "network"),
        sequence_event(72, "other", x=1),
    ]
    result = explain(tmp_path, QUERY, events)

    assert result.exit_code == 1, result.output
    found = blocks(result)
    assert 'dropped "h": line 1: replaced by a newer one at the same step' in found[2]
    assert 'dropped "h": lines 2, 3: longer than maxspan' in found[3]
    assert '"h": will not complete line 4: an event came that must be missing' in found[5]
    assert 'state "h": at step 1, line 4 (an event came that must be missing)' in found[5]
    assert 'dropped "h": line 4: until' in found[6]


def test_events_that_are_kept_out_say_why(tmp_path: Path):
    """Without host.id or time an event takes no part, whatever its steps."""
    lost = sequence_event(1, "process", None, user={"id": "u"})
    query = "sequence by process.entity_id [process where true] [file where true]"
    events = [
        lost | {"process": {"entity_id": "e", "name": "a"}},
        sequence_event(2, "process") | {"process": {"entity_id": "e"}, "@timestamp": "soon"},
    ]
    result = explain(tmp_path, query, events)

    assert result.exit_code == 1
    assert blocks(result)[1] == ["! it has no host.id, and the sequence is joined by host"]
    # The engine puts the record's time in place of an unreadable one.
    assert "step 1 process.entity_id = " in " ".join(blocks(result)[2])


def test_trailing_missing_event_is_settled_at_the_end(tmp_path: Path):
    """The file ends while a match still waits: no event came, so it counts."""
    query = "sequence by host.id with maxspan=1m [process where true] ![file where true]"
    result = explain(tmp_path, query, [sequence_event(1, "process")])

    assert result.exit_code == 0, result.output
    assert 'state "h": complete, waiting, line 1' in blocks(result)[1]
    assert "At the end of the file" in result.stdout


def test_clauses_of_each_step_on_demand(tmp_path: Path):
    """With --clauses each event has the tree of every step, join keys included."""
    result = explain(tmp_path, QUERY, [sequence_event(1, "process")], "--clauses")

    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in (
        "✓ step 1: process where",
        '✓ process.name == "a" saw "a"',
        '✓ host.id != null saw "h"',
        "✗ step 2 (missing): network where",
        "✗ until: any where",
    ):
        assert line in lines


def test_sequence_without_maxspan_has_the_default(tmp_path: Path):
    """A day, as in the worker."""
    query = "sequence by host.id [process where true] [file where true]"
    late = sequence_event(1, "file") | {"@timestamp": "2026-03-02T10:00:02Z"}
    result = explain(tmp_path, query, [sequence_event(1, "process"), late])

    assert result.exit_code == 1
    assert "longer than maxspan" in result.stdout


def test_many_events_are_shown_in_part(tmp_path: Path):
    """All of them take part, all are counted."""
    events = [sequence_event(second, "process") for second in range(30)]

    few = explain(tmp_path, QUERY, [*events, sequence_event(31, "dns")])
    every = explain(tmp_path, QUERY, events, "--all")

    assert (len(blocks(few)), len(blocks(every))) == (20, 30)
    assert "(shown: the first 20 that take part; --all)" in few.stderr
