"""OpenTelemetry is there when it is asked for, and says what is missing when it cannot be."""

from __future__ import annotations

import sys

import pytest

from streamproc.config import Settings
from streamproc.errors import ConfigError
from streamproc.transport.telemetry import telemetry_of

ASKED = Settings(otel_endpoint="http://127.0.0.1:9", otel_metrics_interval_s=0)


def test_none_unless_asked_for():
    """The default."""
    assert telemetry_of(Settings()) is None


def test_missing_package_is_told_with_the_way_out(monkeypatch):
    """Before the worker starts, not when the first alert comes."""
    monkeypatch.delitem(sys.modules, "streamproc.ops.telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"otel_endpoint = http://127.* streamproc\[otel\]"):
        telemetry_of(ASKED)


def test_made_when_asked_for():
    """It begins spans at once."""
    telemetry = telemetry_of(ASKED)
    telemetry.close()
