"""What the documents say about the program is so: generated tables, links, names, versions."""

from __future__ import annotations

import re
import tomllib

import click
import pytest

from streamproc.cli import COMMANDS, main
from streamproc.config import Settings
from tests.docs.blocks import read_blocks
from tests.docs.generated import (
    MEASURED,
    README,
    ROOT,
    SCALING,
    capacity_table,
    last_result,
    measured_numbers,
    parts,
    with_measured,
    with_parts,
)

DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "DECISIONS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
KINDS = {"run", "kafka", "file", "not run"}


def read(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("marker", sorted(parts()))
def test_generated_part_is_fresh(marker):
    """Settings and metrics are those of the code: run ``python -m tests.docs.generated``."""
    text = README.read_text()

    assert with_parts(text, {marker: parts()[marker]}) == text, (
        "stale: run .venv/bin/python -m tests.docs.generated"
    )


def test_scaling_guide_is_fresh():
    """Its table is what ``streamproc plan`` says of the recorded run."""
    text = SCALING.read_text()

    assert with_parts(text, {"capacity": capacity_table()}) == text, (
        "stale: run .venv/bin/python -m tests.docs.generated"
    )


def test_the_capacity_plan_uses_the_last_recorded_run():
    """``streamproc plan`` calculates with what the benchmark measured, not with older numbers."""
    source = MEASURED.read_text()

    assert with_measured(source, measured_numbers(last_result())) == source, (
        "stale: run .venv/bin/python -m tests.docs.generated"
    )


def test_benchmark_table_has_a_place():
    """The script that records a benchmark finds where its table goes, once."""
    with_parts(README.read_text(), {"benchmark": ""})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    """Every link inside the repository names a file or a heading that is there."""
    text = read(name)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        place = (ROOT / name).parent / path
        assert not path or place.exists(), target
        if heading:
            assert heading in _anchors(place.read_text() if path else text), target


def _anchors(markdown: str) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_command_block_says_what_becomes_of_it():
    """A command that nobody runs must say why."""
    for block in read_blocks(README.read_text()):
        if block.language in ("sh", "python", "toml"):
            assert block.kind in KINDS, f"line {block.line}: no marker"
        if block.kind == "not run":
            assert block.detail, f"line {block.line}: no reason"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_settings_and_modules_that_are_named_exist(name):
    """`STREAMPROC_X`, `streamproc.a.b` and `path/to/file.py` in the text are real."""
    text = read(name)
    variables = {f"STREAMPROC_{setting.upper()}" for setting in Settings.model_fields}
    variables |= {"STREAMPROC_CONFIG", "STREAMPROC_TEST_KAFKA", "STREAMPROC_TEST_REQUIRE_KAFKA"}

    assert set(re.findall(r"STREAMPROC_[A-Z_]*[A-Z]", text)) <= variables
    for path in re.findall(r"`((?:streamproc|tests|benchmarks|rules)/[\w./*-]+)`", text):
        assert list(ROOT.glob(path.rstrip("/"))), path


def test_every_command_is_in_the_readme():
    """A command or subcommand that the README does not show will not be found."""
    text = README.read_text()
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        subcommands = list(command.commands) if isinstance(command, click.Group) else [""]
        for subcommand in subcommands:
            if name != "demo":  # shown as make demo
                assert f"streamproc {name} {subcommand}".rstrip() in text


def test_change_log_opens_with_this_version():
    """The version of the package stands at the top of CHANGELOG, its lines tagged."""
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    text = read("CHANGELOG.md")
    tags = re.compile(r"- \[(CHANGE|FEATURE|PERF|BUGFIX|SECURITY)\] [a-z, ]+: ")

    assert re.search(r"^## (\S+)", text, re.MULTILINE)[1] == version
    entries = [line for line in text.splitlines() if line.startswith("- ")]
    assert entries
    assert [line for line in entries if not tags.match(line)] == []


def test_decisions_are_numbered_and_dated():
    """Headings are ``## 7. Title (2026-01-31)``, numbered from 1 without a gap."""
    headings = re.findall(r"^## (.+)$", read("DECISIONS.md"), re.MULTILINE)
    found = [re.fullmatch(r"(\d+)\. .+ \(\d{4}-\d\d-\d\d\)", heading) for heading in headings]

    assert all(found), headings
    assert [int(match[1]) for match in found] == list(range(1, len(headings) + 1))
