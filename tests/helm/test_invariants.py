"""What holds in every rendering, whatever the values: selectors, names, references, probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helm.chart import (
    Object,
    case_file,
    case_names,
    containers,
    of_kind,
    pods,
    read,
    rendered,
    with_values,
)

pytestmark = pytest.mark.chart

EACH_CASE = pytest.mark.parametrize("name", case_names())
WORKLOADS = ("StatefulSet", "Deployment")
# Secrets and ConfigMaps that values files name, and somebody else makes.
EXTERNAL = re.compile(r"streamproc-kafka-\w+|kafka-cluster-ca|keda-kafka-login|shadow-token"
                      r"|proxy-login|soc-rules-\w+|registry-login")  # fmt: skip


def identity(found: Object) -> tuple[str, str, str]:
    return found["kind"], found["metadata"]["namespace"], found["metadata"]["name"]


def selectors(found: Object) -> Iterator[dict[str, str]]:
    """The label selectors in an object that are meant to find pods of this release."""
    spec = found.get("spec", {})
    if found["kind"] == "Service":
        yield spec["selector"]
    elif found["kind"] == "NetworkPolicy":
        yield spec["podSelector"]["matchLabels"]
    elif "selector" in spec:
        yield spec["selector"]["matchLabels"]


def spread_selectors(found: Object) -> Iterator[dict[str, str]]:
    """Those by which a workload's pods are spread; the user may have given others."""
    if found["kind"] in WORKLOADS:
        constraints = found["spec"]["template"]["spec"].get("topologySpreadConstraints", [])
        yield from (constraint["labelSelector"]["matchLabels"] for constraint in constraints)


def labels_of_pods(objects: list[Object]) -> dict[str, dict[str, str]]:
    """Name of the object -> labels of its pods, jobs and tests included."""
    return {found["metadata"]["name"]: pod["metadata"]["labels"] for pod, found in pods(objects)}


def is_selected(labels: dict[str, str], selector: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def references(value: object) -> Iterator[tuple[str, str]]:
    """(kind, name) of every Secret and ConfigMap that a pod or a TriggerAuthentication needs."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("secretKeyRef", "imagePullSecrets", "secretTargetRef"):
                yield from (
                    ("Secret", one["name"]) for one in ([item] if key == "secretKeyRef" else item)
                )
            elif key == "secret" and "secretName" in item:
                yield "Secret", item["secretName"]
            elif key in ("configMap", "configMapKeyRef"):
                yield "ConfigMap", item["name"]
            else:
                yield from references(item)


@EACH_CASE
def test_objects_are_distinct_and_whole(name: str, cases: dict[str, list[Object]]):
    """No empty and no duplicate object; each says its namespace, which tools without one need."""
    identities = [identity(found) for found in cases[name]]

    assert len(identities) == len(set(identities))
    assert all(found["apiVersion"] for found in cases[name])


@EACH_CASE
def test_selectors_find_their_pods(name: str, cases: dict[str, list[Object]]):
    """Each finds a pod of the release; a workload's, a budget's and a Service's its own only."""
    objects = cases[name]
    labels = labels_of_pods(objects)
    for found in objects:
        for selector in selectors(found):
            chosen = {pod for pod, own in labels.items() if is_selected(own, selector)}
            assert chosen, (identity(found), selector)
            if found["kind"] in (*WORKLOADS, "PodDisruptionBudget", "Service"):
                assert chosen == {found["metadata"]["name"]}
        for selector in spread_selectors(found):
            assert is_selected(labels[found["metadata"]["name"]], selector)


@EACH_CASE
def test_selectors_never_change(name: str, cases: dict[str, list[Object]]):
    """Kubernetes refuses a change of a workload's selector: no version and no free label in it."""
    for found in of_kind(cases[name], *WORKLOADS):
        assert set(found["spec"]["selector"]["matchLabels"]) == {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
        }


@EACH_CASE
def test_number_of_workers_has_one_owner(name: str, cases: dict[str, list[Object]]):
    """`replicas` is left out exactly when an autoscaler has the workload, and it has never two."""
    objects = cases[name]
    scalers = of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
    assert len(scalers) <= 1
    targets = [
        (scaler["spec"]["scaleTargetRef"]["kind"], scaler["spec"]["scaleTargetRef"]["name"])
        for scaler in scalers
    ]
    workloads = {
        (found["kind"], found["metadata"]["name"]): found for found in of_kind(objects, *WORKLOADS)
    }

    assert set(targets) <= set(workloads)
    assert {key for key, found in workloads.items() if "replicas" not in found["spec"]} == set(
        targets
    )
    for scaler in scalers:
        spec = scaler["spec"]
        assert spec.get("minReplicaCount", spec.get("minReplicas")) >= 1


@EACH_CASE
def test_references_lead_somewhere(name: str, cases: dict[str, list[Object]]):
    """A Secret or ConfigMap that is named is made by the chart, or known to be somebody else's."""
    made = {(kind, object_name) for kind, _, object_name in map(identity, cases[name])}
    for found in cases[name]:
        for kind, wanted in references(found):
            assert (kind, wanted) in made or EXTERNAL.fullmatch(wanted), (kind, wanted)
    assert not of_kind(cases[name], "Secret")


@EACH_CASE
def test_mounts_have_volumes(name: str, cases: dict[str, list[Object]]):
    """Each mount has its volume and each volume a mount; whole folders, which follow a change."""
    for pod, found in pods(cases[name]):
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounts = [mount for one in containers(pod) for mount in one["volumeMounts"]]

        assert {mount["name"] for mount in mounts} == volumes, identity(found)
        assert not [mount for mount in mounts if "subPath" in mount]
        for container in containers(pod):
            paths = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert len(paths) == len(set(paths))


@EACH_CASE
def test_probes_hit_declared_ports(name: str, cases: dict[str, list[Object]]):
    """Liveness is /livez, readiness /readyz, on a port that the container has and listens on."""
    paths = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for pod, found in pods(cases[name]):
        for container in containers(pod):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for probe, path in paths.items():
                if probe in container:
                    assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}
                    assert "metrics" in ports
            if "metrics" in ports:
                variables = {one["name"]: one.get("value") for one in container["env"]}
                assert variables["STREAMPROC_METRICS_PORT"] == str(ports["metrics"])
                assert variables["STREAMPROC_METRICS_HOST"] in ("0.0.0.0", "::")  # noqa: S104
                assert {"livenessProbe", "readinessProbe"} <= set(container), identity(found)


