"""The list of settings: each is fully described, they fit together, and reach librdkafka."""

import shutil
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from pydantic import ValidationError

from streamproc.config import OWNED_OPTIONS, Settings, rules_path, shipped_rules_path
from streamproc.config_sources import allowed_values, load_settings

LOGIN = {"sasl_username": "worker", "sasl_password": "s3cret"}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_setting_has_meaning_and_range(name):
    """Every setting says what it means, and every number has both ends of its range."""
    field = Settings.model_fields[name]

    assert field.description
    assert allowed_values(name)
    if field.annotation in (int, float):
        assert " to " in allowed_values(name)


@pytest.mark.parametrize("name", [n for n in Settings.model_fields if n.endswith(("_s", "_ms"))])
def test_setting_of_time_names_its_unit_twice(name):
    """The unit in the name is the unit in the reference."""
    assert allowed_values(name).endswith(" " + name.rpartition("_")[2])


def test_defaults_are_valid_and_need_nothing():
    """A worker for the Kafka on this machine starts without any setting."""
    settings = Settings()

    assert settings.problems() == []
    assert settings.rules == (shipped_rules_path(),)
    assert list(shipped_rules_path().rglob("*.toml"))


def test_shipped_is_a_word_for_the_shipped_rules(tmp_path):
    """Own rules and the shipped ones run together, from whatever source the setting comes."""
    file = tmp_path / "streamproc.toml"
    file.write_text('rules = ["shipped", "own"]\n')
    (tmp_path / "own").mkdir()
    expected = (shipped_rules_path(), tmp_path / "own")

    assert load_settings(config_path=file, environ={}).settings.rules == expected
    variable = {"STREAMPROC_RULES": f"shipped,{tmp_path / 'own'}"}
    assert load_settings(environ=variable).settings.rules == expected
    given = {"rules": (Path("shipped"), tmp_path / "own")}
    assert load_settings(given, environ={}).settings.rules == expected


def test_folder_called_shipped_is_named_by_its_path(tmp_path):
    """The word alone is the shipped rules; a path that ends in it is a path."""
    assert rules_path(tmp_path / "shipped") == tmp_path / "shipped"


def test_settings_cannot_change():
    """Nobody can alter a setting after it was checked."""
    with pytest.raises(ValidationError):
        Settings().batch_records = 7


@pytest.mark.parametrize(
    ("values", "setting", "reason"),
    [
        ({"security_protocol": "SASL_SSL", "sasl_password": "p"}, "sasl_username", "is needed"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "u"}, "sasl_password", "is needed"),
        ({"otel_endpoint": "collector:4318"}, "otel_endpoint", "is no address such as http"),
        ({"otel_endpoint": "http://:4318"}, "otel_endpoint", "is no address such as http"),
        ({"otel_endpoint": "http://c:99999"}, "otel_endpoint", "is no address such as http"),
        ({"otel_endpoint": "http://me:pw@c:4318"}, "otel_endpoint", "must hold no login"),
        (LOGIN, "security_protocol", "use SASL_SSL"),
        ({**LOGIN, "security_protocol": "SSL"}, "security_protocol", "use SASL_SSL"),
        (
            {"security_protocol": "SSL", "ssl_certificate_file": "Makefile"},
            "ssl_key_file",
            "go together",
        ),
        (
            {"security_protocol": "SSL", "ssl_key_file": "Makefile"},
            "ssl_certificate_file",
            "go together",
        ),
        ({"security_protocol": "SSL", "ssl_ca_file": "nowhere.pem"}, "ssl_ca_file", "no file"),
        ({"ssl_ca_file": "Makefile"}, "ssl_ca_file", "unused with security_protocol PLAINTEXT"),
        ({"rules": ("nowhere",)}, "rules", "no file or folder nowhere"),
        ({"dead_letter_bytes_max": 1_000_001}, "dead_letter_bytes_max", "output_bytes_max"),
        ({"batch_age_max_s": 1}, "batch_age_max_s", "more than commit_interval_s (1)"),
        ({"alerts_topic": "streamproc.events"}, "events_topic", "must differ"),
        ({"sequence_state_topic": "streamproc.alerts"}, "sequence_state_topic", "must differ"),
        ({"sequence_state_topic": "streamproc.events"}, "sequence_state_topic", "must differ"),
        (
            {"canary_interval_s": 1, "canary_topic": "streamproc.sequence-state"},
            "canary_topic",
            "must differ",
        ),
        (
            {"canary_interval_s": 1, "canary_topic": "streamproc.alerts"},
            "canary_topic",
            "must differ",
        ),
        ({"kafka_options": {"acks": "0"}}, "kafka_options", "'acks' cannot be set here"),
        ({"kafka_options": {"group.id": "x"}}, "kafka_options", "set group_id"),
    ],
)
def test_settings_that_do_not_fit_together_are_a_problem(values, setting, reason, monkeypatch):
    """Exactly one problem, that names the setting to change and why."""
    monkeypatch.chdir(Path(__file__).parent.parent)
    [problem] = Settings(**values).problems()

    assert problem.setting == setting
    assert reason in problem.reason


def test_owned_options_name_real_settings():
    """Where the refusal of an option says "set X", X is a setting."""
    named = [why.removeprefix("set ") for why in OWNED_OPTIONS.values() if why.startswith("set ")]

    assert set(named) <= set(Settings.model_fields)


def test_plain_options_hold_no_security():
    """Without TLS and login librdkafka is told of neither."""
    assert Settings().librdkafka_client_options() == {
        "client.id": "streamproc",
        "security.protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("client", [Consumer, Producer])
def test_login_reaches_consumer_and_producer(client, mechanism):
    """Both kinds of client take the options of every mechanism."""
    settings = Settings(security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism, **LOGIN)
    options = settings.librdkafka_client_options()

    assert options["sasl.mechanism"] == mechanism
    assert (options["sasl.username"], options["sasl.password"]) == ("worker", "s3cret")
    _make(client, options)


@pytest.mark.parametrize("client", [Consumer, Producer])
def test_mutual_tls_reaches_consumer_and_producer(client, tmp_path):
    """Both kinds of client load authority, certificate and encrypted key from the files."""
    certificate, key = _self_signed(tmp_path)
    settings = Settings(
        security_protocol="SSL",
        ssl_ca_file=certificate,
        ssl_certificate_file=certificate,
        ssl_key_file=key,
        ssl_key_password="key-s3cret",
        ssl_endpoint_identification="none",
        kafka_options={"socket.keepalive.enable": True},
    )
    options = settings.librdkafka_client_options()

    assert settings.problems() == []
    assert options["ssl.endpoint.identification.algorithm"] == "none"
    assert options["socket.keepalive.enable"] is True
    _make(client, options)
    with pytest.raises(Exception, match=r"ssl\.key"):
        _make(client, options | {"ssl.key.password": "wrong"})


def test_secrets_do_not_show_in_repr():
    """A settings object in a traceback or log line gives no secret away."""
    assert "s3cret" not in repr(Settings(security_protocol="SASL_SSL", **LOGIN))


def _make(client, options):
    quiet = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    extra = {"group.id": "test"} if client is Consumer else {}
    made = client({**options, **quiet, **extra})
    if client is Consumer:
        made.close()


def _self_signed(folder):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:key-s3cret"]
    command += ["-keyout", key, "-out", certificate, "-subj", "/CN=localhost"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
