"""Which source wins, what is refused, and what the refusal says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.config import SECRETS, Settings
from streamproc.config_sources import load_settings, variable_name
from streamproc.errors import ConfigError


def load(environ=None, text=None, tmp_path=None, **overrides):
    path = None
    if text is not None:
        path = tmp_path / "streamproc.toml"
        path.write_text(text)
    return load_settings(overrides, path, environ or {})


def refusal(*args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    return str(caught.value)


def test_defaults_apply_when_nothing_is_given():
    """No source: every value is the default and says so."""
    effective = load()

    assert effective.settings == Settings()
    assert set(effective.origins.values()) == {"default"}
    assert set(effective.origins) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("sources", "value", "origin"),
    [
        ("", 2000, "default"),
        ("f", 1, "streamproc.toml:2"),
        ("fe", 2, "STREAMPROC_BATCH_RECORDS"),
        ("fec", 3, "--batch-records"),
        ("fc", 3, "--batch-records"),
        ("ec", 3, "--batch-records"),
    ],
)
def test_nearer_source_wins(sources, value, origin, tmp_path):
    """Command line over environment over file over default; the origin tells which it was."""
    effective = load(
        {"STREAMPROC_BATCH_RECORDS": "2"} if "e" in sources else {},
        "# a comment\nbatch_records = 1\n" if "f" in sources else None,
        tmp_path,
        batch_records=3 if "c" in sources else None,
    )

    assert effective.settings.batch_records == value
    assert effective.origins["batch_records"].endswith(origin)


def test_config_variable_names_the_file(tmp_path):
    """STREAMPROC_CONFIG is read when no path is given, and is itself no setting."""
    path = tmp_path / "other.toml"
    path.write_text("batch_records = 11\n")

    assert load({"STREAMPROC_CONFIG": str(path)}).settings.batch_records == 11


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("STREAMPROC_DEFAULT_CONTEXT_REQUESTS", "false", "default_context_requests", False),
        ("STREAMPROC_COMMIT_INTERVAL_S", "0.5", "commit_interval_s", 0.5),
        ("STREAMPROC_KAFKA_OPTIONS", '{"a.b": 1, "c": true}', "kafka_options", {"a.b": 1, "c": 1}),
        ("STREAMPROC_GROUP_INSTANCE_ID", "pod-0", "group_instance_id", "pod-0"),
        ("STREAMPROC_GROUP_ID", "", "group_id", "streamproc"),
    ],
)
def test_environment_text_is_understood(variable, text, name, value):
    """Text becomes the setting's type; an empty variable is one not given."""
    assert getattr(load({variable: text}).settings, name) == value


