"""The wheel: it holds every module and the shipped rules, and finds them where it is installed."""

import itertools
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RULES_PACKAGE = "streamproc._rules"


def test_package_list_is_complete():
    """Each folder of the package that has an ``__init__.py`` is in pyproject.toml, and no other."""
    folders = {path.parent for path in (ROOT / "streamproc").rglob("__init__.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}

    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages | {RULES_PACKAGE}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_holds_every_direct_dependency_with_a_hash(name):
    """A dependency that was added without ``make lock`` would be missing on the next machine."""
    lines = (ROOT / name).read_text().splitlines()
    locked = {line.partition("==")[0] for line in lines if "==" in line}
    wanted = PROJECT["project"]["dependencies"]
    if name == "requirements-dev.lock":
        wanted = wanted + PROJECT["project"]["optional-dependencies"]["dev"]

    assert {_name(requirement) for requirement in wanted} <= locked
    for line, following in itertools.pairwise(lines):
        assert "==" not in line or following.strip().startswith("--hash=sha256:")


def test_wheel_brings_modules_and_rules(tmp_path):
    """Installed elsewhere, the package has all its modules and finds the rules it shipped with."""
    installed = _install(tmp_path)
    found = _run(installed, "from streamproc.config import shipped_rules_path as f; print(f())")

    assert Path(found) == installed / "streamproc" / "_rules"
    assert _files(Path(found), "*.toml") == _files(ROOT / "rules", "*.toml")
    assert _files(installed / "streamproc", "*.py") == _files(ROOT / "streamproc", "*.py")
    assert (installed / "streamproc" / "py.typed").exists()
    assert list((installed / "streamproc" / "_rules").glob("LICENSE*"))


def _install(tmp_path):
    """Build the wheel from a copy of the sources and install it alone into a folder."""
    source, wheels, target = tmp_path / "source", tmp_path / "wheels", tmp_path / "installed"
    for name in ("streamproc", "rules"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-build-isolation", "--wheel-dir", wheels, source)
    [wheel] = wheels.glob("*.whl")
    _pip("install", "--target", target, wheel)
    return target


def _pip(command, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, "--no-deps", "--no-index", "-q", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _run(installed, program):
    """Output of a program that imports the installed package, not the checkout."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=installed,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _files(folder, pattern):
    found = {str(path.relative_to(folder)) for path in folder.rglob(pattern)}
    return {path for path in found if "__pycache__" not in path}


def _name(requirement):
    for sign in "<>=!~;[ ":
        requirement = requirement.partition(sign)[0]
    return requirement
