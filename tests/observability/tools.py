"""The monitoring programs that the checks run, found on this machine.

``python -m tests.observability.tools`` (``make check-metrics`` calls it) installs them.
"""

from __future__ import annotations

import shutil

from tests.debian import install_packages

PACKAGES = ("prometheus",)


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


if __name__ == "__main__":
    if shutil.which("promtool") is None:
        install_packages(PACKAGES)
