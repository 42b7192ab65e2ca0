"""Rule files become rules, and every fault comes back with its place."""

import json
import os
from pathlib import Path

import pytest

from streamproc.errors import RuleError
from streamproc.ruleset import Investigation, load_rules, rule_from_query
from streamproc.ruleset.changes import changes
from streamproc.ruleset.ruleset import Skipped

QUERY = 'process where process.name : "cmd.exe"'
KEYS = {
    "rule_id": "id-1",
    "name": "A rule",
    "description": "What it finds",
    "type": "eql",
    "language": "eql",
    "severity": "high",
    "risk_score": 73,
    "query": QUERY,
}


def toml(metadata=None, more="", **keys):
    """The text of a rule file: KEYS with changes; None leaves a key out."""
    lines = ["[metadata]", 'maturity = "production"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in (metadata or {}).items()]
    lines += ["[rule]"]
    merged = {**KEYS, **keys}
    lines += [f"{key} = {json.dumps(value)}" for key, value in merged.items() if value is not None]
    return "\n".join([*lines, more, ""])


@pytest.fixture
def load(tmp_path):
    """Write files below a folder, by relative path, and load the folder."""

    def write_and_load(**files):
        for name, content in files.items():
            write(tmp_path / f"{name}.toml", content)
        return load_rules([tmp_path])

    return write_and_load


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def place(error):
    return Path(error.path).name, error.line, error.column


def test_a_rule_is_read_whole(load):
    """Every key arrives; text that wraps is joined; dates become UTC."""
    loaded = load(
        a=toml(
            {"creation_date": "2021/03/08", "min_stack_version": "9.3.0"},
            description="\nTwo\n  lines. \n",
            note="## Guide\n\nkeeps its lines",
            index=["logs-*"],
            tags=["T"],
            version=7,
            max_signals=33,
            event_category_override="event.type",
            timestamp_field="event.ingested",
            tiebreaker_field="event.sequence",
            false_positives=["\n  One\n  line\n"],
            threat=[{"framework": "MITRE ATT&CK", "tactic": {"id": "TA0001"}}],
            investigation_fields={"field_names": ["host.id"]},
        )
        .replace('{"id": "TA0001"}', '{"id" = "TA0001"}')
        .replace(
            '{"framework": "MITRE ATT&CK", "tactic": ', '{"framework" = "MITRE ATT&CK", "tactic" = '
        )
        .replace('{"field_names": ', '{"field_names" = ')
    )

    assert loaded.rejected == ()
    (rule,) = loaded.rules
    assert rule.description == "Two lines."
    assert rule.note == "## Guide\n\nkeeps its lines"
    assert (rule.version, rule.max_signals, rule.severity, rule.risk_score) == (7, 33, "high", 73)
    assert (rule.from_, rule.to, rule.interval) == ("now-6m", "now", "5m")
    assert rule.event_category_field == "event.type"
    assert (rule.timestamp_field, rule.tiebreaker_field) == ("event.ingested", "event.sequence")
    assert rule.false_positives == ("One line",)
    assert rule.threat[0]["technique"] == []
    assert rule.investigation_fields == ("host.id",)
    assert rule.created_at == "2021-03-08T00:00:00.000Z"
    assert rule.min_stack_version == "9.3.0"
    assert rule.parameters["query"] == QUERY
    assert rule.parameters["version"] == 7
    assert not rule.is_sequence


@pytest.mark.parametrize(
    ("content", "where", "reason"),
    [
        ("[rule]\nname = = 1\n", (2, 8), "not TOML: Invalid value"),
        ("[rule]\nname = '''", (2, 11), "not TOML"),
        ("name = 1\n", (0, 0), "no [rule] table"),
        ("rule = 1\n", (1, 1), "rule must be a table"),
        (b"[rule]\nname = 'caf\xe9'\n", (2, 12), "not UTF-8"),
        (toml(rule_id=None), (3, 1), "rule.rule_id is missing"),
        (toml(rule_id=" "), (4, 1), "rule.rule_id must be a string, not empty"),
        (toml(name=5), (5, 1), "rule.name must be a string"),
        (toml(query=None), (3, 1), "rule.query is missing"),
        (toml(type=None), (3, 1), "rule.type is missing"),
        (toml(type=3), (7, 1), "rule.type must be a string"),
        (toml(severity="huge"), (9, 1), "rule.severity must be one of low, medium, high, critical"),
        (toml(severity=None), (3, 1), "rule.severity is missing"),
        (toml(risk_score="73"), (10, 1), "rule.risk_score must be a whole number, 0 to 100"),
        (toml(risk_score=101), (10, 1), "rule.risk_score must be a whole number, 0 to 100"),
        (toml(risk_score=True), (10, 1), "rule.risk_score must be a whole number, 0 to 100"),
        (toml(max_signals=0), (12, 1), "rule.max_signals must be a whole number"),
        (toml(index="logs-*"), (12, 1), "rule.index must be a list of strings"),
        (toml(tags=[1]), (12, 1), "rule.tags must be a list of strings"),
        (toml(threat=["x"]), (12, 1), "rule.threat must be a list of tables"),
        (toml(version=0), (12, 1), "rule.version must be a whole number"),
        (toml(query="process where"), (11, 23), "the query ends here"),
        (toml(query='process where x == "a" and\n ('), (11, 42), "the query ends here"),
        (toml(query=None, more="query = '''\nprocess where\n  x ==\n'''"), (13, 7), None),
        (toml(query="sample by host.id [any where true] [any where true]"), (11, 10), "`sample`"),
        (toml(query=f"{QUERY} | head 5"), (11, 51), "`| head`"),
        (toml(query=f"{QUERY}\n| tail 5"), (11, 52), "`| tail`"),
        (toml(query=None, more="query = '''\nany where a : 1\n'''"), (12, 15), "found `1`"),
        (
            toml(query=None, more="query = '''\nany where true and\n  a regex \"(\"\n'''"),
            (13, 3),
            "regular expression",
        ),
        (toml(query='any where cidrMatch(a.b, "10.0.0.0/99")'), (11, 35), "not a network"),
    ],
)
def test_a_fault_is_reported_with_its_place(load, content, where, reason):
    """TOML, keys and queries alike: file, line, and column of the first bad character."""
    loaded = load(bad=content, good=toml(rule_id="good"))

    assert [rule.rule_id for rule in loaded.rules] == ["good"]
    (error,) = loaded.rejected
    name, line, column = place(error)
    assert (name, line, column) == ("bad.toml", *where)
    assert reason is None or reason in error.reason
    assert str(error).startswith(f"{error.path}:{line}" if line else f"{error.path}: ")


def test_all_faults_of_a_file_are_reported(load):
    """One look finds them all."""
    loaded = load(bad=toml(name=1, severity="x", query="process where"))

    assert [place(error)[1] for error in loaded.rejected] == [11, 5, 9]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (toml(type="query", language="kuery"), "rule type query"),
        (toml(type="machine_learning", language=None, query=None), "rule type machine_learning"),
        (toml(type="esql", language="esql"), "rule type esql"),
        (toml(language="kuery"), "language kuery"),
        (toml().replace("production", "deprecated"), "deprecated"),
        (toml(enabled=False), "disabled: enabled = false"),
    ],
)
def test_rules_that_are_not_ours_are_skipped_with_the_reason(load, tmp_path, content, reason):
    """They are well formed, so they are no errors."""
    loaded = load(other=content)

    assert loaded.skipped == (Skipped(str(tmp_path / "other.toml"), reason),)
    assert loaded.rejected == loaded.rules == ()


