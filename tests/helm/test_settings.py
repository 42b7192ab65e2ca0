"""The pods' environment is understood by the program itself: `streamproc config`, for real.

A pod's files are laid out in a folder as the kubelet does it, its variables are given to the
program, and what it understood is compared with what the values file asked for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamproc.config import Settings, shipped_rules_path
from streamproc.config_sources import load_settings
from tests.helm.chart import MAIN, Object, case_names, of_kind, pods

pytestmark = pytest.mark.chart

POD_NAME = "detect-streamproc-0"
SECRET_TEXT = "s3cret"


def kubelet_layout(folder: Path, files: dict[str, str]) -> None:
    """Files of a mounted ConfigMap or Secret: links into a hidden folder that a change swaps."""
    hidden = folder / "..2026_11_21_10_00_00.1"
    hidden.mkdir(parents=True)
    (folder / "..data").symlink_to(hidden.name)
    for name, text in files.items():
        (hidden / name).write_text(text)
        (folder / name).symlink_to(Path("..data") / name)


def files_of(volume: Object, objects: list[Object]) -> dict[str, str] | None:
    """What the volume would hold; None for one that is empty at the start."""
    if "secret" in volume:
        return {item["path"]: SECRET_TEXT for item in volume["secret"]["items"]}
    if "configMap" in volume:
        for found in of_kind(objects, "ConfigMap"):
            if found["metadata"]["name"] == volume["configMap"]["name"]:
                return dict(found["data"])
        return {}
    return None


def environment(
    pod: Object, container: Object, objects: list[Object], root: Path
) -> dict[str, str]:
    """The container's variables, its mounts laid out below ``root`` and its paths led there."""
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for mount in container["volumeMounts"]:
        folder = root / mount["mountPath"].lstrip("/")
        files = files_of(volumes[mount["name"]], objects)
        if files is None:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            kubelet_layout(folder, files)
    variables = {}
    for variable in container.get("env", []):
        source = variable.get("valueFrom", {})
        from_elsewhere = POD_NAME if "fieldRef" in source else SECRET_TEXT
        variables[variable["name"]] = variable.get("value", from_elsewhere)
    for name, value in variables.items():
        if name == "STREAMPROC_RULES":
            paths = [path if path == "shipped" else below(root, path) for path in value.split(",")]
            variables[name] = ",".join(paths)
        elif value.startswith("/etc/streamproc/"):
            variables[name] = below(root, value)
    return variables


def below(root: Path, path: str) -> str:
    """The path below ``root``; one that no mount has made would be in the image, and is made."""
    moved = root / path.lstrip("/")
    if not moved.exists():
        moved.mkdir(parents=True)
    return str(moved)


def own_containers(pod: Object) -> list[Object]:
    """The containers of a pod that run this program."""
    everything = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    return [one for one in everything if "streamproc" in one["image"]]


def streamproc(*arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamproc", *arguments],
        env=environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("name", case_names())
def test_program_understands_every_container(
    name: str, cases: dict[str, list[Object]], tmp_path: Path
):
    """No variable that is no setting, no value out of range, no file that is missing."""
    count = 0
    for pod, _ in pods(cases[name]):
        for container in own_containers(pod):
            root = tmp_path / str(count)
            variables = environment(pod, container, cases[name], root)
            load_settings(environ=variables)
            count += 1
            # Settings of the program alone: a misspelt one would be an extra variable here.
            ours = [one for one in variables if one.startswith("STREAMPROC_")]
            known = {*Settings.model_fields, "sasl_password_file", "ssl_key_password_file"}
            assert {one.removeprefix("STREAMPROC_").lower() for one in ours} <= known
    assert count >= 1


@pytest.mark.parametrize("name", ["secure", "mutual-tls", "settings", "rules", "extra-workload"])
def test_streamproc_config_accepts_the_pod(
    name: str, cases: dict[str, list[Object]], tmp_path: Path
):
    """The command itself, in a process of its own, shows the values that were asked for."""
    found = settings_in_force(cases[name], tmp_path)

    expected: dict[str, dict[str, Any]] = {
        "secure": {
            "security_protocol": "SASL_SSL",
            "sasl_username": SECRET_TEXT,
            "ssl_ca_file": str(tmp_path / "etc/streamproc/tls/ca.crt"),
        },
        "mutual-tls": {
            "security_protocol": "SSL",
            "ssl_key_file": str(tmp_path / "etc/streamproc/tls/tls.key"),
            "ssl_key_password": "********",
        },
        "settings": {
            "group_id": "soc",
            "events_topic": "soc.events",
            "auto_offset_reset": "latest",
            "record_bytes_max": 10_485_760,
            "sequence_keys_max": 1_000_000,
            "commit_interval_s": 0.5,
            "default_context_requests": False,
            "metrics_host": "::",
            "metrics_port": 9100,
            "kafka_options": {
                "broker.address.family": "v4",
                "fetch.wait.max.ms": 250,
                "socket.keepalive.enable": True,
            },
        },
        "rules": {
            "rules": [
                str(shipped_rules_path()),
                str(tmp_path / "etc/streamproc/rules/inline"),
                str(tmp_path / "etc/streamproc/rules/maps/soc-rules-linux"),
                str(tmp_path / "etc/streamproc/rules/maps/soc-rules-windows"),
                str(tmp_path / "opt/soc/rules"),
            ],
        },
        "extra-workload": {"group_id": "streamproc", "group_instance_id": POD_NAME},
    }
    assert {key: found[key] for key in expected[name]} == expected[name]


def settings_in_force(objects: list[Object], root: Path) -> dict[str, Any]:
    """What ``streamproc config`` says in the main container."""
    for pod, found in pods(objects):
        container = pod["spec"]["containers"][0]
        if found["kind"] in ("StatefulSet", "Deployment") and container["name"] == MAIN:
            environ = environment(pod, container, objects, root)
            result = streamproc("config", "--format", "json", environ=environ)
            assert result.returncode == 0, result.stderr
            shown = json.loads(result.stdout)
            return {name: entry["value"] for name, entry in shown.items()}
    raise AssertionError("no main workload")


def test_inline_rules_load_as_they_were_given(cases: dict[str, list[Object]], tmp_path: Path):
    """The test pod's own command finds each rule once, in the folder that the kubelet makes."""
    (pod,) = of_kind(cases["rules"], "Pod")
    (container,) = (one for one in pod["spec"]["containers"] if one["name"] == "rules")
    environ = environment(pod, container, cases["rules"], tmp_path)
    command, verb, *paths = container["args"]
    moved = [path if path == "shipped" else below(tmp_path, path) for path in paths]
    result = streamproc(command, verb, *moved, environ=environ)

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "3 rules loaded, 0 rejected, 0 skipped."


def test_topics_arguments_are_understood(cases: dict[str, list[Object]]):
    """The job's options are those of the command; only the broker is missing here."""
    for case in ("topics-hook", "topics-job"):
        (job,) = of_kind(cases[case], "Job")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        result = streamproc(*container["args"], "--help", environ={})

        assert result.returncode == 0, result.stderr
        assert all("=" in one for one in container["args"][2:])
