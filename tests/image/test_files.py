"""The files around the image: linted, valid by their schemas, pinned."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.image.containers import ROOT, TOOLS, locked_versions, tool

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

READ = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
WORKFLOWS = sorted(str(path) for path in (ROOT / ".github" / "workflows").glob("*.yml"))


def read_compose() -> dict[str, Any]:
    """The compose file, anchors and merges resolved."""
    done = tool("python", "-c", READ, "compose.yaml")
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose()


def test_dockerfile_is_clean():
    """By hadolint."""
    done = tool("hadolint", "Dockerfile")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("compose-spec", ["compose.yaml"]),
        ("github-workflows", WORKFLOWS),
        ("dependabot", [".github/dependabot.yml"]),
    ],
)
def test_file_is_valid_by_its_schema(schema: str, files: list[str]):
    """The compose specification's, GitHub's."""
    done = tool("check-jsonschema", f"--builtin-schema=vendor.{schema}", *files)

    assert done.returncode == 0, done.stdout


def test_workflows_are_safe():
    """By zizmor at its strictest: permissions, injections, pins, credentials that stay behind."""
    done = tool("zizmor", "--offline", "--pedantic", ".github")

    assert done.returncode == 0, done.stdout


def test_everything_foreign_is_pinned():
    """Images by digest, actions by commit, each with its version in words."""
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    images = re.findall(r"^    image: (\S+)$", (ROOT / "compose.yaml").read_text(), re.MULTILINE)
    actions = re.findall(r"uses: (.*)", "".join(Path(path).read_text() for path in WORKFLOWS))

    assert base is not None
    for image in [base[1], *images]:
        assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)
    for action in actions:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    assert len(images) == 3
    assert len(actions) > 15


def test_compose_holds_no_secret_and_opens_no_port(compose: dict[str, Any]):
    """Ports are this machine's alone, and there is no password to be left at its default."""
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert not re.search(r"(?i)passw|secret:|token", json.dumps(service))


def test_compose_hardens_what_is_ours(compose: dict[str, Any]):
    """Topics, worker and sample run as the chart's pods do."""
    ours = [s for s in compose["services"].values() if s["image"] == "streamproc:local"]

    assert len(ours) == 3
    for service in ours:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_compose_mounts_what_there_is(compose: dict[str, Any]):
    """Alerts and dashboards are the chart's own files; a missing folder would be made, empty."""
    volumes = [v for s in compose["services"].values() for v in s.get("volumes", ())]
    sources = {volume["source"] for volume in volumes if isinstance(volume, dict)}

    assert sources == {"./helm/streamproc/alerts", "./helm/streamproc/dashboards"}
    assert [source for source in sources if not any((ROOT / source).glob("*.*"))] == []


def test_compose_starts_in_order(compose: dict[str, Any]):
    """Kafka is healthy, then there are topics, then a worker and events."""
    services = compose["services"]

    assert services["kafka"]["healthcheck"]["test"][0] == "CMD"
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    done = {"topics": {"condition": "service_completed_successfully"}}
    assert services["worker"]["depends_on"] == services["sample"]["depends_on"] == done


def test_sbom_lists_what_is_locked(tmp_path):
    """Valid CycloneDX; each locked package with its version and a licence, and no other."""
    made = subprocess.run(
        ["make", "--silent", "sbom", f"DIST={tmp_path}"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    bom = json.loads((tmp_path / "streamproc.cdx.json").read_text())

    assert bom["bomFormat"] == "CycloneDX"
    assert bom["metadata"]["component"]["name"] == "streamproc"
    found = {c["name"].lower().replace("_", "-"): c["version"] for c in bom["components"]}
    found.pop("streamproc", None)
    assert found == locked_versions()
    unlicensed = [c["name"] for c in bom["components"] if not c.get("licenses")]
    assert unlicensed == []


def test_tools_are_those_of_the_lock():
    """The linters run from an environment that the lock made."""
    assert (TOOLS / "zizmor").exists()
