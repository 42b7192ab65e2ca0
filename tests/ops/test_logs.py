"""Log lines: text for people, ECS JSON for a pipeline, and no chatter of the libraries."""

import io
import json
import logging
import logging.config

import pytest
from confluent_kafka import KafkaException

from streamproc.errors import ConfigError
from streamproc.ops.logs import REPEAT_INTERVAL_S, RepeatFilter, logging_config, record_fields

SECRET = "net use /user:admin hunter2"  # as a command line may say it


@pytest.fixture
def logged(written):
    """What is written of one line of ours and one of Faust's."""

    def say(log):
        log.info("a rule is %s", "out")
        logging.getLogger("faust.worker").info("step by step")

    return lambda level, log_format: written(level, log_format, say)


@pytest.fixture
def written(request):
    """What is written under a configuration, by a function that gets our logger."""

    def write(level, log_format, say):
        kept = logging.root.handlers[:], logging.root.level
        request.addfinalizer(lambda: _restore(*kept))
        logging.config.dictConfig(logging_config(level, log_format))
        stream = io.StringIO()
        for handler in logging.root.handlers:
            handler.setStream(stream)
        say(logging.getLogger("streamproc.test"))
        return stream.getvalue()

    return write


def _restore(handlers, level):
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for name in ("aiokafka", "asyncio", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_text_lines_name_level_and_logger(logged):
    """One line for our message, none for Faust's."""
    (line,) = logged("INFO", "text").splitlines()

    assert line.endswith("INFO     streamproc.test: a rule is out")


def test_json_lines_are_ecs(logged):
    """Each line is a JSON object with ECS names."""
    (line,) = logged("INFO", "json").splitlines()
    entry = json.loads(line)

    assert (entry["message"], entry["log.level"]) == ("a rule is out", "info")
    assert entry["log"]["logger"] == "streamproc.test"
    assert entry["event"]["dataset"] == entry["service"]["name"] == "streamproc"
    assert "@timestamp" in entry


def test_line_about_a_record_says_where_it_lies(written):
    """As fields of the JSON form."""
    extra = record_fields("events", 3, 41, ["r-1"])
    (line,) = written("INFO", "json", lambda log: log.warning("odd", extra=extra)).splitlines()
    entry = json.loads(line)

    assert entry["kafka"] == {"topic": "events", "partition": 3, "offset": 41}
    assert entry["rule"]["id"] == ["r-1"]
    assert "offset" not in record_fields("events", 3)["kafka"]


def say_it_all(log):
    """Every way in which an error comes into the log."""
    error = ValueError(SECRET)
    log.error("it failed: %r and %s", error, error)
    try:
        raise KeyError(SECRET)
    except KeyError:
        log.exception("it failed")
    try:
        raise ConfigError("a setting") from error
    except ConfigError:
        log.exception("it failed")
    log.error("it failed", exc_info=error)
    log.error("a mapping: %(error)s", {"error": "plain"})


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_texts_of_unexpected_errors_are_withheld(written, log_format):
    """They may quote an event; the types, the tracebacks and our own texts remain."""
    text = written("INFO", log_format, say_it_all)

    assert SECRET not in text
    assert all(word in text for word in ("ValueError", "KeyError", "ConfigError: a setting"))
    assert "say_it_all" in text
    assert "a mapping: plain" in text
    assert SECRET in written("DEBUG", log_format, say_it_all)


@pytest.mark.parametrize(
    "error", [ConfigError("no file"), OSError(2, "no file"), KafkaException("no file")]
)
def test_texts_of_expected_errors_are_shown(written, error):
    """They speak of settings, files and brokers."""
    assert "no file" in written("INFO", "text", lambda log: log.error("it failed: %s", error))


def test_level_is_kept(logged):
    """Below the level nothing is written; DEBUG shows the libraries too."""
    assert logged("ERROR", "text") == ""
    assert "step by step" in logged("DEBUG", "text")


def test_repeated_lines_appear_once_per_interval():
    """Lines that differ in digits only are one line; the next one says how many there were."""
    now = [100.0]
    repeats = RepeatFilter(clock=lambda: now[0])

    def line(text, *args):
        record = logging.LogRecord("k", logging.ERROR, "", 0, text, args, None)
        return record.getMessage() if repeats.filter(record) else None

    assert line("port %d refused", 9092) == "port 9092 refused"
    assert [line("port %d refused", port) for port in range(5)] == [None] * 5
    assert line("another matter") == "another matter"
    now[0] += REPEAT_INTERVAL_S
    assert line("port %d refused", 7) == "port 7 refused (5 more like it left out)"
