"""Other people's engines, each installed into a folder of its own below ``.cache/bench``.

Law of the file: nothing here becomes a dependency of the product. What is installed once is kept;
what cannot be installed is said, with the reason, and the run goes on without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "bench"
QUIX_VERSION = "3.28.1"
RSIGMA_VERSION = "0.23.0"
TIMEOUT_S = 3_600


class NotInstalledError(Exception):
    """An engine cannot be had on this machine; the message says why."""


def quix_python() -> Path:
    """The Python of an environment with Quix Streams.

    Raises:
        NotInstalledError: No network, or pip failed.
    """
    folder = CACHE / f"quixstreams-{QUIX_VERSION}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--only-binary", ":all:", f"quixstreams=={QUIX_VERSION}"])
        (folder / "complete").touch()
    return python


def rsigma() -> Path:
    """The program ``rsigma``; building it takes some minutes.

    Raises:
        NotInstalledError: No Rust, no network, or cargo failed.
    """
    folder = CACHE / f"rsigma-{RSIGMA_VERSION}"
    program = folder / "bin" / "rsigma"
    if not program.exists():
        if shutil.which("cargo") is None:
            raise NotInstalledError("there is no cargo: install Rust")
        target = CACHE / "rsigma-target"
        # With its daemon, though only offline evaluation is asked for: 0.23.0 does not compile
        # without it.
        options = ["--version", RSIGMA_VERSION, "--locked"]
        command = ["nice", "-n", "10", "cargo", "install", "rsigma", *options]
        _run([*command, "--root", str(folder)], {"CARGO_TARGET_DIR": str(target)})
        shutil.rmtree(target, ignore_errors=True)
    return program


def rsigma_is_built() -> bool:
    """Whether ``rsigma`` answers at once."""
    return (CACHE / f"rsigma-{RSIGMA_VERSION}" / "bin" / "rsigma").exists()


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=os.environ | (environment or {}),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(str(error)) from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotInstalledError(f"{command[0]}: {' '.join(last) or done.returncode}")
