"""Containers without an engine or a registry: buildah and podman from Debian, driven by tests.

Law of the file: nothing of it touches the machine's own containers or configuration. Images lie in
``.cache/image``, what runs has its state in a folder of this checkout and is removed in the end.

Why the flags: ``runc``, for ``crun`` refuses a hybrid cgroup tree; cgroupfs, for there may be no
systemd; a low limit of files and processes, for raising it needs a capability that a machine may
not have; the host's network, so that a broker on 127.0.0.1 can be reached and no bridge is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.debian import EXIT_MISSING

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "image"
TOOLS = CACHE / "tools" / "bin"
IMAGE = "localhost/streamproc:check"
# Made from Debian's packages, in place of the base that the Dockerfile names: no registry needed.
BASE = "localhost/debian-python:12"
BASE_SUITE = "bookworm"
DEBOOTSTRAP = (
    *("debootstrap", "--variant=minbase"),
    "--include=python3,python3-venv,ca-certificates",
)
BASE_FILE = """FROM scratch
COPY base/ /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""
COMMANDS = ("buildah", "podman", "runc", "conmon", "debootstrap")
CONFIGURATION = """[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""
# As Kubernetes' "restricted" profile and the chart have it.
HARDENED = (
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,size=16m,mode=1777"),
    *("--cap-drop=all", "--security-opt=no-new-privileges"),
)
BUILD_TIMEOUT_S = 900
RUN_TIMEOUT_S = 120


class ContainersUnavailableError(Exception):
    """No container can be built or run on this machine; the message says why."""


class Containers:
    """Builds images and runs them.

    Args:
        folder: For the configuration of this run.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in COMMANDS if shutil.which(name) is None]
        if missing:
            raise ContainersUnavailableError(f"not installed: {', '.join(missing)}")
        if os.geteuid() != 0:
            raise ContainersUnavailableError("building a base image and running it needs root")
        configuration = folder / "containers.conf"
        configuration.write_text(CONFIGURATION)
        self._environment = os.environ | {"CONTAINERS_CONF": str(configuration)}
        self._storage = self._choose_storage()

    def preflight(self) -> None:
        """Run the least that there is.

        Raises:
            ContainersUnavailableError: It cannot be run here.
        """
        self._make_base()
        done = self._podman(["run", "--rm", BASE, "true"], RUN_TIMEOUT_S)
        if done.returncode:
            raise ContainersUnavailableError(f"podman cannot run a container: {done.stderr}")

    def build(self) -> None:
        """Build the image from the Dockerfile, on the local base and with local wheels only."""
        wheels = _fetch_wheels()
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        arguments = {
            "BASE": BASE,
            "PIP_FIND_LINKS": "/wheels",
            "PIP_NO_INDEX": "1",
            "VERSION": version,
        }
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self._build(IMAGE, [*options, f"--volume={wheels}:/wheels:ro", str(ROOT)])

    def run(
        self,
        command: Sequence[str],
        options: Sequence[str] = HARDENED,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the image to its end; hardened unless told otherwise."""
        return self._podman(
            ["run", "--rm", *options, *_variables(environment), IMAGE, *command], RUN_TIMEOUT_S
        )

    @contextmanager
    def running(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[Container]:
        """The image with this command in the background, removed at the end."""
        arguments = ["run", "--detach", f"--name={name}", "--log-driver=k8s-file", *HARDENED]
        done = self._podman([*arguments, *_variables(environment), IMAGE, *command], RUN_TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        try:
            yield Container(self, name)
        finally:
            self._podman(["rm", "--force", "--time=0", name], RUN_TIMEOUT_S)

    @contextmanager
    def pod(self, manifest: Path, container: str) -> Iterator[Container]:
        """A Kubernetes manifest played by podman; ``container`` is the one to talk to."""
        self.podman("kube", "play", "--log-driver=k8s-file", str(manifest))
        try:
            yield Container(self, container)
        finally:
            self._podman(["kube", "down", str(manifest)], RUN_TIMEOUT_S)

    def podman(self, *arguments: str) -> str:
        """What a podman command prints, which must succeed."""
        done = self._podman(list(arguments), RUN_TIMEOUT_S)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def configuration(self) -> dict[str, object]:
        """The image's configuration: user, command, labels ..., and its ``Size`` in bytes."""
        [image] = json.loads(self.podman("image", "inspect", IMAGE))
        return {**image["Config"], "Size": image["Size"]}

    def size(self, image: str) -> int:
        """Bytes of an image, unpacked."""
        size: int = json.loads(self.podman("image", "inspect", image))[0]["Size"]
        return size

    def _choose_storage(self) -> list[str]:
        # The same folder each time, for podman's database holds its path; and a short one, for
        # sockets with limited names lie in it.
        checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
        state = Path(tempfile.gettempdir()) / f"streamproc-image-{checkout}"
        # Overlay starts a container in a second, vfs copies the whole image for each: it is what
        # is left where the cache lies on an overlay itself.
        reasons = []
        for driver in ("overlay", "vfs"):
            store = CACHE / driver
            store.mkdir(parents=True, exist_ok=True)
            places = [f"--root={store}", f"--runroot={state / driver}"]
            self._storage = [f"--storage-driver={driver}", *places]
            done = self._podman(["info"], RUN_TIMEOUT_S)
            if done.returncode == 0:
                return self._storage
            reasons.append(f"{driver}: {done.stderr.strip()}")
        raise ContainersUnavailableError("no storage driver works: " + "; ".join(reasons))

    def _make_base(self) -> None:
        """The base image, made once: it stays in the cache."""
        if self._podman(["image", "exists", BASE], RUN_TIMEOUT_S).returncode == 0:
            return
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            # No mirror is named: debootstrap takes Debian's own.
            made = subprocess.run(
                [*DEBOOTSTRAP, BASE_SUITE, f"{folder}/base"],
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT_S,
            )
            if made.returncode:
                raise ContainersUnavailableError(f"debootstrap: {made.stdout[-2000:]}{made.stderr}")
            (Path(folder) / "Dockerfile").write_text(BASE_FILE)
            self._build(BASE, [folder])

    def _build(self, tag: str, arguments: list[str]) -> None:
        # chroot: a build that needs no further rights than changing its root.
        command = ["buildah", *self._storage, "bud", "--isolation=chroot", "--layers"]
        done = self._call([*command, f"--tag={tag}", *arguments], BUILD_TIMEOUT_S)
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"

    def _podman(self, arguments: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        options = ["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        return self._call(["podman", *self._storage, *options, *arguments], timeout_s)

    def _call(self, command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self._environment,
            timeout=timeout_s,
        )


class Container:
    """A container that runs in the background."""

    def __init__(self, containers: Containers, name: str) -> None:
        self._containers = containers
        self._name = name

    def stop(self, timeout_s: int = 60) -> int:
        """Ask it to end, with the image's own signal; its exit code, 137 if it had to be killed."""
        self._containers.podman("stop", f"--time={timeout_s}", self._name)
        return int(self._inspect("{{.State.ExitCode}}"))

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._inspect("{{.State.Running}}") == "true"

    def logs(self) -> str:
        """All that it has printed so far; both streams."""
        done = self._containers._podman(["logs", self._name], RUN_TIMEOUT_S)
        return done.stdout + done.stderr

    def execute(self, *command: str) -> str:
        """What a command inside prints."""
        return self._containers.podman("exec", self._name, *command)

    def _inspect(self, template: str) -> str:
        return self._containers.podman("inspect", f"--format={template}", self._name).strip()


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the tools of ``tests/image/tools.lock`` in the repository's folder."""
    return subprocess.run([TOOLS / name, *arguments], cwd=ROOT, capture_output=True, text=True)


def locked_versions() -> dict[str, str]:
    """The packages that an installation on Linux has by the lock file, and their versions."""
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\$", lock, re.MULTILINE)
    return {name: version for name, version, marker in pinned if "win32" not in marker}


def _variables(environment: Mapping[str, str] | None) -> list[str]:
    return [f"--env={name}={value}" for name, value in (environment or {}).items()]


def _fetch_wheels() -> Path:
    """A folder with the wheels that the lock files name, for a build that reaches no index."""
    folder = CACHE / "wheels"
    lock = (ROOT / "requirements-dev.lock").read_text()
    backend = CACHE / "backend.lock"
    start = lock.index("\nsetuptools==") + 1
    backend.write_text(lock[start : lock.index("\n    #", start) + 1])
    command = [TOOLS / "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--requirement", ROOT / "requirements.lock"]
    command += ["--requirement", backend, "--dest", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return folder


if __name__ == "__main__":  # whether containers can be run here at all
    with tempfile.TemporaryDirectory(prefix="image-", dir="/tmp") as place:
        try:
            Containers(Path(place)).preflight()
        except ContainersUnavailableError as error:
            print(f"No containers here: {error}", file=sys.stderr)
            sys.exit(EXIT_MISSING)
