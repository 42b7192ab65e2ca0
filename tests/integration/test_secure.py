"""A worker on a real Kafka with TLS, SCRAM and ACLs: what it may, what it is refused, and rotation.

One broker for all of them, with the documented topics and rights. Each test puts back what it
took away.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic, ResourceType

from streamproc.config import Settings
from streamproc.errors import ConfigError
from streamproc.refusals import EXIT_CODES, WAYS_OUT
from streamproc.topics import TopicOptions, create_topics
from tests.engine.programs import PAIR, SHELL, document, rule_text
from tests.integration.worker import DEADLINE_S, Samples, Worker, read_all, total, wait_until
from tests.kafka.access import (
    AUTHORIZER,
    REAUTHENTICATION_MS,
    Access,
    documented_rights,
    listener_properties,
)
from tests.kafka.authority import Authority

PARTITIONS = 2
USER, PASSWORD = "streamproc", "s3cret"
PASSWORDS = {USER: PASSWORD, "streamproc-topics": "t0pics", "keda": "k3da", "nobody": "n0ne"}
EXPIRY = "streamproc_tls_certificate_expiry_timestamp_seconds"
# A fetch that was allowed before a right was taken away waits at the broker for up to half of it.
FETCH_WAIT_S = 1.0
EXIT_S = "3"  # longer than a worker takes until it serves its metrics


class Place:
    """A broker, its authority, and who may change what."""

    def __init__(self, broker, authority: Authority, other: Authority) -> None:
        self.broker = broker
        self.authority = authority
        self.other = other
        self.access = Access(broker)

    def settings(self, user: str = USER, **changes) -> Settings:
        folder = self.authority.folder
        values = {
            "bootstrap_servers": self.broker.secure_bootstrap,
            "security_protocol": "SASL_SSL",
            "sasl_username": user,
            "sasl_password": PASSWORDS[user],
            "ssl_ca_file": folder / "authority.pem",
            "ssl_certificate_file": folder / "client.pem",
            "ssl_key_file": folder / "client.key",
            "canary_interval_s": 1,
        }
        return Settings(**values | changes)

    def client(self, user: str = USER, **more) -> dict:
        settings = self.settings(user)
        options = settings.librdkafka_client_options()
        return {**options, "bootstrap.servers": settings.bootstrap_servers, "log_level": 0, **more}


@pytest.fixture(scope="module")
def place(make_kafka_broker, tmp_path_factory) -> Place:
    """The broker, with all documented rights but the canary's, and the topics.

    The topics are made by the user that may do only that.
    """
    authority = Authority(tmp_path_factory.mktemp("authority"))
    other = Authority(tmp_path_factory.mktemp("other-authority"))
    authority.sign("client")
    authority.stranger("stranger")
    other.sign("client")
    both = authority.folder / "both.pem"
    both.write_bytes(
        b"".join((one.folder / "authority.pem").read_bytes() for one in (authority, other))
    )
    secure = listener_properties(authority) | {"ssl.truststore.location": str(both)}
    broker = make_kafka_broker(properties=AUTHORIZER, secure=secure, scram_users=PASSWORDS)
    made = Place(broker, authority, other)
    for block in ("worker", "topics", "keda"):
        made.access.allow(*documented_rights(block))
    # Who may write nothing at all gets no producer, and ends before anybody reads its metrics.
    made.access.allow(
        *(
            (*right[:3], "User:nobody", right[-1])
            for right in documented_rights("worker")
            if right[1] == "streamproc.dead-letters"
        )
    )
    outcomes = create_topics(made.settings("streamproc-topics"), TopicOptions(PARTITIONS, 1, 1))
    assert {outcome.action for outcome in outcomes} == {"created"}
    yield made
    broker.kill()


class Secure(Worker):
    """A worker with its own copies of the credentials, and what its metrics said last."""

    def __init__(self, place: Place, folder: Path, **settings: str) -> None:
        self.files = folder / "credentials"
        self.files.mkdir()
        source = place.authority.folder
        for name in ("authority.pem", "client.pem", "client.key"):
            shutil.copy(source / name, self.files)
        (self.files / "password").write_text(PASSWORD + "\n")
        rules = folder / "rules"
        rules.mkdir()
        (rules / "shell.toml").write_text(rule_text(0, SHELL))
        (rules / "pair.toml").write_text(rule_text(1, PAIR))
        self.known: Samples = {}
        given = {
            "bootstrap_servers": place.broker.secure_bootstrap,
            "security_protocol": "SASL_SSL",
            "sasl_username": USER,
            "sasl_password_file": str(self.files / "password"),
            "ssl_ca_file": str(self.files / "authority.pem"),
            "ssl_certificate_file": str(self.files / "client.pem"),
            "ssl_key_file": str(self.files / "client.key"),
            "group_instance_id": "one",  # the next test's takes over at once
            "credentials_reload_interval_s": "0.5",
            "refusal_exit_s": EXIT_S,
            "rules": str(rules),
        }
        super().__init__(folder / "worker.log", given | settings)

    def samples(self) -> Samples:
        """What its metrics say; what they said last while it does not answer."""
        self.known = super().samples() or self.known
        return self.known

    def refused(self) -> dict[str, float]:
        """Refusals by reason, as counted up to now."""
        samples = self.samples()
        return {
            reason: count
            for reason in EXIT_CODES
            if (count := total(samples, "streamproc_kafka_errors_total", reason=reason))
        }

    def ready(self) -> Secure:
        wait_until(
            lambda: self.total("streamproc_assigned_partitions") == PARTITIONS,
            "all are assigned",
            self,
        )
        return self

    def await_reload(self, result: str) -> None:
        """Wait until changed credentials are accepted or refused."""
        name = "streamproc_credential_reloads_total"
        wait_until(lambda: self.total(name, result=result) > 0, f"credentials are {result}", self)

    def ends_for(self, reason: str) -> None:
        """Wait for its end; metric, log and exit code say this reason and no other."""
        seen = self.refused()
        end = time.monotonic() + DEADLINE_S
        while self.exit_code is None:
            assert time.monotonic() < end, f"it goes on\n{self.tail()}"
            seen |= self.refused()
            time.sleep(0.1)
        log = self.log.read_text()
        assert self.exit_code == EXIT_CODES[reason], self.tail()
        assert set(seen) == {reason}, self.tail()
        assert f"(reason {reason}): {WAYS_OUT[reason]}" in log
        assert PASSWORD not in log


def send(place: Place, *events: dict) -> None:
    producer = Producer({"bootstrap.servers": place.broker.bootstrap})
    for event in events:
        producer.produce("streamproc.events", orjson.dumps(event), key=b"host")
    assert producer.flush(60) == 0


def shell(name: str) -> dict:
    return document() | {"event": {"id": name, "category": ["process"]}, "@timestamp": now()}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def alerts_of(place: Place, name: str, topic: str = "streamproc.alerts") -> list[bytes]:
    return [m.key() for m in read_all(place.broker.bootstrap, topic) if name.encode() in m.value()]


def answers(place: Place, name: str, worker: Worker) -> None:
    """Send an event and wait for its alert; there is one, and no second."""
    send(place, shell(name))
    wait_until(lambda: alerts_of(place, name), f"there is an alert of {name}", worker)
    assert len(alerts_of(place, name)) == 1


def may_not(action) -> None:
    with pytest.raises(KafkaException) as caught:
        action()
    assert "AUTHORIZATION_FAILED" in caught.value.args[0].name()


def read(place: Place, topic: str) -> None:
    """Read a partition of a topic, as no member of a group."""
    consumer = Consumer(place.client(**{"group.id": USER}))
    consumer.assign([TopicPartition(topic, 0, 0)])
    _raise_first(consumer)


def join(place: Place, group: str) -> None:
    consumer = Consumer(place.client(**{"group.id": group}))
    consumer.subscribe(["streamproc.events"])
    _raise_first(consumer)


def _raise_first(consumer: Consumer) -> None:
    """Raise what comes first, if it is an error."""
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end:
            message = consumer.poll(1)
            if message is not None:
                assert message.error() is not None, "a record was read"
                raise KafkaException(message.error())
    finally:
        consumer.close()


def produced(place: Place, topic: str) -> None:
    errors: list[KafkaError] = []
    producer = Producer(place.client())
    producer.produce(topic, b"x", on_delivery=lambda error, _: error and errors.append(error))
    assert producer.flush(60) == 0
    if errors:
        raise KafkaException(errors[0])


def test_the_documented_rights_are_enough_and_no_more(place, tmp_path):
    """Alerts, context requests, dead letters, sequence state and canary; nothing else."""
    place.access.allow(*documented_rights("canary"))
    settings = {"canary_interval_s": "1", "sequence_state_interval_s": "0.5", "lateness_s": "0"}
    with Secure(place, tmp_path, **settings) as worker:
        worker.ready()
        answers(place, "all-rights", worker)
        producer = Producer({"bootstrap.servers": place.broker.bootstrap})
        producer.produce("streamproc.events", b"no event")
        producer.flush(60)
        for name in ("alerts", "context-requests", "dead-letters", "sequence-state", "canary"):
            wait_until(
                lambda name=name: read_all(place.broker.bootstrap, f"streamproc.{name}"),
                f"{name} are written",
                worker,
            )
        wait_until(
            lambda: worker.total("streamproc_canary_received_total") > 0, "a canary is back", worker
        )
        assert worker.refused() == {}
        assert worker.stop() == 0
    with Secure(place, _empty(tmp_path / "again"), **settings) as worker:  # the state is read
        worker.ready()
        assert worker.refused() == {}
        assert worker.stop() == 0
    place.access.forbid(*documented_rights("canary"))
    admin = AdminClient(place.client())
    may_not(lambda: read(place, "streamproc.alerts"))
    may_not(lambda: join(place, "other-group"))
    may_not(lambda: produced(place, "streamproc.events"))
    may_not(lambda: admin.create_topics([NewTopic("streamproc.x", 1, 1)])["streamproc.x"].result())
    may_not(lambda: admin.delete_topics(["streamproc.alerts"])["streamproc.alerts"].result())


def test_lag_can_be_read_by_who_scales(place):
    """KEDA's user sees ends and commits, and no record."""
    admin = AdminClient(place.client("keda"))
    topics = admin.list_topics("streamproc.events", timeout=60).topics
    assert len(topics["streamproc.events"].partitions) == PARTITIONS
    consumer = Consumer(place.client("keda", **{"group.id": USER}))
    [committed] = consumer.committed([TopicPartition("streamproc.events", 0)], timeout=60)
    assert committed.error is None
    consumer.assign([TopicPartition("streamproc.events", 0, 0)])
    may_not(lambda: _raise_first(consumer))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"sasl_password": "wrong"}, "auth", id="password"),
        pytest.param({"ssl_ca_file": "stranger.pem"}, "tls_authority", id="authority"),
        pytest.param({"bootstrap_servers": "localhost"}, "tls_hostname", id="host name"),
        pytest.param({"keystore": "expired"}, "tls_expired", id="expired"),
        pytest.param({"sasl_username": "nobody"}, "authorization", id="rights"),
        pytest.param(
            {"ssl_certificate_file": "stranger.pem", "ssl_key_file": "stranger.key"},
            "tls_authority",
            id="client certificate",
        ),
    ],
)
def test_each_refusal_has_its_reason_and_its_exit_code(place, tmp_path, changes, reason):
    """In the metric, the log, the exit code, and in the words of ``topics create``."""
    folder = place.authority.folder
    changes = {
        name: str(folder / value) if name.startswith("ssl_") else value
        for name, value in changes.items()
    }
    if "bootstrap_servers" in changes:
        changes["bootstrap_servers"] = place.broker.secure_bootstrap.replace(
            "127.0.0.1", "localhost"
        )
    is_expired = changes.pop("keystore", None) is not None
    if is_expired:
        for kind in ("pem", "key"):
            shutil.copy(folder / f"server.{kind}", folder / f"expired.{kind}")
        place.authority.date("expired", -1)
        place.access.show(place.authority.keystore("expired"))
    if changes.get("sasl_username"):
        changes["sasl_password"] = PASSWORDS[changes["sasl_username"]]
    try:
        if reason != "authorization":  # it is told of each topic, not of the connection
            with pytest.raises(ConfigError, match=rf"\(reason {reason}\)"):
                create_topics(place.settings(**changes), TopicOptions())
        worker = Secure(place, tmp_path, **changes)
        if "sasl_password" in changes:
            (worker.files / "password").write_text(changes["sasl_password"])
            worker.forget("sasl_password")
        with worker:
            worker.ends_for(reason)
    finally:
        if is_expired:
            place.access.show(folder / "server.keystore.pem")


