"""How log lines look: text for people, or JSON in ECS for a log pipeline.

Law of the file: lines go to standard error, so that standard output stays a command's own. What
a library repeats many times a second appears once in a while, with how often it was left out.
No line says what an event says: a command line may hold a password. Only at the level DEBUG are
the texts of unexpected errors written, which may quote an event.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

# Faust and its service library report every step of their start and stop at INFO.
_CHATTY = ("aiokafka", "asyncio", "faust", "mode")

DATASET = "streamproc"
"""What lines call their source, as ``event.dataset`` and ``service.name``."""

REPEAT_INTERVAL_S = 30.0
"""Seconds for which a line that says the same again is left out."""
_KINDS_MAX = 256  # different lines remembered; more than librdkafka has in a bad hour


# Errors whose texts are known to speak of settings, files and brokers alone; cimpl is where
# confluent-kafka defines its own.
_PLAIN_MODULES = frozenset({"asyncio", "cimpl", "confluent_kafka", "faust", "mode", "streamproc"})


def record_fields(
    topic: str, partition: int, offset: int | None = None, rule_ids: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the ``extra`` of a line that speaks of a record: fields of its JSON form."""
    place: dict[str, Any] = {"topic": topic, "partition": partition}
    if offset is not None:
        place["offset"] = offset
    return {"kafka": place} | ({"rule.id": list(rule_ids)} if rule_ids else {})


class WithheldError(Exception):
    """Stands in the log for an error whose text may quote an event."""


class DiscreetFilter(logging.Filter):
    """Leaves of an unexpected error its type and its traceback, and withholds its text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, without such texts."""
        if isinstance(record.args, tuple) and any(map(_may_quote, record.args)):
            record.args = tuple(_discreet(arg) if _may_quote(arg) else arg for arg in record.args)
        error = record.exc_info[1] if record.exc_info else None
        if record.exc_info and error is not None and _tells(error):
            record.exc_info = type(error), _discreet(error), record.exc_info[2]
            record.exc_text = None
        return True


def _may_quote(value: object) -> bool:
    """Whether a value is an error of somebody who may have put a value of an event into it."""
    if not isinstance(value, BaseException) or isinstance(value, OSError):
        return False
    return type(value).__module__.partition(".")[0] not in _PLAIN_MODULES


def _tells(error: BaseException) -> bool:
    """Whether a traceback would show such an error, as the last one or as a cause of it."""
    shown: BaseException | None = error
    while shown is not None:
        if _may_quote(shown):
            return True
        shown = shown.__cause__ or shown.__context__
    return False


def _discreet(error: object) -> WithheldError:
    # A KafkaException that was raised while another error was handled may still say its own.
    text = "" if _may_quote(error) else f": {error}"
    return WithheldError(f"{type(error).__name__}{text} (more at log_level DEBUG)")


class RepeatFilter(logging.Filter):
    """Lets a line of librdkafka through once per interval: an outage brings twenty a second.

    Lines are the same if they differ in digits only (ports, counts, milliseconds).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line appears; adds how many like it did not."""
        kind = "".join(c for c in record.getMessage() if not c.isdigit())
        now_s = self._clock()
        shown_s, left_out = self._seen.get(kind, (-REPEAT_INTERVAL_S, 0))
        if now_s - shown_s < REPEAT_INTERVAL_S:
            self._seen[kind] = shown_s, left_out + 1
            return False
        if len(self._seen) >= _KINDS_MAX:
            self._seen.clear()
        self._seen[kind] = now_s, 0
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} more like it left out)"
            record.args = ()
        return True


def logging_config(level: str, log_format: str) -> dict[str, Any]:
    """Return a configuration for ``logging.config.dictConfig``.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
        log_format: ``text`` or ``json``.
    """
    formatters: dict[str, Any] = {
        "text": {"format": "%(asctime)s %(levelname)-8s %(name)s: %(message)s"},
        "json": {
            "()": "ecs_logging.StdlibFormatter",
            "extra": {"event.dataset": DATASET, "service.name": DATASET},
            "exclude_fields": ["log.original"],  # the message once more
        },
    }
    quiet = level if level in ("DEBUG", "ERROR") else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {log_format: formatters[log_format]},
        "filters": {"repeats": {"()": RepeatFilter}, "discreet": {"()": DiscreetFilter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": log_format,
                "filters": [] if level == "DEBUG" else ["discreet"],
            }
        },
        "loggers": {
            **{name: {"level": quiet} for name in _CHATTY},
            "streamproc.kafka": {"filters": ["repeats"]},
            "opentelemetry.exporter.otlp.proto.http.metric_exporter": {"filters": ["repeats"]},
            "opentelemetry.exporter.otlp.proto.http.trace_exporter": {"filters": ["repeats"]},
            # "Missing sensor state for rebalance": its own monitor, which nothing here reads.
            "faust.app.base": {"level": "ERROR"},
        },
        "root": {"level": level, "handlers": ["stderr"]},
    }
