"""The tables and the chart show what the results document holds, and what it could not hold."""

from __future__ import annotations

from io import StringIO
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks.chart import chart
from benchmarks.machine import machine_name
from benchmarks.report import as_markdown, on_terminal, readme_part, tables
from benchmarks.stages.latency import percentile
from tests.benchmarks.documents import document

SVG = "{http://www.w3.org/2000/svg}"


def _texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own text


def test_targets_tell_met_missed_and_why_not_measured():
    """The first table, whatever else there is."""
    first = tables(document())[0]

    assert first.rows == [
        ("two rules / bare loop", ">= 0.45", "0.50", "met"),
        ("corpus / Quix Streams", ">= 10", "not measured", "no network"),
        ("p99", "<= 100 ms", "120 ms", "missed"),
    ]


def test_every_stage_has_a_table_and_names_what_was_left_out():
    """Nothing is left out in silence."""
    found = {table.title.split(",")[0].split(" ")[0]: table for table in tables(document())}
    cells = [cell for table in found.values() for row in table.rows for cell in row]

    assert len(found) == 7
    assert "not measured: there is no cargo" in cells
    assert "not measured: no large rule set" in cells


def test_all_rows_are_as_wide_as_their_headings():
    """Also those of what was not measured."""
    for table in tables(document()):
        assert {len(row) for row in table.rows} == {len(table.headings)}, table.title


def test_stages_that_did_not_run_have_no_table():
    """A run of one stage shows that one."""
    alone = document()
    alone["stages"] = {"latency": alone["stages"]["latency"]}
    alone["targets"] = []

    assert [table.headings[0] for table in tables(alone)] == ["rules"]


def test_terminal_shows_every_cell():
    """The verdict as a word, not as a colour alone."""
    console = Console(width=160, file=StringIO())
    for table in tables(document()):
        console.print(on_terminal(table))
    text = console.file.getvalue()

    for table in tables(document()):
        for row in table.rows:
            assert all(cell in text for cell in row)


def test_markdown_table_is_aligned_to_the_right_for_numbers():
    """As GitHub reads it."""
    lines = as_markdown(tables(document())[0]).splitlines()

    assert lines[:2] == ["| what | target | measured |  |", "| --- | ---: | ---: | ---: |"]
    assert len(lines) == 5


def test_readme_part_shows_machine_chart_and_all_tables():
    """With the load, so that a reader knows of neighbours."""
    part = readme_part(document(), "benchmarks/results/x.svg")

    assert "load average 0.5 to 2.2" in part
    assert "](benchmarks/results/x.svg)" in part
    assert part.count("| ---: |") >= 1
    for table in tables(document()):
        assert as_markdown(table) in part


def test_chart_draws_bars_curves_and_loads():
    """Well-formed, with the numbers as text, and nothing outside of the picture."""
    svg = chart(document())
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
    bars = [r for r in root.iter(f"{SVG}rect") if r.get("class") in {"ours", "other"}]
    dots = list(root.iter(f"{SVG}circle"))

    widths = [float(bar.get("width")) for bar in bars]
    assert widths[1] == pytest.approx(widths[0] * 0.4)
    assert "100,000" in _texts(svg)
    assert len(dots) == 3 + 4
    for dot in dots:
        assert 0 < float(dot.get("cx")) < float(root.get("width"))
        assert 0 < float(dot.get("cy")) < float(root.get("height"))


def test_chart_has_a_background_of_its_own_and_follows_the_colour_scheme():
    """Readable on a light and on a dark page."""
    svg = chart(document())

    assert '<rect class="page"' in svg
    assert "prefers-color-scheme: dark" in svg


def test_chart_of_one_stage_leaves_the_others_out():
    """No empty axes."""
    alone = document()
    alone["stages"] = {"rules": alone["stages"]["rules"]}

    titles = [text for text in _texts(chart(alone)) if "Milliseconds" in text]
    assert titles == []


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)]
)
def test_percentile_is_the_nearest_rank(share, expected):
    """A value that was measured, never one between two."""
    assert percentile(list(range(1, 101)), share) == expected


def test_machine_name_is_fit_for_a_file_name():
    """No brackets, no clock rate."""
    facts = {"processor": "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "cores": 8}

    assert machine_name(facts) == "intel-xeon-e5-2680-v4-8-cores"
