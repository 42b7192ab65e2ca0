"""Every setting of the program: name, meaning, unit, default and range, in one list.

``Settings`` is that list and the single source of the settings reference, of ``streamproc
config`` and of the error messages. Law of the file: it reads nothing. Where values come from,
and which of them wins, is ``streamproc.config_sources``' part.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from streamproc.errors import ConfigError

KIB = 1024
MIB = 1024 * KIB

SECURE_PROTOCOLS = frozenset({"SSL", "SASL_SSL"})
SASL_PROTOCOLS = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})

# Options of librdkafka that ``kafka_options`` may not set, and the setting (or the reason) instead.
OWNED_OPTIONS = {
    "acks": "always 'all': an alert counts as written when all in-sync replicas have it",
    "auto.offset.reset": "set auto_offset_reset",
    "bootstrap.servers": "set bootstrap_servers",
    "client.id": "set client_id",
    "compression.codec": "set compression_type",
    "compression.type": "set compression_type",
    "enable.auto.commit": "always off: offsets are committed after their outputs are written",
    "enable.auto.offset.store": "always off: offsets are committed after their outputs are written",
    "enable.partition.eof": "no setting of a user's",
    "enable.idempotence": "always on: retries must neither reorder nor repeat outputs",
    "group.id": "set group_id",
    "group.instance.id": "set group_instance_id",
    "group.protocol": "always 'classic'",
    "linger.ms": "set producer_linger_ms",
    "metadata.broker.list": "set bootstrap_servers",
    "partition.assignment.strategy": "always 'range': tables need co-partitioned topics",
    "partitioner": "always 'murmur2_random', as Java clients partition",
    "queue.buffering.max.ms": "set producer_linger_ms",
    "request.required.acks": "always 'all'",
    "sasl.mechanism": "set sasl_mechanism",
    "sasl.mechanisms": "set sasl_mechanism",
    "sasl.password": "set sasl_password",
    "sasl.username": "set sasl_username",
    "security.protocol": "set security_protocol",
    "session.timeout.ms": "set session_timeout_s",
    "ssl.ca.location": "set ssl_ca_file",
    "ssl.certificate.location": "set ssl_certificate_file",
    "ssl.endpoint.identification.algorithm": "set ssl_endpoint_identification",
    "ssl.key.location": "set ssl_key_file",
    "ssl.key.password": "set ssl_key_password",
    "transactional.id": "outputs are written once per alert id, not in transactions",
}

# In place of a path of rules: those that come with the program, beside one's own.
SHIPPED_RULES = "shipped"

KafkaOption = str | int | float | bool


def setting(
    default: Any, meaning: str, *, unit: str = "", default_text: str = "", **bounds: Any
) -> Any:
    """Declare one setting.

    Args:
        default: Its value when nobody sets it.
        meaning: One line for the reference and for ``streamproc config``.
        unit: Unit of the value; "" if it has none.
        default_text: What the reference says in place of a default that depends on the machine.
        bounds: Limits as pydantic's ``Field`` names them: ``ge``, ``le``, ``min_length`` ...
    """
    extra: dict[str, Any] = {"unit": unit, "default_text": default_text}
    if callable(default):
        return Field(
            default_factory=default, description=meaning, json_schema_extra=extra, **bounds
        )
    return Field(default, description=meaning, json_schema_extra=extra, **bounds)


def shipped_rules_path() -> Path:
    """The folder of the rules that come with the program.

    In an installed wheel they lie in the package; in a checkout in ``rules/`` beside it.

    Raises:
        ConfigError: The installation is incomplete.
    """
    package = Path(str(resources.files("streamproc")))
    for candidate in (package / "_rules", package.parent / "rules"):
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"the shipped rules are missing: neither in {package} nor beside it")


def rules_path(path: str | Path) -> Path:
    """The path that a user names for rules; the word ``shipped`` is the shipped rules' folder.

    A folder that is itself called so needs its whole path.

    Raises:
        ConfigError: The shipped rules are meant, and missing.
    """
    return shipped_rules_path() if str(path) == SHIPPED_RULES else Path(path)


class Problem(NamedTuple):
    """Something wrong with the value of one setting, seen together with the others."""

    setting: str
    reason: str


class Settings(BaseModel):
    """All settings, valid each by itself; ``problems`` tells whether they fit together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Secret to the file that it was read from, if it was; told by ``config_sources``.
    _secret_files: dict[str, Path] = PrivateAttr(default_factory=dict)

    # --- Kafka: where, and as whom
    bootstrap_servers: str = setting(
        "localhost:9092", "Kafka brokers to ask first: host:port, comma-separated", min_length=1
    )
    group_id: str = setting(
        "streamproc", "Consumer group; workers of one group share the partitions", min_length=1
    )
    client_id: str = setting("streamproc", "Name of this client in the brokers' logs", min_length=1)
    group_instance_id: str | None = setting(
        None, "Static membership: a fixed name per worker, so that a restart moves no partition"
    )
    leave_group_on_stop: bool = setting(
        False,
        "Whether a worker with a group_instance_id gives its partitions to others when it stops;"
        " one without always does",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "How to talk to the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "SCRAM-SHA-512", "How to log in, with a SASL protocol"
    )
    sasl_username: str | None = setting(None, "User name, with a SASL protocol")
    sasl_password: SecretStr | None = setting(None, "Password, with a SASL protocol")
    ssl_ca_file: Path | None = setting(
        None, "PEM file of the certificate authorities to trust", default_text="the system's"
    )
    ssl_certificate_file: Path | None = setting(
        None, "PEM file of this client's certificate, for mutual TLS"
    )
    ssl_key_file: Path | None = setting(None, "PEM file of this client's private key")
    ssl_key_password: SecretStr | None = setting(None, "Password of the private key")
    ssl_endpoint_identification: Literal["https", "none"] = setting(
        "https", "Whether a broker's certificate must bear its host name"
    )
    credentials_reload_interval_s: float = setting(
        10,
        "Time between looks for a changed password file and certificates, which are then used"
        " without a restart; 0: never",
        unit="s",
        ge=0,
        le=86_400,
    )
    refusal_exit_s: float = setting(
        60,
        "Time for which Kafka may refuse login, certificate or rights before the worker ends"
        " itself; 0: for ever",
        unit="s",
        ge=0,
        le=86_400,
    )
    kafka_options: dict[str, KafkaOption] = setting(
        dict, "Further librdkafka options for consumer and producer", default_text="none"
    )

    # --- Topics
    events_topic: str = setting("streamproc.events", "Events to read", min_length=1)
    alerts_topic: str = setting("streamproc.alerts", "Alerts to write", min_length=1)
    context_requests_topic: str = setting(
        "streamproc.context-requests", "Context requests to write", min_length=1
    )
    dead_letters_topic: str = setting(
        "streamproc.dead-letters", "Records that could not be processed", min_length=1
    )
    auto_offset_reset: Literal["earliest", "latest"] = setting(
        "earliest", "Where a new consumer group starts to read"
    )

    # --- Rules and what they write
    rules: tuple[Path, ...] = setting(
        lambda: (shipped_rules_path(),),
        "Rule files and folders; 'shipped' for the shipped ones beside your own",
        default_text="the shipped rules",
        min_length=1,
    )
    rules_reload_interval_s: float = setting(
        10,
        "Time between looks for changed rule files, which are then loaded anew; 0: only on SIGHUP",
        unit="s",
        ge=0,
        le=86_400,
    )
    look_ahead_s: float = setting(
        900,
        "How far a context request whose range ends 'now' looks past the event",
        unit="s",
        ge=0,
        le=86_400,
    )
    default_context_requests: bool = setting(
        True, "Whether rules without investigate queries get the default set"
    )

    # --- Sequences
    sequence_state_topic: str = setting(
        "streamproc.sequence-state", "Partial sequences, kept for the next worker", min_length=1
    )
    lateness_s: float = setting(
        30,
        "How much later than its successors an event of a sequence may arrive",
        unit="s",
        ge=0,
        le=86_400,
    )
    sequence_state_interval_s: float = setting(
        10,
        "Time between writes of the state; offsets are committed with them",
        unit="s",
        ge=0.01,
        le=300,
    )
    sequence_span_default_s: float = setting(
        86_400, "Span of a sequence rule without maxspan", unit="s", ge=1, le=30 * 86_400
    )
    sequence_rule_keys_max: int = setting(
        100_000,
        "Join keys of one rule that a worker keeps; the longest untouched goes first",
        unit="keys",
        ge=1,
        le=100_000_000,
    )
    sequence_keys_max: int = setting(
        300_000, "Join keys of all rules that a worker keeps", unit="keys", ge=1, le=100_000_000
    )
    sequence_waiting_max: int = setting(
        200_000,
        "Events that a worker lets wait for earlier ones; beyond it they wait no longer",
        unit="events",
        ge=1,
        le=100_000_000,
    )

    # --- Flow
    batch_records: int = setting(
        2_000, "Records taken from Kafka at a time", unit="records", ge=1, le=100_000
    )
    batches_in_flight: int = setting(
        4, "Batches read ahead of the oldest unacknowledged one", unit="batches", ge=1, le=1_000
    )
    commit_interval_s: float = setting(
        1.0, "Time between commits of what is done", unit="s", ge=0.01, le=300
    )
    session_timeout_s: float = setting(
        45,
        "Silence after which the group gives a worker's partitions to others",
        unit="s",
        ge=1,
        le=300,
    )
    batch_age_max_s: float = setting(
        120,
        "Standstill through no one else's fault after which the worker ends itself",
        unit="s",
        ge=1,
        le=86_400,
    )
    record_bytes_max: int = setting(
        10 * MIB,
        "Largest event that is processed; larger ones become dead letters",
        unit="bytes",
        ge=KIB,
        le=1_000_000_000,
    )
    output_bytes_max: int = setting(
        1_000_000,
        "Largest alert or context request; larger ones are cut before they are written",
        unit="bytes",
        ge=10 * KIB,
        le=1_000_000_000,
    )
    dead_letter_bytes_max: int = setting(
        900_000,
        "Bytes of a record that its dead letter keeps; a longer one is cut, with its hash",
        unit="bytes",
        ge=KIB,
        le=1_000_000_000,
    )
    producer_linger_ms: float = setting(
        0.5,
        "Time that the producer waits for more outputs to send at once",
        unit="ms",
        ge=0,
        le=10_000,
    )
    compression_type: Literal["none", "gzip", "snappy", "lz4", "zstd"] = setting(
        "lz4", "Compression of what is written"
    )

    # --- Operation
    canary_interval_s: float = setting(
        0,
        "Time between synthetic events that measure the whole way; 0 sends none",
        unit="s",
        ge=0,
        le=3_600,
    )
    canary_topic: str = setting(
        "streamproc.canary",
        "Where alerts of synthetic events go: never to alerts_topic",
        min_length=1,
    )
    metrics_host: str = setting(
        "127.0.0.1", "Address of /metrics and the health pages; 0.0.0.0 for all", min_length=1
    )
    # The port that OpenTelemetry's Prometheus exporters use: free of Kafka's and Prometheus' own.
    metrics_port: int = setting(
        9464, "Port of /metrics and the health pages; 0 serves none", ge=0, le=65_535
    )
    otel_endpoint: str | None = setting(
        None,
        "Address of an OpenTelemetry collector (OTLP over HTTP, such as http://collector:4318) that"
        " gets traces and metrics; needs streamproc[otel]",
    )
    otel_metrics_interval_s: float = setting(
        60, "Time between metrics for otel_endpoint; 0 sends traces alone", unit="s", ge=0, le=3_600
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "INFO", "Least severe log lines that are written"
    )
    log_format: Literal["text", "json"] = setting("text", "Form of the log lines")

    @field_validator("rules")
    @classmethod
    def _with_shipped_rules_found(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(rules_path(path) for path in paths)

    @property
    def secret_files(self) -> dict[str, Path]:
        """Name of a secret to the file that it was read from, to be read again."""
        return self._secret_files

    def problems(self) -> list[Problem]:
        """What is wrong with the settings as a whole; empty when a client can be made of them."""
        return [
            *self._login_problems(),
            *self._file_problems(),
            *self._size_problems(),
            *self._option_problems(),
            *self._telemetry_problems(),
        ]

    def librdkafka_client_options(self) -> dict[str, KafkaOption]:
        """What consumer, producer and admin client have in common, as librdkafka names it.

        All but ``bootstrap.servers``, which the consumer and the producer get from Faust. Holds
        secrets in the clear: never to be logged.
        """
        options: dict[str, KafkaOption] = {
            "client.id": self.client_id,
            "security.protocol": self.security_protocol,
        }
        if self.security_protocol in SASL_PROTOCOLS:
            options["sasl.mechanism"] = self.sasl_mechanism
            options["sasl.username"] = self.sasl_username or ""
            options["sasl.password"] = _revealed(self.sasl_password)
        if self.security_protocol in SECURE_PROTOCOLS:
            options["ssl.endpoint.identification.algorithm"] = self.ssl_endpoint_identification
            files = {
                "ssl.ca.location": self.ssl_ca_file,
                "ssl.certificate.location": self.ssl_certificate_file,
                "ssl.key.location": self.ssl_key_file,
            }
            options.update({name: str(path) for name, path in files.items() if path})
            if self.ssl_key_password is not None:
                options["ssl.key.password"] = _revealed(self.ssl_key_password)
        return options | self.kafka_options

    def _login_problems(self) -> list[Problem]:
        found = []
        if self.security_protocol in SASL_PROTOCOLS:
            needed_for = f"is needed with security_protocol {self.security_protocol}"
            if not self.sasl_username:
                found.append(Problem("sasl_username", needed_for))
            if self.sasl_password is None:
                found.append(Problem("sasl_password", needed_for))
        elif self.sasl_username or self.sasl_password is not None:
            # Left alone, the worker would talk without logging in, which nobody meant.
            unused = f"a login is set, but security_protocol is {self.security_protocol}"
            found.append(Problem("security_protocol", f"{unused}; use SASL_SSL"))
        if bool(self.ssl_certificate_file) != bool(self.ssl_key_file):
            missing = "ssl_key_file" if self.ssl_certificate_file else "ssl_certificate_file"
            found.append(
                Problem(missing, "certificate and key go together: one of them is missing")
            )
        return found

    def _file_problems(self) -> list[Problem]:
        found = []
        for name in ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file"):
            path = getattr(self, name)
            if path is None:
                continue
            if not path.is_file():
                found.append(Problem(name, f"there is no file {path}"))
            elif self.security_protocol not in SECURE_PROTOCOLS:
                reason = f"unused with security_protocol {self.security_protocol}; use SSL"
                found.append(Problem(name, f"{reason} or SASL_SSL"))
        found += [
            Problem("rules", f"there is no file or folder {path}")
            for path in self.rules
            if not path.exists()
        ]
        return found

    def _size_problems(self) -> list[Problem]:
        found = []
        if self.dead_letter_bytes_max > self.output_bytes_max:
            most = f"at most output_bytes_max ({self.output_bytes_max})"
            found.append(
                Problem("dead_letter_bytes_max", f"must be {most}: it travels as an output")
            )
        if self.batch_age_max_s <= self.commit_interval_s:
            least = f"more than commit_interval_s ({self.commit_interval_s:g})"
            found.append(Problem("batch_age_max_s", f"must be {least}"))
        outputs = [self.alerts_topic, self.context_requests_topic, self.dead_letters_topic]
        if self.sequence_state_topic in (self.events_topic, *outputs):
            # It is compacted: what is no snapshot would be refused or deleted there.
            found.append(Problem("sequence_state_topic", "must differ from all other topics"))
        others = (self.events_topic, self.sequence_state_topic, *outputs)
        if self.canary_interval_s and self.canary_topic in others:
            found.append(Problem("canary_topic", "must differ from all other topics"))
        if self.events_topic in outputs:
            # The worker would read what it writes, for ever.
            found.append(Problem("events_topic", "must differ from the topics that are written"))
        return found

    def _option_problems(self) -> list[Problem]:
        return [
            Problem("kafka_options", f"'{name}' cannot be set here: {OWNED_OPTIONS[name]}")
            for name in sorted(self.kafka_options.keys() & OWNED_OPTIONS.keys())
        ]

    def _telemetry_problems(self) -> list[Problem]:
        if not self.otel_endpoint:
            return []
        try:
            address = urlsplit(self.otel_endpoint)
            is_address = address.scheme in ("http", "https") and bool(address.hostname)
            is_address = is_address and address.port != 0  # asking for it checks the number
        except ValueError:
            is_address = False
        if not is_address:
            form = "is no address such as http://collector:4318"
            return [Problem("otel_endpoint", form)]
        if address.username is not None or address.password is not None:
            # It is shown wherever settings are.
            reason = "must hold no login; set OTEL_EXPORTER_OTLP_HEADERS"
            return [Problem("otel_endpoint", reason)]
        return []


SECRETS = frozenset({"sasl_password", "ssl_key_password"})
"""Settings that are masked wherever they are shown, and may be given as ``<name>_file``."""


def secret_of(text: str) -> str:
    """Return the secret in a file: editors end it with a line break that is no part of it."""
    return text.rstrip("\r\n")


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
