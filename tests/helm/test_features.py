"""What single values do: scaling, rules, topics, monitoring, further workloads and objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.helm.chart import (
    MAIN,
    Object,
    case_file,
    containers,
    notes,
    of_kind,
    pods,
    read,
    rendered,
    with_values,
)

pytestmark = pytest.mark.chart


def objects_with(chart: Path, *values: str) -> list[Object]:
    return read({"one": rendered(chart, *with_values(*values))})["one"]


def one_of(objects: list[Object], kind: str, name: str | None = None) -> Object:
    (found,) = (
        one for one in of_kind(objects, kind) if name is None or one["metadata"]["name"] == name
    )
    return found


def triggers(objects: list[Object]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in one_of(objects, "ScaledObject")["spec"]["triggers"]}


def test_lag_threshold_is_rate_times_allowed_backlog(chart: Path, cases: dict[str, list[Object]]):
    """Or the number that was given; KEDA wants it as text."""
    assert triggers(cases["keda"])["kafka"]["metadata"]["lagThreshold"] == str(13_000 * 90)
    assert triggers(cases["keda-secure"])["kafka"]["metadata"]["lagThreshold"] == "250000"
    large = objects_with(chart, "keda.enabled=true", "keda.eventsPerSecondPerPod=100000000")
    assert triggers(large)["kafka"]["metadata"]["lagThreshold"] == "6000000000"


def test_keda_reads_what_the_workers_read(chart: Path):
    """Group, topic, servers and the start of a new group come from the workers' own values."""
    values = ("keda.enabled=true", "topics.events=e", "kafka.groupId=g")
    found = triggers(objects_with(chart, *values, "topics.autoOffsetReset=latest"))["kafka"]

    wanted = {"topic": "e", "consumerGroup": "g", "bootstrapServers": "k:9092"}
    assert wanted.items() <= found["metadata"].items()
    assert found["metadata"]["offsetResetPolicy"] == "latest"
    assert found["metadata"]["version"] == "2.8.0"
    assert all(isinstance(value, str) for value in found["metadata"].values())
    assert "authenticationRef" not in found


def test_keda_logs_in_with_secrets_that_exist(cases: dict[str, list[Object]]):
    """Its own login where there is one; the chart copies no secret."""
    found = triggers(cases["keda-secure"])["kafka"]
    login = one_of(cases["keda-secure"], "TriggerAuthentication")

    assert found["authenticationRef"] == {"name": login["metadata"]["name"]}
    assert found["metadata"]["sasl"] == "scram_sha512"
    assert found["metadata"]["tls"] == "enable"
    assert login["spec"] == {
        "secretTargetRef": [
            {"parameter": "username", "name": "keda-kafka-login", "key": "username"},
            {"parameter": "password", "name": "keda-kafka-login", "key": "password"},
            {"parameter": "ca", "name": "kafka-cluster-ca", "key": "ca.crt"},
        ]
    }


def test_keda_takes_a_user_name_in_the_clear_from_the_worker(chart: Path):
    """It is in no Secret then, and KEDA takes logins from Secrets or from the workload."""
    login = "kafka.securityProtocol=SASL_PLAINTEXT,kafka.sasl.existingSecret=login"
    objects = objects_with(chart, "keda.enabled=true", login, "kafka.sasl.username=streamproc")

    assert one_of(objects, "TriggerAuthentication")["spec"]["env"] == [
        {"parameter": "username", "name": "STREAMPROC_SASL_USERNAME", "containerName": MAIN}
    ]


def test_cpu_holds_the_workers_that_lag_has_called(cases: dict[str, list[Object]]):
    """Lag alone would take workers away under full load: it is none when they keep up."""
    assert set(triggers(cases["keda"])) == {"kafka", "cpu", "prometheus"}
    assert set(triggers(cases["keda-secure"])) == {"kafka"}
    query = triggers(cases["keda"])["prometheus"]["metadata"]["query"]
    series = 'namespace="soc",container="worker",pod=~"detect-streamproc-.*"'
    assert query == (
        f"max(streamproc_consumer_lag_seconds{{{series}}})"
        f" * count(streamproc_assigned_partitions{{{series}}})"
    )


