"""Debian packages that a check needs, installed by the machine's own package manager.

Law of the file: nothing is changed but by that manager, as root; otherwise it is said what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

EXIT_MISSING = 77
"""The check did not run, because this machine lacks what it needs."""


def install_packages(packages: Sequence[str]) -> None:
    """Install packages; ends the process with ``EXIT_MISSING`` where that cannot be done.

    Raises:
        subprocess.CalledProcessError: The package manager failed, and has said why.
    """
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"This check needs {', '.join(packages)}. Install them, or run it as root"
            f" (on Debian and Ubuntu: sudo {' '.join(command)}).",
            file=sys.stderr,
        )
        sys.exit(EXIT_MISSING)
    print(f"Installing {', '.join(packages)} ...", flush=True)
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update"], **quiet)
    subprocess.run(command, env=environment, **quiet)