def test_folders_are_searched_for_rule_files_alone(tmp_path):
    """Cases, other formats, hidden files and hidden folders are passed over."""
    write(tmp_path / "a" / "b" / "rule.toml", toml())
    for name in ("rule.test.toml", "README.md", ".rule.toml", "..2024/rule.toml", "a/x.yaml"):
        write(tmp_path / name, "no rule")
    loaded = load_rules([tmp_path])

    assert [rule.path for rule in loaded.rules] == [str(tmp_path / "a" / "b" / "rule.toml")]
    assert loaded.rejected == loaded.skipped == ()


def test_a_file_may_be_named_itself(tmp_path):
    """A file that holds no rule is skipped with the reason; one named twice is read once."""
    write(tmp_path / "rule.toml", toml())
    write(tmp_path / "rule.test.toml", "")
    write(tmp_path / "notes.md", "")
    names = ["rule.toml", "rule.test.toml", "notes.md", "rule.toml", "."]
    loaded = load_rules([tmp_path / name for name in names])

    assert len(loaded.rules) == 1
    assert [Path(skipped.path).name for skipped in loaded.skipped] == ["rule.test.toml", "notes.md"]
    assert loaded.warnings == ()


def test_paths_that_cannot_be_read_are_errors(tmp_path):
    """A missing path, a broken link and a pipe are named; the rest is loaded."""
    write(tmp_path / "good.toml", toml())
    (tmp_path / "link.toml").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    loaded = load_rules([tmp_path / "nowhere", tmp_path / "pipe", tmp_path])

    assert [place(error)[0] for error in loaded.rejected] == ["nowhere", "pipe", "link.toml"]
    assert len(loaded.rules) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error(tmp_path):
    """The reason is the operating system's."""
    write(tmp_path / "rule.toml", toml())
    (tmp_path / "rule.toml").chmod(0)
    (error,) = load_rules([tmp_path]).rejected

    assert "Permission denied" in error.reason


