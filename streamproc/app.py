"""The worker's Faust app for Faust's own command line: ``faust -A streamproc.app worker``.

Law of the file: nothing is built when it is imported; the first look at ``app`` reads the
settings and the rules, so that an import by a test or a tool has no side effects.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from streamproc.config_sources import load_settings
from streamproc.transport.app import build_app, load_worker_rules


@cache
def _app() -> Any:
    settings = load_settings().settings
    return build_app(settings, load_worker_rules(settings))


def __getattr__(name: str) -> Any:
    if name == "app":
        return _app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
