"""Fixtures of the chart's tests: the chart, and each of its values files rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helm import tools
from tests.helm.chart import HELM_DEFAULT, HELM_VERSIONS, Object, copied, read, render_cases


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the chart, with the tools to render it there."""
    if not tools.is_installed():
        pytest.fail("the tools are missing: run make check-chart", pytrace=False)
    return copied(tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="session")
def cases_by_helm(chart: Path) -> dict[str, dict[str, list[Object]]]:
    """Helm version -> name of the values file -> objects."""
    return {version: read(render_cases(chart, version)) for version in HELM_VERSIONS}


@pytest.fixture(scope="session")
def cases(cases_by_helm: dict[str, dict[str, list[Object]]]) -> dict[str, list[Object]]:
    """Name of the values file -> objects."""
    return cases_by_helm[HELM_DEFAULT]