@pytest.mark.parametrize("operation", [AclOperation.READ, AclOperation.WRITE])
def test_a_right_that_is_taken_away_ends_the_worker_and_loses_nothing(place, tmp_path, operation):
    """What comes meanwhile is detected, once, when the right is back."""
    topic = "streamproc.events" if operation is AclOperation.READ else "streamproc.alerts"
    taken = [
        right
        for right in documented_rights("worker")
        if right[0] == ResourceType.TOPIC and right[1] == topic and right[-1] == operation
    ]
    name = f"taken-{operation.name}"
    with Secure(place, tmp_path) as worker:
        worker.ready()
        answers(place, f"before-{operation.name}", worker)
        place.access.forbid(*taken)
        try:
            # Seen although nothing is to be read or written at the moment.
            wait_until(worker.refused, "the right is missed", worker)
            time.sleep(FETCH_WAIT_S)
            send(place, shell(name))
            worker.ends_for("authorization")
            assert alerts_of(place, name) == []
        finally:
            place.access.allow(*taken)
    with Secure(place, _empty(tmp_path / "again")) as worker:
        wait_until(lambda: alerts_of(place, name), "what waited is detected", worker)
        answers(place, f"after-{operation.name}", worker)
        assert len(alerts_of(place, name)) == 1
        assert worker.stop() == 0


