"""The wheel: it holds every module and the shipped rules, and finds them where it is installed."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
RULES_PACKAGE = "streamproc._rules"
# As the packages spell them: SPDX, or words from before that. Permissive ones, and MPL-2.0, which
# asks for the source of its own files alone. A new word belongs here only after somebody read it.
ALLOWED_LICENCES = {
    *("Apache-2.0", "Apache License, Version 2.0", "Apache 2.0", "Apache 2"),
    *("Apache Software License", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0"),
    *("3-Clause BSD License", "Mozilla Public License 2.0 (MPL 2.0)"),
    *("MIT License", "MPL-2.0", "PSF-2.0", "Python Software Foundation License"),
    # BSD's text with the name of another holder.
    "Repoze Public License",
}


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
        wanted = wanted + [name for extra in EXTRAS.values() for name in extra]

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


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the wheel is made from a commit")
def test_wheel_is_the_same_bytes_each_time(tmp_path):
    """Whoever builds the commit, whenever, with whatever file modes: a release can be repeated."""
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for folder, mask in (("mine", "022"), ("theirs", "077")):
        wheel = f"make --silent wheel COMMIT={commit.strip()} DIST={tmp_path / folder}"
        command = f"umask {mask} && {wheel}"
        done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    [mine], [theirs] = (list((tmp_path / name).iterdir()) for name in ("mine", "theirs"))

    assert mine.name == theirs.name
    assert mine.read_bytes() == theirs.read_bytes()


def _locked_names():
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^([a-z0-9-]+)==\S+(?: ; (.*?))? \\$", lock, re.MULTILINE)
    return [name for name, marker in entries if "win32" not in marker]


def _name(requirement):
    for sign in "<>=!~;[ ":
        requirement = requirement.partition(sign)[0]
    return requirement


def _names_of_extra(extra):
    """What an extra brings that is not installed without it, dependencies of dependencies too."""
    found, waiting = set(), [_name(requirement) for requirement in EXTRAS[extra]]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in _locked_names():
            found.add(name)
            needed = metadata(name).get_all("Requires-Dist") or []
            waiting += [_name(line) for line in needed if "extra ==" not in line]
    return sorted(found)


def test_extra_for_users_is_seen_whole():
    """The licences of what it brings are looked at below."""
    assert {"opentelemetry-sdk", "opentelemetry-proto", "protobuf"} <= set(_names_of_extra("otel"))


@pytest.mark.parametrize("name", [*_locked_names(), *_names_of_extra("otel")])
def test_licence_of_a_dependency_is_allowed(name):
    """What runs in production obliges nobody to more than a notice; an unknown licence is none."""
    assert refused_licences(name, metadata(name)) == []


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"License-Expression": "MIT"}, []),
        ({"License-Expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}, []),
        ({"License": "MIT License"}, []),
        ({"Classifier": "License :: OSI Approved :: BSD License", "License": "Copyright ..."}, []),
        ({"License-Expression": "AGPL-3.0-only"}, ["AGPL-3.0-only"]),
        ({"License-Expression": "MIT AND GPL-2.0-or-later"}, ["GPL-2.0-or-later"]),
        ({"License-Expression": "BUSL-1.1"}, ["BUSL-1.1"]),
        ({"License": "Server Side Public License"}, ["Server Side Public License"]),
        (
            {"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"},
            ["GNU Affero General Public License v3"],
        ),
        ({}, ["unknown"]),
    ],
)
def test_licences_that_are_refused(fields, refused):
    """By expression, else by classifier, else by the old free text."""
    message = Message()
    for field, value in fields.items():
        message[field] = value

    assert refused_licences("some-package", message) == refused


def refused_licences(name, found):
    """The licences of a package's metadata that are not allowed; empty if all of them are."""
    if expression := found.get("License-Expression"):
        parts = re.split(r"[()\s]+", expression)
        named = [part for part in parts if part and part not in ("AND", "OR", "WITH")]
    else:
        classifiers = [entry.split(" :: ") for entry in found.get_all("Classifier") or ()]
        named = [entry[-1] for entry in classifiers if entry[0] == "License"]
        named = named or [found.get("License") or "unknown"]
    return [licence for licence in named if licence not in ALLOWED_LICENCES]


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
