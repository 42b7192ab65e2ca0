"""What the numbers were measured on, and with: processor, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from confluent_kafka import libversion

from benchmarks.install import QUIX_VERSION, RSIGMA_VERSION

_PACKAGES = (
    "streamproc",
    "confluent-kafka",
    "faust-streaming",
    "aiokafka",
    "hyperscan",
    "orjson",
)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": pages,
        "system": f"{platform.system()} {platform.release()}",
    }


def machine_name(facts: Mapping[str, Any]) -> str:
    """A short name for file names: ``amd-epyc-2-cores``."""
    name = re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", str(facts["processor"]).lower())
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    return f"{slug}-{facts['cores']}-cores"


def versions(kafka: str) -> dict[str, str]:
    """Versions of all that takes part; ``kafka`` is the broker's."""
    found = {package: version(package) for package in _PACKAGES}
    return {
        "python": platform.python_version(),
        **found,
        "librdkafka": libversion()[0],
        "apache-kafka": kafka,
        "quixstreams": QUIX_VERSION,
        "rsigma": RSIGMA_VERSION,
    }


def commit(root: Path) -> str:
    """The commit that was measured, with a ``+`` if product or benchmark files differ from it."""
    head = _git(root, "rev-parse", "HEAD").strip()
    paths = ("streamproc", "benchmarks/*.py")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *paths)
    return (head + ("+" if changed.strip() else "")) if head else "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""