def test_rule_paths_are_comma_separated_in_the_environment(tmp_path):
    """Several rule paths fit into one variable."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b.toml").touch()
    rules = load({"STREAMPROC_RULES": f"{tmp_path}/a, {tmp_path}/b.toml"}).settings.rules

    assert rules == (tmp_path / "a", tmp_path / "b.toml")


def test_paths_in_the_file_are_meant_from_its_folder(tmp_path):
    """The program may be started anywhere."""
    (tmp_path / "mine.toml").touch()
    effective = load({}, 'rules = ["mine.toml"]\n', tmp_path)

    assert effective.settings.rules == (tmp_path / "mine.toml",)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"STREAMPROC_BATCH_RECORDS": "0"},
            "batch_records = 0 (from STREAMPROC_BATCH_RECORDS): must be 1 to 100000 records",
        ),
        (
            {"STREAMPROC_METRICS_PORT": "http"},
            "metrics_port = http (from STREAMPROC_METRICS_PORT): must be 0 to 65535",
        ),
        (
            {"STREAMPROC_LOOK_AHEAD_S": "nan"},
            "look_ahead_s = nan (from STREAMPROC_LOOK_AHEAD_S): must be 0 to 86400 s",
        ),
        (
            {"STREAMPROC_LOG_FORMAT": "xml"},
            "log_format = xml (from STREAMPROC_LOG_FORMAT): must be one of text, json",
        ),
        (
            {"STREAMPROC_BATCH_RECORD": "5"},
            "STREAMPROC_BATCH_RECORD (from the environment): there is no such setting;"
            " did you mean STREAMPROC_BATCH_RECORDS?",
        ),
        (
            {"STREAMPROC_ZZZ": "5"},
            "STREAMPROC_ZZZ (from the environment): there is no such setting;"
            " 'streamproc config' lists all settings",
        ),
        (
            {"STREAMPROC_KAFKA_OPTIONS": "{'sasl.token': 1}"},
            "kafka_options (from STREAMPROC_KAFKA_OPTIONS): must be a JSON object: Expecting"
            " property name enclosed in double quotes at character 2",
        ),
        (
            {"STREAMPROC_SECURITY_PROTOCOL": "SASL_SSL", "STREAMPROC_SASL_PASSWORD": "p"},
            "sasl_username: is needed with security_protocol SASL_SSL",
        ),
        (
            {"STREAMPROC_SASL_PASSWORD_FILE": "/nowhere"},
            "sasl_password_file = /nowhere (from STREAMPROC_SASL_PASSWORD_FILE): cannot be read:"
            " No such file or directory",
        ),
    ],
)
def test_wrong_environment_is_refused(environ, message):
    """One line: the setting, its value, where it was given, and what it may be."""
    assert refusal(environ) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\nbatch_records = -1", "batch_records = -1 (from FILE:3): must be 1 to 100000 records"),
        (
            "group_id = 'a'\nbatch_record = 1",
            "batch_record (from FILE:2): there is no such setting; did you mean batch_records?",
        ),
        (
            "[kafka]\nbatch_records = 1",
            "kafka (from FILE:1): there is no such setting; did you mean kafka_options?",
        ),
        ("rules = 7", "rules = 7 (from FILE:1): must be one or more paths"),
        (
            "[kafka_options]\n'sasl.password' = 'hidden'",
            "kafka_options (from FILE:1): 'sasl.password' cannot be set here: set sasl_password",
        ),
        ("a = = 1", "FILE: is not valid TOML: Invalid value (at line 1, column 5)"),
    ],
)
def test_wrong_file_is_refused(text, message, tmp_path):
    """As for the environment, with file and line."""
    shown = refusal({}, text, tmp_path).replace(str(tmp_path / "streamproc.toml"), "FILE")

    assert shown == message


def test_missing_file_is_refused(tmp_path):
    """A file that was named and is not there stops the start."""
    message = refusal({"STREAMPROC_CONFIG": str(tmp_path / "none.toml")})

    assert message == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_all_problems_are_told_at_once():
    """Who has two mistakes should not have to start twice to learn of both."""
    message = refusal({"STREAMPROC_BATCH_RECORDS": "x", "STREAMPROC_METRICS_PORT": "-1"})

    assert [line.split()[0] for line in message.splitlines()] == ["batch_records", "metrics_port"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMPROC_METRICS_PORT", "tcp://10.0.0.1:9464"),
        ("STREAMPROC_METRICS_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("STREAMPROC_METRICS_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("STREAMPROC_SERVICE_HOST", "10.0.0.1"),
        ("STREAMPROC_SERVICE_PORT_HTTP", "9464"),
        ("STREAMPROC_TEST_KAFKA", "localhost:9092"),
        ("OTHER_BATCH_RECORDS", "0"),
    ],
)
def test_variables_of_others_are_left_alone(variable, value):
    """Kubernetes' service variables, the tests' and everybody else's are no settings."""
    assert load({variable: value}).settings == Settings()


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secret_is_read_from_a_file(name, tmp_path):
    """``<secret>_file`` names a file; its last line break is no part of the secret."""
    path = tmp_path / "secret"
    path.write_text("two words \n")
    environ = {
        "STREAMPROC_SECURITY_PROTOCOL": "SASL_SSL",
        "STREAMPROC_SASL_USERNAME": "u",
        "STREAMPROC_SASL_PASSWORD": "p",
    }
    environ.pop(variable_name(name), None)
    effective = load({**environ, variable_name(name) + "_FILE": str(path)})

    assert getattr(effective.settings, name).get_secret_value() == "two words "
    assert effective.origins[name] == f"{variable_name(name)}_FILE ({path})"


def test_secret_given_twice_by_one_source_is_refused(tmp_path):
    """Which of the two was meant cannot be known."""
    path = tmp_path / "secret"
    path.write_text("x")
    message = refusal({"STREAMPROC_SASL_PASSWORD": "y", "STREAMPROC_SASL_PASSWORD_FILE": str(path)})

    assert message.startswith("sasl_password: given twice")


@given(st.sampled_from(sorted(SECRETS)), st.lists(st.integers(1000, 9999), min_size=1))
def test_wrong_secret_is_never_shown(name, value):
    """Even a value that is refused (here: not text) does not appear in the message."""
    message = refusal(**{name: value})

    assert "********" in message
    assert not any(re.search(rf"\b{number}\b", message) for number in value)
