"""How log lines look: text for people, or JSON in ECS for a log pipeline.

Law of the file: lines go to standard error, so that standard output stays a command's own.
"""

from __future__ import annotations

from typing import Any

# Faust and its service library report every step of their start and stop at INFO.
_CHATTY = ("aiokafka", "asyncio", "faust", "mode")


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
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": log_format,
            }
        },
        "loggers": {name: {"level": quiet} for name in _CHATTY},
        "root": {"level": level, "handlers": ["stderr"]},
    }
