"""How log lines look: text for people, or JSON in ECS for a log pipeline.

Law of the file: lines go to standard error, so that standard output stays a command's own. What
a library repeats many times a second appears once in a while, with how often it was left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

# Faust and its service library report every step of their start and stop at INFO.
_CHATTY = ("aiokafka", "asyncio", "faust", "mode")

REPEAT_INTERVAL_S = 30.0
"""Seconds for which a line that says the same again is left out."""
_KINDS_MAX = 256  # different lines remembered; more than librdkafka has in a bad hour


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
        "json": {"()": "ecs_logging.StdlibFormatter"},
    }
    quiet = level if level in ("DEBUG", "ERROR") else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {log_format: formatters[log_format]},
        "filters": {"repeats": {"()": RepeatFilter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": log_format,
            }
        },
        "loggers": {
            **{name: {"level": quiet} for name in _CHATTY},
            "streamproc.kafka": {"filters": ["repeats"]},
            # "Missing sensor state for rebalance": its own monitor, which nothing here reads.
            "faust.app.base": {"level": "ERROR"},
        },
        "root": {"level": level, "handlers": ["stderr"]},
    }
