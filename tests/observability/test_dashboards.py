"""The dashboards are those of the code, and Grafana can tell them apart."""

from __future__ import annotations

import orjson

from tests.observability.dashboards import BOARDS, FOLDER, files


def test_dashboards_are_fresh():
    """Run ``python -m tests.observability.dashboards`` after a change of ``panels.py``."""
    assert {path: path.read_text() for path in sorted(FOLDER.glob("*.json"))} == files()


def test_each_dashboard_has_its_own_name():
    """Grafana replaces a dashboard by one with the same uid."""
    boards = [orjson.loads(content) for content in files().values()]

    assert len({board["uid"] for board in boards}) == len(BOARDS)
    assert len({board["title"] for board in boards}) == len(BOARDS)


def test_panels_say_what_they_show():
    """Each has a title, a query, and a place beside the others without covering them."""
    for content in files().values():
        panels = [panel for panel in orjson.loads(content)["panels"] if panel["type"] != "row"]
        places = set()
        for panel in panels:
            assert panel["title"]
            assert all(target["expr"] for target in panel["targets"])
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & places, panel["title"]
            assert at["x"] + at["w"] <= 24
            places |= cells
