"""The live picture: everything in its place at every width."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from streamproc.demo.view import Picture, format_share, sparkline
from tests.demo.states import ALERTS, UM_NAME, WORKER_NAME, make_alert, make_snapshot

WIDTHS = (60, 80, 100, 120, 140, 180)


def draw(snapshot, width: int, height: int = 40) -> list[str]:
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True
    )
    console.print(Picture(snapshot))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("alerts", [(), ALERTS], ids=["no alerts", "alerts"])
def test_nothing_overflows(width: int, alerts):
    """No line is longer than the terminal, and every framed line is exactly as wide as it."""
    lines = draw(make_snapshot(alerts), width)
    assert max(cell_len(line) for line in lines) == width
    framed = [line for line in lines if line.startswith(("╭", "│", "╰"))]
    assert {cell_len(line) for line in framed} == {width}
    assert all(line[-1] in "╮│╯" for line in framed)


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_line_up(width: int):
    """Each alert's severity and host stand under their headings, the narrow form included."""
    lines = draw(make_snapshot(ALERTS), width)
    heading = next(line for line in lines if "severity" in line)
    hosts = [line for line in lines if "EXCH0" in line]
    assert len(hosts) == 3
    for line, severity in zip(hosts, ("high", "high", "medium"), strict=True):
        assert line.index(severity) == heading.index("severity")
        assert line.index("EXCH0") == heading.index("host")


def test_long_host_name_is_cut():
    """It must not push the rest of the line away."""
    text = "\n".join(draw(make_snapshot((make_alert(1, host="A-RATHER-LONG-HOST-NAME"),)), 80))
    assert "A-RATHER-LONG…  5 resolved" in text


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (80, ("Exchange worker", "Exchange UM ")),
        (140, (WORKER_NAME, UM_NAME)),
        (180, (WORKER_NAME, UM_NAME)),
    ],
)
def test_rule_names_fit_the_width(width: int, names: tuple[str, str]):
    """Short names where it is narrow, the rules' own elsewhere; never a cut one."""
    text = "\n".join(draw(make_snapshot(ALERTS), width))
    assert all(name in text for name in names)


@pytest.mark.parametrize("width", [80, 140, 180])
def test_alert_shows_process_and_context(width: int):
    """Parent, child, start of the command line (markup is text), requests by status."""
    text = "\n".join(draw(make_snapshot(ALERTS), width))
    assert "w3wp.exe > cmd.exe  cmd.exe /c whoami" in text
    assert "UMWorkerProcess.exe > umperf.exe  C:\\Windows\\Temp\\[bo" in text
    assert "5 resolved" in text
    whole = "2 resolved, 2 partial, 1 unresolvable"
    assert (whole if width > 80 else "5: 2 partial, 1 unresolvable") in text


def test_numbers_are_shown():
    """Rate, total, share ended by the prefilter, near misses."""
    text = "\n".join(draw(make_snapshot(ALERTS), 120))
    for fact in ("8,012", "57,123", "99.965 %", "24.3 MB/s", "57 near misses", "7 / 20 s"):
        assert fact in text


@pytest.mark.parametrize("width", [80, 180])
@pytest.mark.parametrize("height", [15, 24])
def test_many_alerts_keep_within_the_height(width: int, height: int):
    """The newest ones are shown; the empty last line is the cursor's."""
    alerts = tuple(make_alert(number, host=f"HOST{number:02d}") for number in range(40))
    lines = draw(make_snapshot(alerts), width, height)
    assert len(lines) <= height
    assert lines[-1].strip() == ""
    assert any("HOST39" in line for line in lines)


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        pytest.param((), 10, "", id="none"),
        pytest.param((0.0, 0.0), 10, "", id="nothing happened"),
        pytest.param((0.0, 50.0, 100.0), 10, "▁▅█", id="fewer than columns"),
        pytest.param((0.0, 0.0, 100.0, 100.0), 2, "▁█", id="neighbours averaged"),
        pytest.param(tuple([1.0] * 1000), 7, "███████", id="many"),
    ],
)
def test_sparkline(values: tuple[float, ...], width: int, expected: str):
    """From nothing to the highest value, never wider than asked."""
    assert sparkline(values, width) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(None, "-"), (0.0, "0.000 %"), (0.99965, "99.965 %"), (0.9999999, "99.999 %"), (1, "100 %")],
)
def test_share_is_not_rounded_up_to_all(share: float | None, expected: str):
    """100 % is said only when it is so."""
    assert format_share(share) == expected
