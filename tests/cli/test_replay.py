"""``streamproc replay``: the worker's engine over files, and everything it finds counted."""

import base64
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result

from streamproc.cli import main
from tests.cli.samples import OTHER_RULE_ID, SHELL_RULE_ID, event, ndjson, write_rule

WEB_SHELL = 'process where process.parent.name : "w3wp.exe" and process.name : "cmd.exe"'


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return write_rule(tmp_path / "rules" / "shell.toml", WEB_SHELL).parent


def replay(*args: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, args)], input=stdin)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_alerts_go_to_standard_output(rules: Path, tmp_path: Path):
    """One document a line, for the events that match; the closing line is for people."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event(1), event(2, "notepad.exe"), event(3)]))

    result = replay("--rules", rules, path)
    alerts = [json.loads(line) for line in result.stdout.splitlines()]

    assert result.exit_code == 0, result.output
    assert [alert["kibana.alert.rule.rule_id"] for alert in alerts] == [SHELL_RULE_ID] * 2
    assert [alert["process"]["pid"] for alert in alerts] == [101, 103]
    assert "       2  Shell of the web server\n" in result.stderr
    assert "Replayed 3 events (" in result.stderr
    assert ": 2 alerts, 8 context requests, 0 dead letters." in result.stderr


def test_every_output_has_its_file_and_the_summary_counts(rules: Path, tmp_path: Path):
    """Outcomes add up to the records, and the counts are those of the files."""
    first, second = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"
    first.write_bytes(ndjson([event(1), event(2, "notepad.exe")]) + b"\nno json\n")
    second.write_bytes(gzip.compress(ndjson([event(3), event(4), ["w3wp.exe", "cmd.exe"]])))
    names = {kind: tmp_path / f"out-{kind}" for kind in ("alerts", "context-requests",
                                                         "dead-letters", "summary")}  # fmt: skip
    options = [item for kind, path in names.items() for item in (f"--{kind}", path)]

    result = replay("--rules", rules, *options, first, second)

    assert (result.exit_code, result.stdout) == (0, "")
    alerts, requests, letters = (read_lines(path) for path in list(names.values())[:3])
    summary = json.loads(names["summary"].read_text())
    outcomes = summary["outcomes"]
    assert summary["files"] == [str(first), str(second)]
    assert summary["records"] == sum(outcomes.values()) == 6
    assert outcomes["matched"] == summary["alerts"] == len(alerts) == 3
    assert summary["alerts_by_rule"] == {SHELL_RULE_ID: 3}
    assert sum(summary["context_requests"].values()) == len(requests) > 0
    assert {request["alert_id"] for request in requests} == {
        alert["kibana.alert.uuid"] for alert in alerts
    }
    assert sum(summary["dead_letters"].values()) == outcomes["invalid"] == len(letters) == 2
    assert [(letter["topic"], letter["offset"]) for letter in letters] == [
        (str(first), 3),
        (str(second), 2),
    ]
    assert summary["rules"] == {"loaded": 1, "rejected": 0, "skipped": 0}
    assert len(summary["ruleset_digest"]) == 64
    assert (summary["complete"], summary["faults"]) == (True, [])
    assert summary["bytes"] == sum(
        len(line) for text in (first.read_bytes(), gzip.decompress(second.read_bytes()))
        for line in text.split(b"\n")
    )  # fmt: skip
    assert summary["events_per_second"] > 0


BAD_RECORDS = {
    "not json": b'{"process": cmd.exe w3wp.exe',
    "array": b'["cmd.exe", "w3wp.exe"]',
    "number": b"42",
    "deep": b'{"process":{"name":"cmd.exe","parent":{"name":"w3wp.exe"}},'
            b'"event":{"category":"process"},"x":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "20 MB": b'{"process":"cmd.exe w3wp.exe","x":"' + b"a" * 20_000_000 + b'"}',
    "not utf-8": b'{"process":{"name":"cmd.exe","parent":{"name":"w3wp.exe"}},'
                 b'"event":{"category":"process"},"x":"\xff\xfe"}',
    "mark further down": b"\xef\xbb\xbf" + ndjson([event(9)]).strip(),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_bad_record_becomes_a_dead_letter_and_the_rest_goes_on(case, rules, tmp_path):
    """The neighbours are evaluated; the letter says where the record was and holds its bytes."""
    record = BAD_RECORDS[case]
    letters = tmp_path / "letters"
    stdin = ndjson([event(1)]) + record + b"\n" + ndjson([event(2)])

    result = replay("--rules", rules, "--dead-letters", letters, "-", stdin=stdin)

    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 2
    (letter,) = read_lines(letters)
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("-", 0, 1)
    assert letter["reason"]
    assert len(letter["ruleset.digest"]) == 64
    text = letter["value"]
    value = text.encode() if letter["value_encoding"] == "utf-8" else base64.b64decode(text)
    assert value == record


def test_document_over_many_lines_is_told_how_to_become_events(rules: Path):
    """The commonest mistake of a first try: JSON as it is printed for people."""
    pretty = json.dumps(event(1), indent=2).encode()

    result = replay("--rules", rules, "-", stdin=pretty)

    assert result.exit_code == 0, result.output
    assert "most lines are no events" in result.stderr
    assert "jq -c . FILE" in result.stderr
    assert "no events" not in replay("--rules", rules, "-", stdin=ndjson([event(1)])).stderr


def test_mark_at_the_start_of_a_file_is_no_bad_record(rules: Path):
    """Editors put a byte order mark before the first event; it belongs to the file."""
    result = replay("--rules", rules, "-", stdin=b"\xef\xbb\xbf" + ndjson([event(1)]))

    assert len(result.stdout.splitlines()) == 1
    assert "0 dead letters" in result.stderr


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_alert_ids_do_not_depend_on_packing_or_run(pack, rules: Path, tmp_path: Path):
    """The same events give the same ids: a second replay repeats, it does not multiply."""
    text = ndjson([event(number) for number in range(5)])
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(text)
    packed.write_bytes(pack(text))

    runs = [replay("--rules", rules, path).stdout for path in (plain, packed, plain)]
    ids = [[json.loads(line)["kibana.alert.uuid"] for line in run.splitlines()] for run in runs]

    assert len(set(ids[0])) == 5
    assert ids[0] == ids[1] == ids[2]


def test_broken_rule_is_warned_about_and_left_out(rules: Path, tmp_path: Path):
    """The other rules run."""
    write_rule(rules / "broken.toml", "process where", OTHER_RULE_ID)

    result = replay("--rules", rules, "-", stdin=ndjson([event(1)]))

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert f"Warning: rule left out: {rules}/broken.toml:" in result.stderr


def test_without_any_rule_nothing_is_done(tmp_path: Path):
    """A folder in which no rule loads is a wrong setting, not a quiet zero."""
    write_rule(tmp_path / "broken.toml", "process where")
    events = tmp_path / "events"
    events.write_bytes(ndjson([event(1)]))
    result = replay("--rules", tmp_path / "broken.toml", "--alerts", tmp_path / "out", events)

    assert result.exit_code == 2
    assert "Error: no rule could be loaded from " in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.ndjson"], "none.ndjson: No such file or directory"),
        (["--rules", "nowhere", "{events}"], "nowhere: no such file or folder of rules"),
        (["--alerts", "{events}", "{events}"], "is named twice; it would be overwritten"),
        (["--alerts", "{out}", "--summary", "{out}", "{events}"], "is named twice"),
        (["--alerts", "/nowhere/a", "{events}"], "/nowhere/a: No such file or directory"),
    ],
)
def test_wrong_paths_are_told_before_anything_is_read(args, message, tmp_path, rules):
    """Exit code 2, one message, and the input is untouched."""
    events = tmp_path / "events"
    events.write_bytes(ndjson([event(1)]))
    args = [arg.format(events=events, out=tmp_path / "out") for arg in args]

    result = replay(*([] if "--rules" in args else ["--rules", rules]), *args)

    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stdout == ""
    assert events.read_bytes() == ndjson([event(1)])


def test_cut_file_is_evaluated_up_to_the_cut(rules: Path, tmp_path: Path):
    """What could be read is not lost, other files are read, and the exit code says 1."""
    cut, whole, summary = tmp_path / "cut.gz", tmp_path / "whole", tmp_path / "summary"
    cut.write_bytes(gzip.compress(ndjson([event(1), event(2)]))[:-8])
    whole.write_bytes(ndjson([event(3)]))

    result = replay("--rules", rules, "--summary", summary, cut, whole)

    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 3
    fault = f"{cut}: truncated gzip stream, ends after line 2"
    assert result.stderr.endswith(f"Error: {fault}\n")
    found = json.loads(summary.read_text())
    assert (found["complete"], found["faults"]) == (False, [fault])


def test_shipped_rules_are_the_default(tmp_path: Path):
    """A web shell under Exchange's worker fires the shipped rule."""
    shell = event(
        1,
        process={
            "name": "cmd.exe",
            "pe": {"original_file_name": "Cmd.Exe"},
            "parent": {"name": "w3wp.exe", "args": ["w3wp.exe", "-ap", "MSExchangeOWAAppPool"]},
        },
        host={"id": "h", "os": {"type": "windows"}},
    )
    result = replay("-", stdin=ndjson([shell, event(2, "notepad.exe")]))

    (alert,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert alert["kibana.alert.rule.rule_id"] == "f81ee52c-297e-46d9-9205-07e66931df26"


def test_settings_of_the_engine_hold(rules: Path, monkeypatch: pytest.MonkeyPatch):
    """What turns something off in the worker turns it off here; a wrong one stops the start."""
    variable = "STREAMPROC_DEFAULT_CONTEXT_REQUESTS"
    monkeypatch.setenv(variable, "false")
    quiet = replay("--rules", rules, "-", stdin=ndjson([event(1)]))
    monkeypatch.setenv(variable, "perhaps")
    wrong = replay("--rules", rules, "-", stdin=ndjson([event(1)]))

    assert ": 1 alert, 0 context requests, " in quiet.stderr
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert variable in wrong.stderr


def test_many_rules_are_summed_up_in_ten_lines(tmp_path: Path):
    """The closing lines stay on the screen; the summary has every rule."""
    for number in range(12):
        write_rule(tmp_path / f"{number}.toml", WEB_SHELL, f"rule-{number}", f"Rule {number}")
    summary = tmp_path / "summary"

    result = replay("--rules", tmp_path, "--summary", summary, "-", stdin=ndjson([event(1)]))

    assert len(result.stderr.splitlines()) == 12
    assert "          and 2 more rules (all: --summary FILE)\n" in result.stderr
    assert len(json.loads(summary.read_text())["alerts_by_rule"]) == 12


def test_sequences_are_found_at_the_end_of_the_input_too(tmp_path: Path):
    """Out of order in the file, within the lateness: both events' alerts and the shell."""
    query = "sequence by host.id with maxspan=1m [process where true] [file where true]"
    write_rule(tmp_path / "rules" / "sequence.toml", query, OTHER_RULE_ID)
    second = event(2, event={"category": ["file"], "id": "second"})
    result = replay("--rules", tmp_path / "rules", "-", stdin=ndjson([second, event(1)]))

    assert result.exit_code == 0
    alerts = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(alerts) == 3
    assert len({alert["kibana.alert.group.id"] for alert in alerts}) == 1


def _pair_rule(tmp_path: Path) -> Path:
    query = "sequence by host.id with maxspan=1m [process where true] [file where true]"
    return write_rule(tmp_path / "rules" / "sequence.toml", query, OTHER_RULE_ID)


def _file_event(number: int) -> dict[str, Any]:
    return event(number, event={"category": ["file"], "id": f"event-{number}"})


# What the files hold, and the ids of the events of each sequence.
FILES = {
    "the second goes on": ([[event(1)], [_file_event(2)]], [("event-1", "event-2")]),
    # Shuffled within the lateness, and a whole lot earlier than the first file.
    "the second goes back in time": (
        [[event(45), _file_event(55)], [_file_event(4), event(3), event(7), _file_event(8)]],
        [("event-3", "event-4"), ("event-45", "event-55"), ("event-7", "event-8")],
    ),
}


@pytest.mark.parametrize(("files", "expected"), FILES.values(), ids=FILES.keys())
def test_sequences_go_on_from_file_to_file(files, expected, tmp_path: Path):
    """Several files are one stream; one that goes back in time is not late for that."""
    rule = _pair_rule(tmp_path)
    paths = [tmp_path / f"{number}.ndjson" for number in range(len(files))]
    for path, events in zip(paths, files, strict=True):
        path.write_bytes(ndjson(events))

    result = replay("--rules", rule, *paths)

    assert result.exit_code == 0, result.output
    groups: dict[str, list[str]] = {}
    for alert in map(json.loads, result.stdout.splitlines()):
        if "kibana.alert.group.index" in alert:
            groups.setdefault(alert["kibana.alert.group.id"], []).append(alert["event"]["id"])
    assert sorted(map(tuple, groups.values())) == expected


def test_what_sequences_did_not_use_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An event that comes too late, and the first of two sequences in room for one."""
    monkeypatch.setenv("STREAMPROC_SEQUENCE_KEYS_MAX", "1")
    query = "sequence by host.id [process where true] [file where true] [any where false]"
    rule = write_rule(tmp_path / "rules" / "sequence.toml", query, OTHER_RULE_ID)
    summary = tmp_path / "summary"
    other = {"host": {"id": "host-2"}}
    events = [
        event(1),
        _file_event(2),
        event(3, **other),
        _file_event(4) | other,
        event(55),
        event(0),
    ]

    result = replay("--rules", rule, "-", "--summary", summary, stdin=ndjson(events))

    assert json.loads(summary.read_text())["sequences"] == {
        "late_events": 1,
        "released_early": 0,
        "evicted": {OTHER_RULE_ID: 1},
    }
    assert "1 event came too late for sequences" in result.stderr
    assert "1 partial sequence was forgotten" in result.stderr


PATIENCE_S = 120


def start_replay(*args: object, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "streamproc", "replay", *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **(pipes | options))


def test_live_input_gives_alerts_as_it_comes_and_ctrl_c_ends_it(rules: Path):
    """``tail -f | streamproc replay -`` works; Ctrl-C ends with one word and 130."""
    with start_replay("--rules", rules, "-") as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        for number in range(2):
            process.stdin.write(ndjson([event(number)]))
            process.stdin.flush()
            alert = json.loads(process.stdout.readline())
            assert alert["process"]["pid"] == 100 + number
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr.read().strip() == b"Interrupted."


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_goes_away_ends_it_quietly(unbuffered: str, rules: Path, tmp_path: Path):
    """``streamproc replay ... | head -1`` prints no traceback."""
    events = tmp_path / "events"
    events.write_bytes(ndjson([event(number) for number in range(500)]))
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with start_replay("--rules", rules, events, env=environment) as process:
        assert process.stdout and process.stderr  # noqa: PT018
        json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 141
        assert process.stderr.read() == b""


def read_terminal(terminal: int, until: bytes, deadline_s: float = PATIENCE_S) -> bytes:
    """Read what is drawn until a text appears or the other side closes."""
    drawn = b""
    end_s = time.monotonic() + deadline_s
    while until not in drawn and time.monotonic() < end_s:
        try:
            drawn += os.read(terminal, 65_536)
        except OSError:  # Linux reports the closed side so
            break
    return drawn


def test_progress_bar_is_for_terminals(rules: Path, tmp_path: Path):
    """Standard error on a terminal draws a bar and wipes it; the result is untouched."""
    events = tmp_path / "events"
    events.write_bytes(ndjson([event(number) for number in range(3)]))
    terminal, side = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with start_replay("--rules", rules, events, stderr=side, env=environment) as process:
        os.close(side)
        drawn = read_terminal(terminal, b"dead letters.")
        assert process.stdout
        assert len(process.stdout.read().splitlines()) == 3
        assert process.wait(PATIENCE_S) == 0
    os.close(terminal)

    assert b"Replaying" in drawn
    assert b"3 events, " in drawn
    assert b"Replayed 3 events" in drawn