@EACH_CASE
def test_pods_meet_the_restricted_standard(name: str, cases: dict[str, list[Object]]):
    """Pod Security "restricted", and beyond it: read-only root, no token, bounded /tmp."""
    for pod, _ in pods(cases[name]):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (tmp,) = (volume for volume in spec["volumes"] if volume["name"] == "tmp")
        assert tmp["emptyDir"]["sizeLimit"]
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            resources = container["resources"]
            assert resources["limits"]["memory"] == resources["requests"]["memory"]
            assert "cpu" not in resources["limits"]
            assert not container["image"].endswith(":latest")


@EACH_CASE
def test_static_membership_is_a_stateful_set_s(name: str, cases: dict[str, list[Object]]):
    """The pod's name is the member's: fixed in a StatefulSet, and never used in a Deployment."""
    for found in of_kind(cases[name], *WORKLOADS):
        container = found["spec"]["template"]["spec"]["containers"][0]
        variables = {one["name"]: one for one in container["env"]}
        is_static = "STREAMPROC_GROUP_INSTANCE_ID" in variables

        assert is_static == (found["kind"] == "StatefulSet" and name != "single")
        if is_static:
            source = variables["STREAMPROC_GROUP_INSTANCE_ID"]["valueFrom"]
            assert source["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.parametrize("case", ["extra-workload", "monitoring", "rules", "topics-job", "keda"])
@pytest.mark.parametrize("release", ["r", "a" * 53, "streamproc-" + "b" * 42])
def test_long_names_stay_within_limits(chart: Path, case: str, release: str):
    """Names have at most 63 characters, a StatefulSet's 52: Kubernetes appends to them."""
    text = rendered(chart, "--values", case_file(case), release=release)
    for found in read({"one": text})["one"]:
        name = found["metadata"]["name"]
        assert len(name) <= (52 if found["kind"] in WORKLOADS else 63)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
        labels = [found["metadata"].get("labels", {})]
        labels += [pod["metadata"]["labels"] for pod, _ in pods([found])]
        for value in (value for some in labels for value in some.values()):
            assert len(value) <= 63


def test_names_that_are_cut_stay_distinct(chart: Path):
    """Two long releases of one namespace do not take each other's objects."""
    names = set()
    for end in ("one", "two"):
        text = rendered(chart, *with_values(), release="detections-of-the-windows-servers-" + end)
        names |= {found["metadata"]["name"] for found in read({"one": text})["one"]}

    assert len([name for name in names if not name.endswith("-test")]) == 2
