"""What people see: tables that line up, numbers that can be read."""

import pytest
from rich.console import Console

from streamproc.cli.console import Column, count, print_table, size

COLUMNS = [Column("Name", is_elastic=True), Column("Hits", is_number=True), Column("Id")]
ROWS = [("a rule of many words", "7", "id-1"), ("規則", "1,234", "id-2")]


def test_table_in_a_pipe_is_aligned_and_whole(capsys):
    """One line a row, whatever its length; wide glyphs count double; no trailing blanks."""
    print_table(COLUMNS, [*ROWS, ("x" * 300, "0", "")])

    assert capsys.readouterr().out.splitlines()[-3:] == [
        f"{'a rule of many words':300}      7  id-1",
        f"{'規則':298}  1,234  id-2",
        f"{'x' * 300}      0",
    ]


def test_table_on_a_narrow_terminal_folds_elastic_columns_only(capsys, monkeypatch):
    """Nothing is cut: the name goes on in the next line, the id stays in one."""
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("COLUMNS", "24")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(COLUMNS, ROWS)

    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        f"{'a rule of':12}      7  id-1",
        "many words",
        f"{'規則':10}  1,234  id-2",
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rules"), (1, "1 rule"), (2_000, "2,000 rules")]
)
def test_count_agrees_with_its_noun(number: int, text: str):
    """One rule, two rules, and thousands apart."""
    assert count(number, "rule") == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (34_500_000, "34.5 MB"),
        (5 * 10**15, "5,000.0 TB"),
    ],
)
def test_size_has_a_decimal_unit(size_bytes: int, text: str):
    """Units of a thousand, as disks and Kafka dashboards show them."""
    assert size(size_bytes) == text
