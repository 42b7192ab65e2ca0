"""What the image is made of, and what its process may do."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.image.containers import BASE, HARDENED, IMAGE, ROOT, Containers, locked_versions

pytestmark = [pytest.mark.image, pytest.mark.timeout(1_800)]

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
MIB = 1024 * 1024
# Ours, on top of the base: 123 MiB when this was written.
LAYERS_BYTES_MAX = 150 * MIB

PATHS_THAT_CAN_BE_WRITTEN = """
import json, os
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys")]
    paths = [folder, *(os.path.join(folder, name) for name in files)]
    found += [path for path in paths if os.access(path, os.W_OK)]
print(json.dumps([path for path in found if not path.startswith("/dev/")]))
"""
STATUS = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({name: value.split() for name, value in status.items()}))
"""
SHIPPED_RULES = """
import json
from streamproc.config import shipped_rules_path
print(json.dumps(str(shipped_rules_path())))
"""
FILES = """
import json, pathlib
library = pathlib.Path("/opt/streamproc/lib")
print(json.dumps([sum(1 for _ in library.rglob(f"*.{ending}")) for ending in ("py", "pyc")]))
"""
DISTRIBUTIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({d.name.lower().replace("_", "-"): d.version for d in distributions()}))
"""


def python(image: Containers, program: str, *options: str) -> object:
    """What a program prints that is run by the image's Python, as JSON."""
    done = image.run(["-c", program], ["--entrypoint=python3", *options])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hardened(image: Containers, program: str) -> object:
    """The same with the restrictions that the chart sets."""
    return python(image, program, *HARDENED)


def test_version_is_the_projects(image: Containers):
    """The program in the image is the one of this checkout, and its label says so."""
    done = image.run(["--version"])

    assert (done.returncode, done.stdout) == (0, f"streamproc {VERSION}\n")
    labels = image.configuration()["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0 AND Elastic-2.0"


def test_shipped_rules_are_in_it(image: Containers):
    """They load, and the worker finds them without a setting."""
    done = image.run(["rules", "check", str(python(image, SHIPPED_RULES))])

    assert done.returncode == 0, done.stdout + done.stderr
    rules = len(list((ROOT / "rules").rglob("*.toml")))
    assert f"{rules} rules loaded, 0 rejected" in done.stdout + done.stderr


def test_configuration(image: Containers):
    """A user by number, an entry point without a shell, a signal that drains."""
    configuration = image.configuration()

    assert configuration["User"] == "65532:65532"
    assert configuration["Entrypoint"] == ["streamproc"]
    assert configuration["Cmd"] == ["worker"]
    assert configuration["StopSignal"] == "SIGTERM"
    variables = dict(entry.split("=", 1) for entry in configuration["Env"])
    assert not {name for name in variables if name.startswith(("STREAMPROC_", "PIP_"))}


def test_no_root_and_no_privileges(image: Containers):
    """Hardened as in the chart, it runs; all capabilities are gone and a filter is on."""
    status = hardened(image, STATUS)

    assert set(status["Uid"]) == set(status["Gid"]) == {"65532"}
    assert {status[name][0] for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]


def test_nothing_can_be_written_but_tmp(image: Containers):
    """Hardened, /tmp is the only place; and no file of the image is the user's to change."""
    assert hardened(image, PATHS_THAT_CAN_BE_WRITTEN) == ["/tmp"]  # noqa: S108

    loose = python(image, PATHS_THAT_CAN_BE_WRITTEN)
    world_writable = {"/tmp", "/var/tmp", "/run/lock"}  # noqa: S108 (every Debian has these)
    assert set(loose) <= world_writable


def test_packages_are_those_of_the_lock(image: Containers):
    """Each at its locked version and no other: no pip, no build tools, nothing that tests need."""
    assert python(image, DISTRIBUTIONS) == locked_versions() | {"streamproc": VERSION}


def test_bytecode_is_in_the_image(image: Containers):
    """Nothing can be written at run time: without it every start would compile everything."""
    sources, compiled = python(image, FILES)

    assert compiled >= sources * 0.99 > 500


def test_size_is_stated_and_bounded(image: Containers, capsys: pytest.CaptureFixture[str]):
    """What we add to the base."""
    ours, base = image.size(IMAGE), image.size(BASE)
    with capsys.disabled():
        print(f"\nimage: {ours / MIB:.0f} MiB, of which the base {base / MIB:.0f} MiB")

    assert ours - base < LAYERS_BYTES_MAX
