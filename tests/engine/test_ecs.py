"""A value fits an ECS field when Elasticsearch would take it."""

import pytest

from streamproc.engine.ecs import fits


@pytest.mark.parametrize(
    ("path", "value", "is_fit"),
    [
        ("process", {"pid": 1}, True),
        ("process", "cmd.exe", False),
        ("process.pid", 47, True),
        ("process.pid", "47", True),
        ("process.pid", "0x2f", False),
        ("process.pid", True, False),
        ("process.pid", 2**63, False),
        ("process.pid", float("inf"), False),
        ("process.pid", {}, False),
        ("process.name", "cmd.exe", True),
        ("process.name", 5, True),
        ("process.name", {"text": "cmd.exe"}, False),
        ("process.code_signature.trusted", True, True),
        ("process.code_signature.trusted", "false", True),
        ("process.code_signature.trusted", 1, False),
        ("process.code_signature.trusted", "yes", False),
        ("@timestamp", "2026-08-22T10:15:02Z", True),
        ("@timestamp", 1_787_393_702_991, True),
        ("@timestamp", "now", False),
        ("source.ip", "10.0.0.1", True),
        ("source.ip", "fe80::1", True),
        ("source.ip", "localhost", False),
        ("source.ip", None, True),
        ("winlog.anything", {"a": "b"}, True),
    ],
)
def test_values_fit_their_type(path, value, is_fit):
    """Null fits everywhere; a field that is not ECS takes anything."""
    assert fits(path, value) is is_fit