@pytest.mark.parametrize("case", ["keda", "hpa"])
def test_workers_leave_one_at_a_time(case: str, cases: dict[str, list[Object]]):
    """Each change of the members is a pause for the whole group."""
    if case == "keda":
        advanced = one_of(cases[case], "ScaledObject")["spec"]["advanced"]
        behavior = advanced["horizontalPodAutoscalerConfig"]["behavior"]
    else:
        behavior = one_of(cases[case], "HorizontalPodAutoscaler")["spec"]["behavior"]

    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_change_of_rules_restarts_only_when_asked(chart: Path):
    """Workers load changed rules as they run: their pods stay as they are by default."""

    def template_of(*values: str) -> Object:
        found = one_of(objects_with(chart, *values), "StatefulSet")
        return found["spec"]["template"]

    first = r"rules.inline.a\.toml=first"
    second = r"rules.inline.a\.toml=second"
    assert template_of(first) == template_of(second)
    restart = "rules.restartOnChange=true"
    assert template_of(first, restart) != template_of(second, restart)


def test_new_version_of_the_chart_alone_restarts_nothing(cases: dict[str, list[Object]]):
    """No label of a pod bears the chart's version."""
    for pod, found in pods(cases["default"]):
        if found["kind"] != "Pod":
            assert "helm.sh/chart" not in pod["metadata"]["labels"]


def test_image_is_named_by_digest_before_tag(chart: Path, cases: dict[str, list[Object]]):
    """The global registry goes before the image's own."""
    digest = "sha256:" + "ab" * 32

    def image(*values: str) -> str:
        pod = one_of(objects_with(chart, *values), "StatefulSet")["spec"]["template"]
        return pod["spec"]["containers"][0]["image"]

    repository = "image.repository=soc/streamproc"
    assert image(repository, "image.tag=1.2.3") == "soc/streamproc:1.2.3"
    assert image(repository, "image.tag=1.2.3", f"image.digest={digest}") == (
        f"soc/streamproc@{digest}"
    )
    assert image(repository, "image.tag=latest", f"image.digest={digest}").endswith(digest)
    registries = ("image.registry=one.example.com", "global.imageRegistry=two.example.com")
    assert image(repository, *registries[:1]).startswith("one.example.com/soc/streamproc:")
    assert image(repository, *registries).startswith("two.example.com/soc/streamproc:")


def test_hook_runs_before_what_it_would_need(cases: dict[str, list[Object]]):
    """A hook is made before the release's objects: it names none of them."""
    hook = one_of(cases["topics-hook"], "Job")
    plain = one_of(cases["topics-job"], "Job")

    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in hook["spec"]["template"]["spec"]
    assert "annotations" not in plain["metadata"]
    assert plain["spec"]["template"]["spec"]["serviceAccountName"] == "soc-workers"
    (container,) = hook["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [
        "topics", "create", "--partitions=48", "--output-partitions=12", "--replication=3",
        "--min-insync-replicas=2", "--retention-hours=24", "--output-retention-hours=336",
    ]  # fmt: skip


def test_plain_job_with_other_contents_has_another_name(chart: Path):
    """A Job cannot be changed, so an upgrade makes a new one."""
    values = ("topics.job.enabled=true", "topics.job.hook=false")
    names = {
        one_of(objects_with(chart, *values, f"topics.partitions={number}"), "Job")["metadata"][
            "name"
        ]
        for number in (12, 12, 24)
    }

    assert len(names) == 2


def test_further_workload_shares_what_is_not_its_own(cases: dict[str, list[Object]]):
    """Image, Kafka, rules and security are the release's; group, arguments and size its own."""
    objects = cases["extra-workload"]
    main = one_of(objects, "StatefulSet", "detect-streamproc")["spec"]["template"]["spec"]
    shadow = one_of(objects, "Deployment", "detect-streamproc-shadow")["spec"]["template"]["spec"]
    enricher = one_of(objects, "StatefulSet", "detect-streamproc-enricher")

    def variables(spec: Object) -> dict[str, Any]:
        return {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}

    assert shadow["containers"][0]["image"] == main["containers"][0]["image"]
    assert shadow["volumes"] == main["volumes"]
    assert shadow["securityContext"] == main["securityContext"]
    differing = {
        name for name, value in variables(shadow).items() if variables(main).get(name) != value
    }
    assert differing == {"STREAMPROC_GROUP_ID", "STREAMPROC_ALERTS_TOPIC"}
    assert main["containers"][0]["resources"]["requests"]["memory"] == "1Gi"
    assert shadow["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}
    spec = enricher["spec"]["template"]["spec"]
    assert variables(spec)["STREAMPROC_GROUP_ID"] == "streamproc-enricher"
    assert variables(spec)["STREAMPROC_METRICS_PORT"] == "0"
    assert enricher["spec"]["replicas"] == 2
    assert "ports" not in spec["containers"][0]


def test_alert_rules_are_those_of_the_files(chart: Path, cases: dict[str, list[Object]]):
    """Every group and rule of alerts/, but for the disabled alerts; their templates untouched."""
    files = {path.name: path.read_text() for path in sorted((chart / "alerts").glob("*.yaml"))}
    groups = [group for (file,) in read(files).values() for group in file["groups"]]
    found = one_of(cases["monitoring"], "PrometheusRule")["spec"]["groups"]
    expected = [
        rule
        for group in groups
        for rule in group["rules"]
        if rule.get("alert") != "StreamprocIdleReplicas"
    ]
    rules = [rule for group in found for rule in group["rules"]]

    assert [rule.get("expr") for rule in rules] == [rule.get("expr") for rule in expected]
    for rule, source in zip(rules, expected, strict=True):
        if "alert" in rule:
            assert rule["labels"] == {**source.get("labels", {}), "team": "soc"}
            assert rule["annotations"]["summary"] == source["annotations"]["summary"]
            assert re.match(
                r"https://wiki\.example\.com/streamproc/runbooks#",
                rule["annotations"]["runbook_url"],
            )


def test_dashboards_are_the_files(chart: Path, cases: dict[str, list[Object]]):
    """Byte for byte but for the last line break, in ConfigMaps that Grafana's sidecar finds."""
    maps = [
        found for found in of_kind(cases["monitoring"], "ConfigMap")
        if found["metadata"]["namespace"] == "monitoring"
    ]  # fmt: skip
    found = {name: text for one in maps for name, text in one["data"].items()}
    files = {path.name: path.read_text() for path in (chart / "dashboards").glob("*.json")}

    assert {name: text.strip() for name, text in found.items()} == {
        name: text.strip() for name, text in files.items()
    }
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in maps)


