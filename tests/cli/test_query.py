"""``streamproc query``: the events that fit, as they stand in the files, in the order of time."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner, Result

from streamproc.cli import main
from streamproc.cli.query import Search
from streamproc.eql.parser import parse_query
from streamproc.ndjson import Line
from tests.cli.samples import event, ndjson


def query(eql: str, *args: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["query", eql, *map(str, args)], input=stdin)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event(3), event(1, "powershell.exe"), event(2, "notepad.exe")]))
    return path


CASES = {
    "by name": ('process where process.name : "POWERSHELL.exe"', [1]),
    "in the order of time": ("process where true", [1, 2, 3]),
    "head": ("process where true | head 2", [1, 2]),
    "tail": ('process where process.name != "notepad.exe" | tail 1', [3]),
    "nothing": ('process where process.name : "sh"', []),
    "other category": ("network where true", []),
    "functions": ("any where process.pid - 100 == 2", [2]),
}


@pytest.mark.parametrize("case", CASES)
def test_finds_events_in_the_order_of_time(case: str, events: Path):
    """Matching lines on standard output, the count on standard error."""
    eql, expected = CASES[case]
    result = query(eql, events)

    assert result.exit_code == 0, result.output
    found = [json.loads(line)["event"]["id"] for line in result.stdout.splitlines()]
    assert found == [f"event-{number}" for number in expected]
    noun = "result" if len(expected) == 1 else "results"
    assert result.stderr == f"{len(expected)} {noun} in 3 events of 1 file.\n"


@pytest.mark.parametrize(
    "line",
    [
        b'{"process":{"name":"cmd.exe"}, "event.category" : "process"}',
        b'  {"event":{"category":"process"},"process.name":"\\u0063md.exe","n":1.50e3}  ',
        '{"process.name":"cmd.exe","event.category":"process","é":"\U0001f600"}'.encode(),
    ],
)
def test_lines_come_out_byte_for_byte(line: bytes):
    """Spaces, escapes, number forms and key order are those of the file."""
    result = query('process where process.name == "cmd.exe"', "-", stdin=b"\n" + line + b"\r\n")

    assert result.stdout_bytes == line + b"\n"


def test_same_event_twice_is_found_twice(events: Path):
    """Results are not sets: a line that occurs in two files is two events."""
    result = query("process where process.pid == 101", events, events)

    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_reads_compressed_files(pack, events: Path, tmp_path: Path):
    """The packing is told by the content."""
    packed = tmp_path / "packed"
    packed.write_bytes(pack(events.read_bytes()))

    assert query("process where true", packed).stdout == query("process where true", events).stdout


def test_sequence_is_a_line_of_events():
    """Each result is an array; null stands where an event had to be missing."""
    text = "sequence by host.id with maxspan=1m [process where a] ![file where b] [file where c]"
    search = Search(parse_query(text), "event.category")
    lines = [
        b'{"event.category":"process","a":true}',
        b'{"other": 1}',
        b'{"event.category": "file", "c": true }',
    ]
    search.keep("events", [Line(number, line) for number, line in enumerate(lines, 1)])

    assert len(search.events) == 2
    result = (search.events[0], None, search.events[1])
    assert search.line(result) == b"[" + lines[0] + b",null," + lines[2] + b"]"


def test_fields_can_be_named(tmp_path: Path):
    """Time, category and tiebreaker may live elsewhere."""
    path = tmp_path / "events.ndjson"
    rows = [
        {"time": "2026-03-01T10:00:02Z", "kind": "process", "n": 1},
        {"time": "2026-03-01T10:00:01Z", "kind": "process", "n": 3},
        {"time": "2026-03-01T10:00:01Z", "kind": "process", "n": 2},
        {"time": "2026-03-01T10:00:00Z", "kind": "file", "n": 4},
    ]
    path.write_bytes(ndjson(rows))
    options = ("--timestamp-field", "time", "--category-field", "kind", "--tiebreaker-field", "n")

    result = query("process where n > 0", path, *options)

    assert [json.loads(line)["n"] for line in result.stdout.splitlines()] == [2, 3, 1]


def test_wrong_query_is_underlined(events: Path):
    """Line, column, what is wrong, and a caret under it; no file was read."""
    result = query('process where process.name : : "x"', events)
    lines = result.stderr.splitlines()

    assert result.exit_code == 2
    assert lines[0].startswith("Error: the query is wrong: 1:30: ")
    assert lines[1] == 'process where process.name : : "x"'
    assert lines[2] == " " * 29 + "^"
    assert result.stdout == ""


def test_sample_is_refused_before_reading(events: Path):
    """A sample compiles and cannot be searched: one message instead of a traceback."""
    result = query("sample by host.id [process where true] [file where true]", events)

    assert result.exit_code == 2
    assert "sample" in result.stderr
    assert "Traceback" not in result.output


BAD_LINES = {
    "not json": b'{"process": cmd.exe',
    "array": b'[{"process": "cmd.exe"}]',
    "not utf-8": b'{"process.name": "cmd.exe", "event.category": "process", "x": "\xff"}',
    "deep": b'{"process": "cmd.exe", "x":' + b"[" * 2000 + b"]" * 2000 + b"}",
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_bad_lines_are_passed_over_and_named(case: str):
    """The search goes on; the first bad line that was met is named."""
    good = ndjson([event(1)])
    result = query("any where true", "-", stdin=good + BAD_LINES[case] + b"\n" + good)

    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 2
    assert "Warning: 1 line passed over that holds no JSON object: -:2: " in result.stderr


def test_missing_file_is_told_before_reading(events: Path):
    """Nothing is searched when a name is wrong."""
    result = query("any where true", events, "none.ndjson")

    assert result.exit_code == 2
    assert result.stderr == "Error: none.ndjson: No such file or directory\n"
    assert result.stdout == ""


def test_truncated_file_gives_what_it_holds_and_ends_with_1(tmp_path: Path):
    """Whole lines before the cut are searched, and the cut is an error."""
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(ndjson([event(1), event(2)]))[:-8])

    result = query("any where true", path)

    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert f"Error: {path}: truncated gzip stream, ends after line 2" in result.stderr