def test_an_empty_folder_is_worth_a_warning(tmp_path):
    """Whoever names a folder expects rules in it."""
    assert "no rule files" in load_rules([tmp_path]).warnings[0]


def checkout(root, lock):
    """A detection-rules checkout with two rule folders and other TOML files."""
    write(root / "rules" / "windows" / "a.toml", toml(rule_id="a"))
    write(root / "rules" / "_deprecated" / "d.toml", toml(rule_id="d"))
    write(root / "rules_building_block" / "b.toml", toml(rule_id="b", version=3))
    write(root / "hunting" / "h.toml", "[hunt]")
    write(root / "pyproject.toml", "[project]")
    write(root / "detection_rules" / "etc" / "version.lock.json", lock)
    return root


def test_a_checkout_has_its_versions_in_the_lock(tmp_path):
    """Only its rule folders are read; a rule that is not in the lock keeps its own version."""
    root = checkout(tmp_path / "checkout", json.dumps({"a": {"version": 316}, "x": {}}))
    loaded = load_rules([root])

    assert {rule.rule_id: rule.version for rule in loaded.rules} == {"a": 316, "b": 3}
    assert loaded.rejected == ()
    assert [skipped.reason for skipped in loaded.skipped] == ["deprecated"]


@pytest.mark.parametrize("inside", ["rules", "rules/windows", "rules/windows/a.toml"])
def test_the_lock_is_found_from_inside_a_checkout(tmp_path, inside):
    """A part of a checkout has the versions of the whole."""
    root = checkout(tmp_path, json.dumps({"a": {"version": 316}}))

    assert load_rules([root / inside]).rules[0].version == 316


def test_a_broken_lock_is_an_error_and_stops_nothing(tmp_path):
    """The rules load with their own versions."""
    root = checkout(tmp_path, "{")
    loaded = load_rules([root])

    assert [place(error)[0] for error in loaded.rejected] == ["version.lock.json"]
    assert {rule.version for rule in loaded.rules} == {1, 3}


def test_of_two_rules_with_one_id_the_higher_version_is_kept(load, tmp_path):
    """The other is listed as skipped, with a warning that names both files."""
    loaded = load(old=toml(version=2, name="Old"), new=toml(version=10, name="New"))

    assert [rule.name for rule in loaded.rules] == ["New"]
    (skipped,) = loaded.skipped
    assert skipped.path == str(tmp_path / "old.toml")
    assert "version 10" in skipped.reason
    (warning,) = loaded.warnings
    assert str(tmp_path / "old.toml") in warning
    assert str(tmp_path / "new.toml") in warning


