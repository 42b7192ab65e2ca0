"""Which fields are dates and addresses."""

from __future__ import annotations

import pytest

from streamproc.eql.types import FieldType, field_type


@pytest.mark.parametrize(
    ("path", "declared", "expected"),
    [
        ("@timestamp", {}, FieldType.DATE),
        ("event.created", None, FieldType.DATE),
        ("process.parent.start", {}, FieldType.DATE),
        ("file.x509.not_before", {}, FieldType.DATE),
        ("source.ip", {}, FieldType.IP),
        ("destination.nat.ip", {}, FieldType.IP),
        ("dns.resolved_ip", {}, FieldType.IP),
        ("process.name", {}, FieldType.PLAIN),
        ("my.time", {"my.time": "date_nanos"}, FieldType.DATE),
        ("my.address", {"my.address": "ip"}, FieldType.IP),
        ("my.version", {"my.version": "version"}, FieldType.VERSION),
        ("process.pid", {"process.pid": "long"}, FieldType.PLAIN),
        ("source.ip", {"source.ip": "keyword"}, FieldType.PLAIN),
    ],
)
def test_field_type_prefers_the_declared_type(path, declared, expected):
    """Declared, else ECS, else plain."""
    assert field_type(path, declared) is expected
