"""``streamproc rules check``: what loads, what does not and where, for people and for scripts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from streamproc.cli import main
from streamproc.cli.rules import excerpt
from tests.cli.samples import OTHER_RULE_ID, SHELL_RULE_ID, write_rule

GOOD = 'process where process.name : "cmd.exe"'


def check(*args: object) -> Result:
    return CliRunner().invoke(main, ["rules", "check", *map(str, args)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One good rule, one whose query is wrong, one in another language, a rule's test."""
    folder = tmp_path / "rules"
    write_rule(folder / "good.toml", GOOD)
    write_rule(
        folder / "wrong.toml", 'process where\n  process.name : : "x"', OTHER_RULE_ID, "Wrong"
    )
    other = write_rule(folder / "other.toml", "host.name : x", "kuery", "Other").read_text()
    (folder / "other.toml").write_text(
        other.replace('"eql"', '"query"', 1).replace('"eql"', '"kuery"')
    )
    (folder / "good.test.toml").write_text("[[case]]")
    return folder


def test_json_has_the_three_lists(folder: Path):
    """Keys, places counted from 1 and paths as the user named them."""
    result = check(folder, "--format", "json")
    found = json.loads(result.stdout)

    assert result.exit_code == 1
    assert found["loaded"] == [
        {
            "path": f"{folder}/good.toml",
            "rule_id": SHELL_RULE_ID,
            "name": "Shell of the web server",
            "version": 3,
        }
    ]
    (rejected,) = found["rejected"]
    reason = rejected.pop("reason")
    assert rejected == {"path": f"{folder}/wrong.toml", "line": 17, "column": 18}
    assert "\n" not in reason
    assert [item["path"] for item in found["skipped"]] == [f"{folder}/other.toml"]
    assert all(item.keys() == {"path", "reason"} for item in found["skipped"])


def test_table_says_the_same_and_underlines_the_fault(folder: Path):
    """Whole aligned lines in a pipe, the fault last with its line and a caret, then the totals."""
    result = check(folder)
    lines = result.stdout.splitlines()

    assert result.exit_code == 1
    header = next(line for line in lines if line.startswith("Rule "))
    row = next(line for line in lines if SHELL_RULE_ID in line)
    assert row.index(SHELL_RULE_ID) == header.index("Rule id")
    assert row.endswith(f"{folder}/good.toml")
    assert lines[-1] == "1 rule loaded, 1 rejected, 1 skipped."
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{folder}/wrong.toml:17:18: "))
    assert lines[at + 1] == '    17 |   process.name : : "x"'
    assert lines[at + 2] == "       |" + " " * 18 + "^"
    assert not [line for line in lines if line != line.rstrip()]


def test_all_in_order_ends_with_0(tmp_path: Path):
    """Skipped files and warnings are no failure."""
    write_rule(tmp_path / "good.toml", GOOD)

    result = check(tmp_path)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 rule loaded, 0 rejected, 0 skipped."


def test_shipped_rules_are_in_order():
    """What the project ships loads without a rejection or a warning."""
    result = check("shipped", "--format", "json")
    found = json.loads(result.stdout)

    assert result.exit_code == 0
    assert {rule["rule_id"]: rule["version"] for rule in found["loaded"]} == {
        "f81ee52c-297e-46d9-9205-07e66931df26": 316,
        "483c4daf-b0c6-49e0-adf3-0bfa93231d6b": 100,
    }
    assert (found["rejected"], found["warnings"]) == ([], [])


def test_missing_path_is_an_error_before_anything_is_loaded(folder: Path):
    """A misspelt path must not look like an empty folder."""
    result = check(folder, "nowhere")

    assert result.exit_code == 2
    assert result.output == "Error: nowhere: no such file or folder of rules\n"


def test_many_rules_do_not_drown_a_fault_on_a_terminal(folder: Path, monkeypatch):
    """At 80 columns every line fits, ids stay whole, and the fault stands near the end."""
    for number in range(500):
        rule_id = f"00000000-0000-4000-9000-{number:012}"
        write_rule(
            folder / f"{number}.toml", GOOD, rule_id, f"A rule with a rather long name {number}"
        )
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    lines = check(folder).stdout.splitlines()

    ids = [line[-36:] for line in lines if "0000-4000-9000" in line]
    assert len({rule_id for rule_id in ids if len(rule_id.split("-")) == 5}) == 500
    assert all(len(line) <= 80 for line in lines if "rather long name" in line)
    assert sum("long name" in line for line in lines) == 500
    assert any(f"{folder}/wrong.toml:17:18: " in line for line in lines[-6:])


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("abc", 2, ["     1 | abc", "       |  ^"]),
        ("\tabc", 2, ["     1 | \tabc", "       | \t^"]),
        ("abc", 0, ["     1 | abc"]),
        ("x" * 300 + "!", 301, ["     1 | ..." + "x" * 40 + "!", "       | " + " " * 43 + "^"]),
        ("!" + "x" * 300, 1, ["     1 | !" + "x" * 99 + "...", "       | ^"]),
    ],
)
def test_excerpt_puts_the_caret_under_the_place(tmp_path, line, column, expected):
    """Long lines are cut around the fault; tabs stay tabs."""
    path = tmp_path / "rule.toml"
    path.write_text(line + "\nsecond\n")

    assert excerpt(path, 1, column) == expected


def test_excerpt_of_what_is_not_there_is_nothing(tmp_path):
    """A place that the file does not have costs the excerpt, not the report."""
    assert excerpt(tmp_path / "none", 1, 1) == []


def test_a_folder_without_rules_does_not_pass(tmp_path):
    """A wrong path in a pipeline must not look like rules in order."""
    result = CliRunner().invoke(main, ["rules", "check", str(tmp_path)])

    assert result.exit_code == 1
    assert f"no rule file (*.toml) in {tmp_path}" in result.stderr