def test_a_password_is_changed_while_the_worker_runs(place, tmp_path):
    """With the file it goes on; without it ends, and says that the password was right before."""
    with Secure(place, tmp_path, refusal_exit_s="8") as worker:
        worker.ready()
        (worker.files / "password").write_text("n3w")
        place.access.set_password(USER, "n3w")
        try:
            worker.await_reload("accepted")
            time.sleep(2 * REAUTHENTICATION_MS / 1000)  # every connection has logged in again
            answers(place, "new-password", worker)
            place.access.set_password(USER, "n3wer")
            worker.ends_for("auth_rotated")
        finally:
            place.access.set_password(USER, PASSWORD)


def test_certificates_are_changed_while_the_worker_runs(place, tmp_path):
    """The old authority is no longer trusted, so whatever still comes does by the new ones."""
    source, new = place.authority.folder, place.other.folder
    with Secure(place, tmp_path, refusal_exit_s="60") as worker:
        worker.ready()
        pid = worker.pid
        answers(place, "old-certificate", worker)
        expiry = worker.total(EXPIRY, role="client")
        shutil.copy(source / "stranger.pem", worker.files / "client.pem")
        shutil.copy(source / "stranger.key", worker.files / "client.key")
        worker.await_reload("refused")  # brokers do not take a stranger's
        answers(place, "after-a-stranger", worker)
        place.other.date("client", 30)
        try:
            place.access.use(truststore=new / "authority.pem")
            shutil.copy(new / "client.pem", worker.files / "client.pem")
            shutil.copy(new / "client.key", worker.files / "client.key")
            worker.await_reload("accepted")
            worker.ready()
            for number in range(20):
                send(place, shell(f"new-certificate-{number}-"))
            wait_until(
                lambda: len(alerts_of(place, "new-certificate-")) >= 20, "all are there", worker
            )
            assert len(alerts_of(place, "new-certificate-")) == 20
            assert worker.total(EXPIRY, role="client") > expiry
            assert worker.total("streamproc_rebalances_total", reason="revoked") == 1
            assert worker.pid == pid
            assert worker.stop() == 0
        finally:
            place.access.use(truststore=source / "both.pem")


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
