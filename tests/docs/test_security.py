"""The threat model is no better than its proofs: each test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THREAT_MODEL = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", THREAT_MODEL)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_named_test_exists(path: str, name: str):
    """A defence whose test was renamed or removed is no defence that anybody knows of."""
    assert name in {
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef)
    }


def test_every_defence_names_a_test():
    """No row of a table of attempts is without a proof."""
    rows = [line for line in THREAT_MODEL.splitlines() if line.count("|") == 4]
    attempts = [line for line in rows if not line.startswith(("| Attempt", "| ---", "| Who"))]
    trusted = {line for line in rows if "Trusted" in line or line.startswith("| a monitored host")}
    proofs = [line for line in attempts if line not in trusted and "::" in line]

    assert len(proofs) > 20
    assert [line for line in attempts if "::" not in line and "stops" in line] == []


def test_supported_version_is_the_current_one():
    """The policy names the minor version that this is."""
    version = re.search(r'^version = "(\d+\.\d+)\.', (ROOT / "pyproject.toml").read_text(), re.M)

    assert version is not None
    assert f"| {version[1]} | yes |" in (ROOT / "SECURITY.md").read_text()


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/threat-model.md", "docs/supply-chain.md"])
def test_links_lead_somewhere(name: str):
    """Relative links, from the folder of the document."""
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []
