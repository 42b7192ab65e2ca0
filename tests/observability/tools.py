"""The monitoring programs that the checks run, found on this machine."""

from __future__ import annotations

import shutil


def promtool() -> str:
    """The path of Prometheus' own checker; ``make check-metrics`` installs it."""
    return _find("promtool")


def prometheus() -> str:
    """The path of the Prometheus server."""
    return _find("prometheus")


def _find(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(
            f"'{name}' is not installed (on Debian and Ubuntu: apt-get install prometheus)"
        )
    return path
