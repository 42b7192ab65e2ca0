"""Every panel and every alert finds its series on a real Prometheus and a real worker.

The worker reads from a real Kafka over TLS; events, garbage, matches, a sequence, records lost to
retention and a canary make every metric appear that a running worker has.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack

import pytest
import yaml
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.cli.samples import write_rule
from tests.engine.programs import rule_id
from tests.integration.stream import make_stream, produce
from tests.integration.worker import Worker, free_port, wait_until
from tests.kafka.authority import Authority
from tests.observability.dashboards import BOARDS, queries
from tests.observability.live import Prometheus
from tests.observability.test_alerts import FILES
from tests.observability.tools import promtool

pytestmark = [pytest.mark.observability, pytest.mark.timeout(600)]

TOPICS = ("events", "alerts", "context_requests", "dead_letters", "sequence_state", "canary")
# A sequence, and a rule that is asked about every sixth event and never matches.
SEQUENCE = """sequence by host.id with maxspan=10m
  [process where process.name == "w3wp.exe"]
  [process where process.name == "teams.exe"]"""
OFTEN_ASKED = 'process where process.name == "cmd.exe" and process.parent.name != "explorer.exe"'
SELECTOR = re.compile(r"\b((?:streamproc|process)[:_][\w:]+)(\{[^}]*\})?")


@pytest.fixture(scope="module")
def live(tmp_path_factory, make_kafka_broker):
    """A Prometheus whose worker has done all that the metrics speak of."""
    folder = tmp_path_factory.mktemp("live")
    authority = Authority(folder)
    authority.sign("client")
    secure = authority.broker_properties("server") | {
        "ssl.client.auth": "none",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }
    broker = make_kafka_broker(secure=secure, scram_users={"worker": "s3cret"})
    for number, query in enumerate((SEQUENCE, OFTEN_ASKED)):
        write_rule(folder / "rules" / f"{number}.toml", query, rule_id(number), f"Rule {number}")
    port = free_port()
    settings = {
        "bootstrap_servers": broker.secure_bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "worker",
        "sasl_password": "s3cret",
        "ssl_ca_file": str(authority.folder / "authority.pem"),
        "ssl_certificate_file": str(authority.folder / "client.pem"),
        "ssl_key_file": str(authority.folder / "client.key"),
        "rules": f"shipped,{folder / 'rules'}",
        "metrics_port": str(port),
        "canary_interval_s": "2",
        "lateness_s": "1",
        **{f"{name}_topic": f"live.{name}" for name in TOPICS},
    }
    with ExitStack() as running:
        running.callback(broker.kill)
        worker = Worker(folder / "worker.log", settings)
        _make_topics(settings)
        _lose_records(broker.bootstrap, settings["events_topic"])
        running.enter_context(worker)
        wait_until(lambda: worker.get("/readyz")[0] == 200, "it is ready", worker)
        server = Prometheus(folder, f"127.0.0.1:{port}", FILES)
        running.enter_context(server)
        stream = make_stream(20_000)
        for part in range(4):  # rates need more than one step
            events = stream.records[part * 5_000 : (part + 1) * 5_000]
            produce(broker.bootstrap, settings["events_topic"], stream._replace(records=events))
            time.sleep(2)
        yield server, port


def test_every_panel_shows_something(live):
    """As Grafana asks, with all values of the variables chosen."""
    server, _ = live
    # A mark is only there for a minute: asked for is what it looks at.
    asked = {
        _as_asked(expr).replace("[1m]) > 0", "[1m])"): title
        for board in BOARDS
        for title, expr in queries(board)
    }

    missing = server.without_series(asked)

    assert {asked[expr]: expr for expr in missing} == {}, server.tail()


def test_every_selector_of_an_alert_finds_series(live):
    """A metric that was renamed would leave its alert silent for ever."""
    server, _ = live
    exprs = [
        rule["expr"]
        for path in FILES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    selectors = {"".join(found) for expr in exprs for found in SELECTOR.findall(expr)}

    assert len(selectors) > 30
    assert server.without_series(selectors) == set()


def test_a_healthy_worker_fires_nothing_critical(live):
    """All of the above is everyday life but for the records that were lost on purpose."""
    server, _ = live

    firing = server.query('ALERTS{alertstate="firing",severity="critical"}')

    assert {series["metric"]["alertname"] for series in firing} <= {"StreamprocRecordsLost"}


def test_metrics_follow_the_conventions(live):
    """Prometheus' own linter has nothing to say of them."""
    _, port = live
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read()

    done = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True)

    assert done.returncode == 0, done.stderr.decode()


def _as_asked(expr: str) -> str:
    for variable in ("namespace", "job", "instance"):
        expr = expr.replace(f"${variable}", ".*")
    return expr.replace("$__rate_interval", "10s").replace("$__range", "5m")


def _make_topics(settings: dict[str, str]) -> None:
    """By the command that users have; it also shows that the login works."""
    sizes = ("--partitions", "2", "--output-partitions", "1", "--replication", "1")
    environment = {f"STREAMPROC_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", "topics", "create", *sizes],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _lose_records(bootstrap: str, topic: str) -> None:
    """Records that the group has not read, deleted as retention would."""
    produce(bootstrap, topic, make_stream(100))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    places = [TopicPartition(topic, number, 0) for number in range(2)]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "streamproc"})
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()
    until = [TopicPartition(topic, place.partition, 5) for place in places]
    for done in admin.delete_records(until).values():
        done.result(30)
