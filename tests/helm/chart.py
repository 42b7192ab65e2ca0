"""The chart as its tests see it: rendered by each Helm, as objects.

Law of the file: what is rendered is a copy of the chart. While the chart has no alert rules or
no dashboards, the copy gets one of each, so that the templates that carry them are always tested.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.helm import tools

CHART = Path(__file__).resolve().parents[2] / "helm" / "streamproc"
HELM_VERSIONS = tuple(tools.HELMS)
HELM_DEFAULT = HELM_VERSIONS[-1]
KUBERNETES_VERSIONS = tuple(f"1.{minor}.0" for minor in range(27, 38))
# What the cluster of a rendering knows beside Kubernetes' own kinds.
APIS = ("keda.sh/v1alpha1", "monitoring.coreos.com/v1")
# The two values without a default.
NEEDED = ("image.repository=registry.example.com/soc/streamproc", "kafka.bootstrapServers=k:9092")
MAIN = "worker"

EXAMPLE_ALERTS = """
groups:
  - name: streamproc.example
    rules:
      - record: streamproc:lag:max
        expr: max(streamproc_consumer_lag_seconds)
      - alert: StreamprocIdleReplicas
        expr: streamproc_assigned_partitions == 0
        annotations: {summary: "{{ $labels.pod }} is idle", runbook_url: docs/runbooks.md#idle}
      - alert: StreamprocLagHigh
        expr: streamproc:lag:max > 60
        labels: {severity: warning}
        annotations: {summary: "{{ $value }} s behind", runbook_url: docs/runbooks.md#lag}
"""
EXAMPLE_DASHBOARD = '{"title": "Example", "panels": [{"legendFormat": "{{pod}}"}]}\n'

Object = dict[str, Any]


def case_names() -> list[str]:
    """Names of the values files in ci/, without their ending."""
    return sorted(path.name.removesuffix("-values.yaml") for path in case_files())


def case_files() -> list[Path]:
    return sorted((CHART / "ci").glob("*-values.yaml"))


def case_file(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


def copied(folder: Path) -> Path:
    """A copy of the chart that has at least one file of alerts and one dashboard."""
    copy = folder / "streamproc"
    shutil.copytree(CHART, copy)
    for path, example in (
        (copy / "alerts" / "example.yaml", EXAMPLE_ALERTS),
        (copy / "dashboards" / "example.json", EXAMPLE_DASHBOARD),
    ):
        if not list(path.parent.glob(f"*{path.suffix}")):
            path.parent.mkdir(exist_ok=True)
            path.write_text(example)
    return copy


def helm(*arguments: str | Path, version: str = HELM_DEFAULT) -> subprocess.CompletedProcess[str]:
    """Run Helm; the result has its exit code, output and messages."""
    return subprocess.run(
        [tools.helm_path(version), *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def template(
    chart: Path,
    *arguments: str | Path,
    release: str = "detect",
    version: str = HELM_DEFAULT,
    apis: tuple[str, ...] = APIS,
) -> subprocess.CompletedProcess[str]:
    """Render the chart in the namespace ``soc``."""
    known = [f"--api-versions={api}" for api in apis]
    return helm(
        "template", release, chart, "--namespace", "soc", *known, *arguments, version=version
    )


def rendered(chart: Path, *arguments: str | Path, **options: Any) -> str:
    """The text of a rendering that has to succeed."""
    result = template(chart, *arguments, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def notes(chart: Path, *arguments: str | Path) -> str:
    """What Helm 4 says after an installation, here of nothing; Helm 3 would ask a cluster first."""
    installation = ("install", "detect", chart, "--namespace", "soc", "--dry-run=client")
    result = helm(*installation, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.partition("\nNOTES:\n")[2]


def with_values(*values: str) -> list[str]:
    """Arguments that set the needed values and these."""
    return [f"--set={value}" for value in (*NEEDED, *values)]


def render_cases(chart: Path, version: str) -> dict[str, str]:
    """Each values file of ci/ rendered."""
    names = case_names()
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(
            lambda name: rendered(chart, "--values", case_file(name), version=version), names
        )
        return dict(zip(names, texts, strict=True))


def read(texts: Mapping[str, str]) -> dict[str, list[Object]]:
    """Renderings by name -> their objects by name."""
    return _in_tools("read", dict(texts))


def complaints(objects: Mapping[str, list[Object]]) -> dict[str, list[str]]:
    """What the schemas of all supported Kubernetes versions and of CRDs say."""
    return _in_tools("check", {"versions": KUBERNETES_VERSIONS, "objects": dict(objects)})


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """The objects of these kinds."""
    return [found for found in objects if found["kind"] in kinds]


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Each pod, or template of pods, with the object that it stands in."""
    for found in objects:
        if found["kind"] == "Pod":
            yield found, found
        elif found["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield found["spec"]["template"], found


def containers(pod: Object) -> list[Object]:
    """All containers of a pod, those that run before the others included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def _in_tools(command: str, given: Any) -> Any:
    run = subprocess.run(
        [tools.PYTHON, Path(__file__).with_name("manifests.py"), command],
        input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
