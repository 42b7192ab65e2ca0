"""The chart's pod, played by podman: what Kubernetes would start, as Helm renders it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helm.tools import helm_path
from tests.image.containers import IMAGE, ROOT, TOOLS, Containers
from tests.image.test_image import STATUS
from tests.image.test_worker import EVENTS, Watched, check_alerts, drain, wait_until_done
from tests.integration.stream import make_stream, produce
from tests.integration.worker import ask, free_port, wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(1_800)]

HELM = "4.3.1"
READ = """
import json, sys, yaml
print(json.dumps([document for document in yaml.safe_load_all(sys.stdin) if document]))
"""
# What podman cannot do without systemd and a network of its own: probes are asked from outside.
NOT_PODMANS = ("ports", "livenessProbe", "readinessProbe", "startupProbe")


def render(values: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The chart's objects with these values."""
    path = folder / "values.json"
    path.write_text(json.dumps(values))
    command = [helm_path(HELM), "template", "check", ROOT / "helm" / "streamproc", "-f", path]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parsed = subprocess.run(
        [TOOLS / "python", "-c", READ], input=rendered, capture_output=True, text=True, check=True
    )
    objects: list[dict[str, Any]] = json.loads(parsed.stdout)
    return objects


def as_pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The pod of the workload, on the host's network."""
    [workload] = [found for found in objects if found["kind"] == "Deployment"]
    spec = workload["spec"]["template"]["spec"] | {"hostNetwork": True}
    for container in spec["containers"]:
        for name in NOT_PODMANS:
            container.pop(name, None)
    labels = workload["spec"]["template"]["metadata"]["labels"]
    metadata = {"name": "streamproc-check", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_pod_of_the_chart_runs_and_drains(image: Containers, kafka, settings, tmp_path):
    """Restricted as the chart says, ready by its probes, every alert, SIGTERM ends it with 0."""
    port = free_port()
    repository, _, tag = IMAGE.rpartition(":")
    topics = {
        "events": settings["STREAMPROC_EVENTS_TOPIC"],
        "alerts": settings["STREAMPROC_ALERTS_TOPIC"],
        "contextRequests": settings["STREAMPROC_CONTEXT_REQUESTS_TOPIC"],
        "deadLetters": settings["STREAMPROC_DEAD_LETTERS_TOPIC"],
    }
    values = {
        "image": {"repository": repository, "tag": tag},
        "workload": {"kind": "Deployment"},
        "kafka": {
            "bootstrapServers": kafka.bootstrap,
            "groupId": settings["STREAMPROC_GROUP_ID"],
        },
        "topics": topics,
        "metrics": {"port": port},
    }
    manifest = tmp_path / "pod.yaml"  # JSON is YAML
    manifest.write_text(json.dumps(as_pod(render(values, tmp_path))))
    stream = make_stream(EVENTS)
    produce(kafka.bootstrap, settings["STREAMPROC_EVENTS_TOPIC"], stream)
    with image.pod(manifest, "streamproc-check-worker") as worker:
        wait_until_done(worker, settings, EVENTS)
        wait_until(lambda: ask(port, "/readyz")[0] == 200, "it is ready", Watched(worker))
        assert ask(port, "/livez")[0] == 200
        status = json.loads(worker.execute("python3", "-c", STATUS))
        assert set(status["Uid"]) == {"65532"}
        assert status["CapEff"] == ["0" * 16]
        assert status["NoNewPrivs"] == ["1"]
        drain(worker)

    check_alerts(kafka, settings, stream)
