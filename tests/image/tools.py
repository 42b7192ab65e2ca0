"""What checking the image needs: Debian's container tools, and linters from ``tools.lock``.

``python -m tests.image.tools`` (``make check-image`` calls it) installs what is missing; the
linters go to ``.cache/image``, once per content of their lock. Law of the file: the machine is only
changed by its own package manager, as root, and what else could be done is said.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.debian import install_packages
from tests.image.containers import CACHE, COMMANDS, ROOT, TOOLS

UV = ROOT / ".cache" / "uv" / "bin" / "uv"  # made by the Makefile
LOCK = Path(__file__).with_name("tools.lock")
PACKAGES = ("buildah", "podman", "runc", "conmon", "catatonit", "debootstrap")


def install() -> None:
    """Fetch what is missing.

    Raises:
        subprocess.CalledProcessError: A package manager failed, and has said why.
    """
    if any(shutil.which(command) is None for command in COMMANDS):
        install_packages(PACKAGES)
    stamp = CACHE / f"tools-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if stamp.exists():
        return
    print("Fetching the linters of the image's files (once) ...", flush=True)
    shutil.rmtree(TOOLS.parent, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", TOOLS.parent], check=True)
    # With pip, which also fetches the wheels that the image is built from.
    options = ["--quiet", "--python", TOOLS / "python", "--no-deps", "--only-binary", ":all:"]
    subprocess.run(
        [UV, "pip", "install", *options, "--require-hashes", "--requirement", LOCK], check=True
    )
    stamp.touch()


if __name__ == "__main__":
    install()
