"""Writes the dashboards of ``helm/streamproc/dashboards`` from ``panels``.

``python -m tests.observability.dashboards`` brings them up to date; a test fails while they are
stale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models

from tests.observability.panels import BOARDS, Board, Panel, Query

FOLDER = Path(__file__).resolve().parents[2] / "helm" / "streamproc" / "dashboards"
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

GROUP = 'namespace=~"$namespace",job=~"$job"'
SELECTOR = f'{GROUP},instance=~"$instance"'
RATE = "$__rate_interval"
_HEIGHT = {"stat": 4}
_DIMENSIONS = ("namespace", "job", "instance")

# Marks on every panel: when rules changed, and when a worker started.
MARKS = {
    "Rules changed": (
        f'changes(streamproc_ruleset_last_reload_success_timestamp_seconds{{{SELECTOR}}}[1m]) > 0',
        "blue",
    ),
    "Worker started": (
        f"changes(process_start_time_seconds{{{SELECTOR}}}[1m]) > 0"
        f" and on (instance) streamproc_build_info{{{SELECTOR}}}",
        "orange",
    ),
}  # fmt: skip


def expand(expr: str) -> str:
    """The query with its selectors and its window filled in, as Grafana gets it."""
    expr = re.sub(r"\bSEL\b", lambda _: SELECTOR, expr)
    return re.sub(r"\bGROUP\b", lambda _: GROUP, expr).replace("[RATE]", f"[{RATE}]")


def queries(board: Board) -> Iterator[tuple[str, str]]:
    """Each panel's title and query, those of variables and marks too."""
    for row in board.rows:
        for panel in row.panels:
            for query in panel.queries:
                yield panel.title, expand(query.expr)
    for name, (expr, _) in MARKS.items():
        yield name, expr


def files() -> dict[Path, str]:
    """Path to content of every dashboard."""
    return {FOLDER / f"{board.name}.json": render(board) for board in BOARDS}


def render(board: Board) -> str:
    """The dashboard as Grafana imports it, keys in a fixed order."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.name)
        .description(board.description)
        .tags(["streamproc"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("streamproc")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["streamproc"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
    )
    for position, name in enumerate(_DIMENSIONS):
        built = built.with_variable(_dimension(name, _DIMENSIONS[:position]))
    for name, (expr, color) in MARKS.items():
        built = built.annotation(
            dashboard.AnnotationQuery()
            .name(name)
            .datasource(SOURCE)
            .enable(True)
            .icon_color(color)
            .expr(expr)
        )
    for row in board.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(_panel(panel))
    return json.dumps(built.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _dimension(name: str, outer: tuple[str, ...]) -> dashboard.QueryVariable:
    """A variable with all values of a label among those chosen so far; all of them at first."""
    chosen = ",".join(f'{label}=~"${label}"' for label in outer)
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(f"label_values(streamproc_build_info{{{chosen}}}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all", selected=True))
    )


def _panel(panel: Panel) -> Any:
    built: Any = {
        "stat": _stat,
        "lines": _lines,
        "bars": _bars,
        "table": _table,
        "heatmap": _heatmap,
    }[panel.kind](panel)
    built = (
        built.title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .span(panel.width)
        .height(_HEIGHT.get(panel.kind, 8))
    )
    for position, query in enumerate(panel.queries):
        built = built.with_target(_target(query, panel.kind, chr(ord("A") + position)))
    return built


def _target(query: Query, kind: str, letter: str) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .expr(expand(query.expr))
        .legend_format(query.legend or "__auto")
        .ref_id(letter)
    )
    if kind == "table":
        return target.instant().format("table")
    return target.instant() if kind == "stat" else target.range()


def _stat(panel: Panel) -> stat.Panel:
    built = (
        stat.Panel()
        .unit(panel.unit)
        .no_value("no data")
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common_models.BigValueColorMode.BACKGROUND)
        .graph_mode(common_models.BigValueGraphMode.NONE)
    )
    return built.thresholds(_thresholds(panel))


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    """Green to red or red to green, whichever way ``good`` and ``bad`` lie; blue without them."""
    steps = [models.Threshold(value=None, color="blue")]
    if panel.good is not None and panel.bad is not None:
        low, high = sorted((panel.good, panel.bad))
        is_more_better = panel.good > panel.bad
        steps = [models.Threshold(value=None, color="red" if is_more_better else "green")]
        if is_more_better:
            steps += [models.Threshold(value=low, color="orange")] if low > 0 else []
            steps += [models.Threshold(value=high, color="green")]
        else:
            steps += [models.Threshold(value=low, color="orange")] if high - low > 1 else []
            steps += [models.Threshold(value=high, color="red")]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(panel: Panel) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .unit(panel.unit)
        .min(0)
        .line_width(1)
        .fill_opacity(8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def _bars(panel: Panel) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .unit(panel.unit)
        .min(0)
        .draw_style(common_models.GraphDrawStyle.BARS)
        .fill_opacity(70)
        .stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
        .legend(_legend())
        .tooltip(_tooltip())
    )


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
        .show_legend(True)
    )


def _tooltip() -> common.VizTooltipOptions:
    return (
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )


def _table(panel: Panel) -> table.Panel:
    hidden = models.DataTransformerConfig(
        id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": {}}
    )
    return table.Panel().unit(panel.unit).with_transformation(hidden)


def _heatmap(panel: Panel) -> heatmap.Panel:
    return (
        heatmap.Panel()
        .unit(panel.unit)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
        )
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, content in files().items():
        path.write_text(content)