def test_network_policy_lets_through_only_what_is_needed(
    chart: Path, cases: dict[str, list[Object]]
):
    """Out to DNS and the brokers' ports, in to the metrics port; nothing else by default."""
    by_default = one_of(objects_with(chart, "networkPolicy.enabled=true"), "NetworkPolicy")["spec"]
    given = one_of(cases["network-policy"], "NetworkPolicy")["spec"]

    assert by_default["ingress"] == []
    assert by_default["egress"] == [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
        {"ports": [{"port": 9092, "protocol": "TCP"}]},
    ]
    assert given["ingress"][0]["ports"] == [{"port": 9464, "protocol": "TCP"}]
    assert given["egress"][1]["to"][0]["namespaceSelector"]
    assert len(given["ingress"]) == 2
    assert len(given["egress"]) == 3


def test_extras_arrive(cases: dict[str, list[Object]]):
    """Labels on every object and pod, annotations, variables, and objects with templates run."""
    objects = cases["extras"]
    spec = one_of(objects, "StatefulSet")["spec"]["template"]["spec"]
    variables = {one["name"]: one for one in spec["containers"][0]["env"]}
    extra = one_of(objects, "ConfigMap", "detect-detections-extra")
    own = [found for found in objects if "extra" not in found["metadata"]["name"]]

    assert all(found["metadata"]["labels"]["cost-center"] == "4711" for found in own)
    assert all(found["metadata"]["annotations"]["owner"] == "soc@example.com" for found in own)
    assert extra["data"] == {"group": "streamproc"}
    assert variables["MALLOC_ARENA_MAX"]["value"] == "2"
    assert variables["PROXY_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == "proxy-login"
    assert spec["containers"][0]["command"] == ["/opt/venv/bin/streamproc"]
    assert spec["hostAliases"]
    assert spec["priorityClassName"] == "soc-critical"
    assert len(spec["topologySpreadConstraints"]) == 1


def test_containers_beside_the_worker_share_its_rules(cases: dict[str, list[Object]]):
    """One fetches them before the worker starts, the other while it runs."""
    spec = one_of(cases["rules-from-git"], "StatefulSet")["spec"]["template"]
    mounts = {
        container["name"]: [mount["mountPath"] for mount in container["volumeMounts"]]
        for container in containers(spec)
    }

    assert set(mounts) == {"first-fetch", "worker", "fetch"}
    assert all("/rules" in paths for paths in mounts.values())


def test_notes_say_what_to_do_next_and_what_is_risky(chart: Path):
    """The next commands, and a warning for each choice that one may regret."""
    plain = notes(chart, *with_values("workload.replicas=5"))
    secure = notes(chart, "--values", case_file("secure"))

    assert "rollout status statefulset/detect-streamproc" in plain
    assert "helm test detect --namespace soc --logs" in plain
    assert "12 partitions do not divide evenly among 5 workers" in plain
    assert "WARNING: kafka.securityProtocol is PLAINTEXT" in plain
    assert "WARNING: image.digest is empty" in plain
    assert "PLAINTEXT" not in secure
    assert "image.digest" not in secure
    assert "Read, Describe           topic streamproc.events" in secure