def test_progress_is_told_after_every_file(tmp_path):
    """Broken files count, too."""
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.toml", toml(rule_id=name) if name != "b" else "x")
    calls = []
    load_rules([tmp_path], progress=lambda done, total: calls.append((done, total)))

    assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (toml(rule_name_override="x"), "rule.rule_name_override is not applied"),
        (toml(description=None), "rule.description is missing"),
        (toml(query="sequence by user.id [any where true] [any where true]"), "not by host"),
        (
            toml(query="sequence [any where true] by host.id [any where true] by user.id"),
            "host.id, user.id",
        ),
        (
            toml(
                more="[[transform.investigate]]\nlabel='L'\nrelativeFrom='soon'\n"
                "providers=[[{field='host.id',queryType='phrase',value='x'}]]"
            ),
            "'soon' starts neither with now nor with a date",
        ),
        (toml(more="[[transform.investigate]]\nlabel='L'"), "transform.investigate[0]"),
    ],
)
def test_odd_rules_run_with_a_warning(load, tmp_path, content, warning):
    """The sentence opens with the path."""
    loaded = load(odd=content)

    assert len(loaded.rules) == 1
    assert loaded.warnings[0].startswith(f"{tmp_path / 'odd.toml'}: ")
    assert warning in loaded.warnings[0]


@pytest.mark.parametrize(
    "keys",
    [
        "by host.id [any where true] [any where true]",
        "by process.entity_id [any where true] [any where true]",
        "[any where true] by process.entity_id [any where true] by process.parent.entity_id",
        "by user.id [any where true] by host.id [any where true] by agent.id",
    ],
)
def test_sequences_by_host_need_no_warning(load, keys):
    """At one position of the keys every step has a field that only one host's events share."""
    loaded = load(sequence=toml(query=f"sequence {keys}"))

    assert loaded.warnings == ()
    assert loaded.rules[0].is_sequence
    assert len(loaded.rules[0].matchers) == 2


def test_a_byte_order_mark_is_no_fault(load):
    """Editors on Windows write one."""
    assert len(load(bom=b"\xef\xbb\xbf" + toml().encode()).rules) == 1


def test_a_table_of_the_file_is_a_query_of_the_rule(load):
    """With upstream's pointer to a table that is not there, which stays as it stands."""
    more = (
        "note = 'Look: $investigate_0, $investigate_2'\n"
        "[[transform.investigate]]\nlabel = 'L'\nrelativeFrom = 'now-1h'\nrelativeTo = 'now'\n"
        "providers = [[{excluded = true, field = 'host.id', queryType = 'exists', value = ''}]]"
    )
    (rule,) = load(guide=toml(more=more)).rules

    assert isinstance(rule.investigate[0], Investigation)
    assert rule.investigate[0].providers[0][0].is_excluded
    assert rule.note.startswith("Look: !{investigate{")
    assert rule.note.endswith(", $investigate_2")


def test_a_rule_can_be_made_of_a_query_alone():
    """For tests and for programs; faults are raised."""
    rule = rule_from_query(QUERY, rule_id="x", severity="high", tags=["T"])

    assert (rule.rule_id, rule.severity, rule.tags) == ("x", "high", ("T",))
    with pytest.raises(RuleError, match="head"):
        rule_from_query(f"{QUERY} | head 1")


def test_a_breath_is_taken_at_every_file_by_every_stage(tmp_path):
    """Metadata, names, contents and digests: no stage goes through all files in one go."""
    for number in range(20):
        write(tmp_path / f"{number}.toml", toml(rule_id=str(number)))
    one, breaths = load_rules([tmp_path]), []
    load_rules([tmp_path], breathe=lambda: breaths.append(1))
    assert len(breaths) == 4 * 20

    breaths.clear()
    changes(one, one, breathe=lambda: breaths.append(1))
    assert len(breaths) == 20


def test_work_can_be_given_up_at_any_breath(tmp_path):
    """Whoever breathes raises."""
    write(tmp_path / "a.toml", toml())

    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load_rules([tmp_path], breathe=stop)
