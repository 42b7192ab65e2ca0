"""Every values file of ci/ renders alike in Helm 3 and 4, and Kubernetes would take the result."""

from __future__ import annotations

import json
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest

from tests.helm import tools
from tests.helm.chart import (
    CHART,
    HELM_VERSIONS,
    KUBERNETES_VERSIONS,
    Object,
    case_file,
    case_names,
    complaints,
    helm,
    rendered,
)

pytestmark = pytest.mark.chart

# Checks of checkov that the chart does not follow, and why.
NOT_FOLLOWED = {
    "CKV_K8S_11": "no CPU limit: a throttled worker falls behind and looks stuck",
    "CKV_K8S_35": "the user name is a variable; what is secret, the password, is a file",
    "CKV_K8S_8": "pods that run one command and end have no probes; the workers' are tested here",
    "CKV_K8S_9": "the same",
}
WRONG = "wrong"
HARDENED = (
    "--set=networkPolicy.enabled=true",
    f"--set=image.digest=sha256:{'0123456789abcdef' * 4}",
)


@pytest.mark.parametrize("version", HELM_VERSIONS)
@pytest.mark.parametrize("name", case_names())
def test_lint_has_nothing_to_say(chart: Path, name: str, version: str):
    """Strictly: warnings fail, too."""
    values = ("--values", case_file(name), "--set=checkApis=false")
    result = helm("lint", "--strict", chart, *values, version=version)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", case_names())
def test_both_helms_render_the_same(name: str, cases_by_helm: dict[str, dict[str, list[Object]]]):
    """Compared as objects: the two differ in blank lines."""
    first, *others = (cases[name] for cases in cases_by_helm.values())

    assert first
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", ["default", "extra-workload", "keda", "monitoring", "rules"])
def test_rendering_is_deterministic(chart: Path, name: str):
    """The same values give the same text, so that a deployment tool sees no change in nothing."""
    values = ("--values", case_file(name))

    assert rendered(chart, *values) == rendered(chart, *values)


@pytest.fixture(scope="module")
def said(cases: dict[str, list[Object]]) -> dict[str, list[str]]:
    """What the schemas say, by case; in one run, for the models alone take long to load."""
    return complaints({**cases, WRONG: misspelt(cases)})


def misspelt(cases: dict[str, list[Object]]) -> list[Object]:
    """Objects of every kind with a field that there is not."""
    wrong = deepcopy([*cases["monitoring"], *cases["keda-secure"], *cases["topics-job"]])
    for found in wrong:
        found.get("spec", found)["mispelt"] = 1
    return wrong


def test_kubernetes_and_custom_kinds_take_every_object(said: dict[str, list[str]]):
    """All supported versions, strictly; custom kinds by their models, unknown fields refused."""
    assert {name: found for name, found in said.items() if found and name != WRONG} == {}


def test_schemas_notice_what_is_wrong(cases: dict[str, list[Object]], said: dict[str, list[str]]):
    """A misspelt field is refused in each kind of object, so that the test above can fail."""
    kinds = {found["kind"] for found in misspelt(cases)}

    assert kinds >= {"StatefulSet", "ScaledObject", "PrometheusRule", "PodMonitor", "ConfigMap"}
    assert {complaint.partition("/")[0] for complaint in said[WRONG]} == kinds
    versions = {text for one in said[WRONG] for text in KUBERNETES_VERSIONS if text in one}
    assert versions == set(KUBERNETES_VERSIONS)


def test_checkov_finds_only_what_is_meant(chart: Path, tmp_path: Path):
    """The security lint of all renderings; what is not followed has its reason in NOT_FOLLOWED."""
    for name in case_names():
        text = rendered(chart, "--values", case_file(name), *HARDENED)
        (tmp_path / f"{name}.yaml").write_text(text)
    result = subprocess.run(
        [
            tools.CHECKOV, "--framework", "kubernetes", "--directory", tmp_path, "--skip-download",
            "--quiet", "--compact", "--output", "json",
        ],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    found = json.loads(result.stdout)
    failed = {
        (check["check_id"], check["file_path"], check["resource"])
        for check in found["results"]["failed_checks"]
    }

    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 1000
    assert [check for check in sorted(failed) if check[0] not in NOT_FOLLOWED] == []
    assert {check for check, *_ in failed} == set(NOT_FOLLOWED), "a reason that nothing needs"


@pytest.mark.parametrize("version", HELM_VERSIONS)
def test_package_holds_what_it_needs(tmp_path: Path, version: str):
    """`helm package` makes an archive that renders as the folder does, without ci/."""
    helm("package", CHART, "--destination", tmp_path, version=version)
    (archive,) = tmp_path.glob("*.tgz")
    values = ("--values", case_file("secure"))

    assert rendered(archive, *values, version=version) == rendered(CHART, *values, version=version)
    assert "ci/" not in subprocess.check_output(["tar", "-tf", archive], text=True)
