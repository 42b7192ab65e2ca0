"""Which fields hold dates, addresses or versions, where the JSON type does not say it.

Law of the file: a declared type wins over the built-in ECS ones. Types that need no conversion
(``keyword``, ``long``, ``boolean``, ...) mean: go by the JSON value.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class FieldType(Enum):
    """How the values of a field compare; PLAIN: as their JSON type."""

    PLAIN = "plain"
    DATE = "date"
    IP = "ip"
    VERSION = "version"


_DECLARED = {
    "date": FieldType.DATE,
    "date_nanos": FieldType.DATE,
    "ip": FieldType.IP,
    "version": FieldType.VERSION,
}
_FILE_DATES = ("accessed", "created", "ctime", "mtime")
_ELF_DATES = ("elf.creation_date",)
_X509_DATES = ("not_after", "not_before")
_X509_PLACES = (
    "x509",
    "file.x509",
    "tls.client",
    "tls.client.x509",
    "tls.server",
    "tls.server.x509",
)
_PROCESS_PLACES = (
    "process",
    "process.parent",
    "process.group_leader",
    "process.session_leader",
    "process.entry_leader",
    "process.entry_leader.parent",
    "process.entry_leader.parent.session_leader",
    "process.session_leader.parent",
    "process.session_leader.parent.session_leader",
    "process.parent.group_leader",
    "process.previous",
    "process.responsible",
)
_PEOPLE_PLACES = ("client", "destination", "server", "source")

#: Elastic Common Schema fields of type ``date`` that events carry.
ECS_DATES = frozenset(
    [
        "@timestamp",
        "event.created",
        "event.end",
        "event.ingested",
        "event.start",
        "package.installed",
        "process.entry_meta.source.start",
        "threat.indicator.first_seen",
        "threat.indicator.last_seen",
        "threat.indicator.modified_at",
        *(f"file.{name}" for name in (*_FILE_DATES, *_ELF_DATES)),
        *(f"{place}.{name}" for place in _X509_PLACES for name in _X509_DATES),
        *(f"{place}.{name}" for place in _PROCESS_PLACES for name in ("start", "end")),
    ]
)

#: Elastic Common Schema fields of type ``ip``.
ECS_ADDRESSES = frozenset(
    [
        "dns.resolved_ip",
        "host.ip",
        "observer.ip",
        "process.entry_meta.source.ip",
        "process.entry_leader.entry_meta.source.ip",
        "related.ip",
        "threat.enrichments.indicator.ip",
        "threat.indicator.ip",
        *(f"{place}.ip" for place in _PEOPLE_PLACES),
        *(f"{place}.nat.ip" for place in _PEOPLE_PLACES),
    ]
)


def field_type(path: str, declared: Mapping[str, str] | None = None) -> FieldType:
    """The type of a field: as declared for the query, else as ECS has it, else PLAIN."""
    if declared is not None and path in declared:
        return _DECLARED.get(declared[path], FieldType.PLAIN)
    if path in ECS_DATES:
        return FieldType.DATE
    if path in ECS_ADDRESSES:
        return FieldType.IP
    return FieldType.PLAIN
