"""Wrong values are refused, in words that name the value and the way out, by both Helms alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helm.chart import HELM_VERSIONS, MAIN, NEEDED, helm, template, with_values

pytestmark = pytest.mark.chart

SASL = "kafka.securityProtocol=SASL_SSL,kafka.sasl.existingSecret=login"

# What the schema refuses: values -> what the message must say.
BY_SCHEMA = [
    ("typo=1", "additional properties 'typo' not allowed"),
    ("kafka.bootstrapServer=k:9092", "additional properties 'bootstrapServer' not allowed"),
    ("settings.batch_record=5", "additional properties 'batch_record' not allowed"),
    ("settings.bootstrap_servers=k", "additional properties 'bootstrap_servers' not allowed"),
    ("settings.batch_records=0", "/settings/batch_records': minimum: got 0, want 1"),
    ("settings.log_level=LOUD", "/settings/log_level': value must be one of 'DEBUG'"),
    ("workload.replicas=abc", "/workload/replicas': got string, want integer"),
    ("workload.kind=DaemonSet", "/workload/kind': value must be one of 'StatefulSet'"),
    ("workload.terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds': minimum"),
    ("image.digest=sha256:12", "/image/digest': 'sha256:12' does not match pattern"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy': value must be one of"),
    ("kafka.securityProtocol=TLS", "/kafka/securityProtocol': value must be one of 'PLAINTEXT'"),
    ("kafka.sasl.mechanism=GSSAPI", "/kafka/sasl/mechanism': value must be one of 'PLAIN'"),
    ("topics.events=a b", "/topics/events': 'a b' does not match pattern"),
    ("topics.partitions=0", "/topics/partitions': minimum: got 0, want 1"),
    ("metrics.port=0", "/metrics/port': minimum"),
    ("keda.enabled=true,keda.minReplicas=0", "/keda/minReplicas': minimum: got 0, want 1"),
    ("autoscaling.minReplicas=0", "/autoscaling/minReplicas': minimum: got 0, want 1"),
    ("keda.enabled=true,autoscaling.enabled=true", "/autoscaling/enabled': value must be false"),
    (
        "workload.kind=Deployment,workload.membership=static",
        "/workload/membership': value must be one of 'auto', 'dynamic'",
    ),
    ("rules.inline.notes=x", "'notes' does not match pattern"),
    ("podDisruptionBudget.maxUnavailable=0", "/podDisruptionBudget/maxUnavailable'"),
    ("extraWorkloads.enricher.replicas=1", "missing property 'args'"),
    ("topologySpread.zone=Sometimes", "/topologySpread/zone': value must be one of 'Off'"),
]

# What only a template can tell, as it takes several values: values -> words of the message.
BY_TEMPLATE = [
    ("image.repository=", "image.repository is needed"),
    ("kafka.bootstrapServers=", "kafka.bootstrapServers is needed"),
    ("kafka.bootstrapServers=kafka://k:9092", "'kafka://k:9092' is not host:port"),
    (r"kafka.bootstrapServers=k:9092\,other", "'other' is not host:port"),
    ("image.tag=latest", "image.tag is latest, which is another program tomorrow"),
    ("kafka.securityProtocol=SASL_SSL", "kafka.sasl.existingSecret is needed"),
    ("kafka.sasl.existingSecret=login", "kafka.sasl has a login, but kafka.securityProtocol"),
    ("kafka.tls.existingSecret=ca", "kafka.tls.existingSecret is given, but"),
    (
        "kafka.securityProtocol=SSL,kafka.tls.existingSecret=ca,kafka.tls.certificateKey=tls.crt",
        "kafka.tls.certificateKey and kafka.tls.privateKeyKey go together",
    ),
    (
        "kafka.securityProtocol=SSL,kafka.tls.certificateKey=a,kafka.tls.privateKeyKey=b",
        "kafka.tls.existingSecret is needed",
    ),
    ("topics.events=streamproc.alerts", "topics.events must differ"),
    ("workload.replicas=13", "workload.replicas is 13, but topics.partitions is 12"),
    ("keda.enabled=true,keda.maxReplicas=13", "keda.maxReplicas is 13, but topics.partitions"),
    ("autoscaling.enabled=true,autoscaling.maxReplicas=1", "autoscaling.minReplicas is more than"),
    ("keda.enabled=true,keda.maxLagSeconds=45", "more than the session timeout (45 s)"),
    (
        "keda.enabled=true,settings.session_timeout_s=90",
        "keda.maxLagSeconds is 60: it must be more than the session timeout (90 s)",
    ),
    ("keda.enabled=true,keda.fallback.replicas=1", "keda.fallback.replicas must be"),
    ("autoscaling.enabled=true,resources.requests.cpu=null", "resources.requests.cpu is needed"),
    ("rules.shipped=false", "there are no rules: set rules.shipped"),
    ("extraEnv.STREAMPROC_RULES=/x", "extraEnv.STREAMPROC_RULES is set by the chart already"),
    ("extraEnv.STREAMPROC_LOG_FORMAT=text", "extraEnv.STREAMPROC_LOG_FORMAT is set by the chart"),
    (
        f"extraWorkloads.{MAIN}.args[0]=worker",
        "extraWorkloads.worker has the name of the main workload",
    ),
    (
        "extraWorkloads.shadow.args[0]=worker,extraWorkloads.shadow.replicas=40",
        "extraWorkloads.shadow.replicas is 40, but topics.partitions is 12",
    ),
]


@pytest.mark.parametrize("version", HELM_VERSIONS)
@pytest.mark.parametrize(("values", "words"), BY_SCHEMA, ids=lambda text: text[:40])
def test_schema_refuses(chart: Path, values: str, words: str, version: str):
    """The message names the place of the value, and what it may be."""
    result = template(chart, *with_values(values), version=version)

    assert result.returncode != 0
    assert "don't meet the specifications of the schema" in result.stderr
    assert words in result.stderr


@pytest.mark.parametrize(("values", "words"), BY_TEMPLATE, ids=lambda text: text[:40])
def test_template_refuses(chart: Path, values: str, words: str):
    """The message says which values do not go together, and what to do."""
    result = template(chart, *with_values(values))

    assert result.returncode != 0
    assert "The values cannot be used:\n  - " in result.stderr
    assert words in result.stderr


@pytest.mark.parametrize("version", HELM_VERSIONS)
def test_all_problems_are_told_at_once(chart: Path, version: str):
    """Nobody has to run Helm once per mistake."""
    result = template(chart, "--set=rules.shipped=false,workload.replicas=99", version=version)

    assert [line[4:20] for line in result.stderr.splitlines() if line.startswith("  - ")] == [
        "image.repository",
        "kafka.bootstrapS",
        "workload.replica",
        "there are no rul",
    ]


def test_both_autoscalers_are_refused_without_the_schema_too(chart: Path):
    """Whoever skips the schema still hears of it, in words."""
    result = template(
        chart,
        "--skip-schema-validation",
        *with_values("keda.enabled=true", "autoscaling.enabled=true"),
    )

    assert "two autoscalers would fight over the number of workers" in result.stderr


@pytest.mark.parametrize(
    ("value", "api"),
    [
        ("keda.enabled", "keda.sh/v1alpha1"),
        ("podMonitor.enabled", "monitoring.coreos.com/v1"),
        ("prometheusRule.enabled", "monitoring.coreos.com/v1"),
    ],
)
def test_kind_that_the_cluster_does_not_know_is_refused(chart: Path, value: str, api: str):
    """With what to install, and with the way around the check."""
    result = template(chart, *with_values(f"{value}=true"), apis=())
    unchecked = template(chart, *with_values(f"{value}=true", "checkApis=false"), apis=())

    assert f"{value}: the cluster does not know {api}; install" in result.stderr
    assert "checkApis=false" in result.stderr
    assert unchecked.returncode == 0


@pytest.mark.parametrize(
    ("value", "folder"),
    [("prometheusRule.enabled", "alerts"), ("dashboards.enabled", "dashboards")],
)
def test_no_alerts_and_no_dashboards_are_told(chart: Path, tmp_path: Path, value: str, folder: str):
    """A chart that was packed without these files makes no empty objects of them."""
    empty = tmp_path / "streamproc"
    empty.mkdir()
    for part in chart.iterdir():
        if part.name != folder:
            (empty / part.name).symlink_to(part)

    result = template(empty, *with_values(f"{value}=true"))

    assert f"{value}: this chart has no files in {folder}/" in result.stderr


@pytest.mark.parametrize("version", HELM_VERSIONS)
@pytest.mark.parametrize(("kubernetes", "is_known"), [("1.26.9", False), ("1.27.0", True)])
def test_oldest_kubernetes_is_told(chart: Path, version: str, kubernetes: str, is_known: bool):
    """The chart says which Kubernetes it needs."""
    values = with_values(NEEDED[0])
    result = helm("template", "r", chart, f"--kube-version={kubernetes}", *values, version=version)

    assert (result.returncode == 0) == is_known
    assert is_known or "requires kubeVersion: >=1.27.0-0" in result.stderr
