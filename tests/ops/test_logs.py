"""Log lines: text for people, ECS JSON for a pipeline, and no chatter of the libraries."""

import io
import json
import logging
import logging.config

import pytest

from streamproc.ops.logs import REPEAT_INTERVAL_S, RepeatFilter, logging_config


@pytest.fixture
def logged(capsys, request):
    """What is written on standard error under a configuration."""

    def write(level, log_format):
        kept = logging.root.handlers[:], logging.root.level
        request.addfinalizer(lambda: _restore(*kept))
        logging.config.dictConfig(logging_config(level, log_format))
        stream = io.StringIO()
        for handler in logging.root.handlers:
            handler.setStream(stream)
        logging.getLogger("streamproc.test").info("a rule is %s", "out")
        logging.getLogger("faust.worker").info("step by step")
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
    assert "@timestamp" in entry


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
