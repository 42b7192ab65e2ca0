"""The alert rules, by promtool: each fires when it should and stays quiet when it should."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.observability.alert_cases import CASES, Case
from tests.observability.tools import promtool

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "helm" / "streamproc" / "alerts").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks.md"
PARTS = ("Meaning", "Impact", "Diagnosis", "Fix")

ALERTS = {
    rule["alert"]: rule
    for path in FILES
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def test_every_alert_has_a_case_of_each_kind():
    """An alert that was never seen firing, or never quiet, is a guess."""
    assert {case.alert for case in CASES if case.fires} == set(ALERTS)
    assert {case.alert for case in CASES if not case.fires} == set(ALERTS)


def test_every_alert_has_a_runbook():
    """Meaning, impact, diagnosis and fix, under the heading that the alert's link names."""
    sections = dict(
        re.findall(r"^### (Streamproc\w+)\n(.*?)(?=^##|\Z)", RUNBOOKS.read_text(), re.M | re.S)
    )

    assert set(sections) == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert re.findall(r"^\*\*(\w+)\*\*", sections[name], re.M) == list(PARTS), name


@pytest.mark.observability
def test_rules_are_well_formed():
    done = subprocess.run(
        [promtool(), "check", "rules", "--lint=all", "--lint-fatal", *FILES],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.observability
@pytest.mark.parametrize(
    ("interval_min", "cases"),
    [
        (1, [case for case in CASES if case.minutes <= 120]),
        # All rules are evaluated at each step: a day of minutes would take many.
        (5, [case for case in CASES if 120 < case.minutes <= 1440]),
        (30, [case for case in CASES if case.minutes > 1440]),
    ],
    ids=["minutes", "hours", "days"],
)
def test_alerts_fire_and_stay_quiet(tmp_path, interval_min, cases):
    """All cases in a run of promtool; what it says names the case."""
    tests = {
        "rule_files": list(map(str, FILES)),
        "evaluation_interval": f"{interval_min}m",
        "tests": [as_test(case) for case in cases],
    }
    path = tmp_path / "alerts.yaml"
    path.write_text(yaml.safe_dump(tests))

    done = subprocess.run([promtool(), "test", "rules", path], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def as_test(case: Case) -> dict[str, object]:
    """A test in promtool's format: the number of firing alerts of that name at the end."""
    firing = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}} > 0) > bool 0'
    expected = [{"labels": "{}", "value": 1}] if case.fires else []
    return {
        "name": f"{case.alert} {'fires' if case.fires else 'stays quiet'}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{case.minutes}m", "exp_samples": expected}
        ],
    }
