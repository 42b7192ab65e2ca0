"""The types of ECS fields, as far as a wrong one would keep an alert out of its index.

Elasticsearch refuses a whole document for one text where the mapping says number. Kibana leaves
such values out of its alerts; so do we. A field that is not named here passes as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamproc.eql.addresses import parse_address
from streamproc.eql.dates import parse_instant
from streamproc.eql.types import ECS_ADDRESSES, ECS_DATES

_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OBJECTS = _words(
    """
    agent client client.geo client.user cloud cloud.account cloud.instance cloud.service
    container container.image data_stream destination destination.geo destination.user device dll
    dll.code_signature dll.hash dll.pe dns dns.question ecs email error event faas file
    file.code_signature file.elf file.hash file.pe file.x509 group host host.cpu host.disk host.geo
    host.network host.os http http.request http.response log log.file log.syslog network observer
    observer.geo observer.os orchestrator organization package process process.code_signature
    process.entry_leader process.group_leader process.hash process.io process.parent
    process.parent.code_signature process.parent.group_leader process.parent.hash
    process.parent.pe process.parent.thread process.parent.user process.pe process.session_leader
    process.thread process.tty process.user registry registry.data related rule server server.geo
    server.user service service.node source source.geo source.user threat threat.indicator
    threat.tactic threat.technique threat.technique.subtechnique tls tls.client tls.server url user
    user.changes user.effective user.group user.target user_agent user_agent.os volume
    vulnerability
    """
)

_LONGS = _words(
    """
    client.bytes client.packets client.port destination.bytes destination.packets
    destination.port event.duration event.sequence event.severity file.size host.uptime
    http.request.bytes http.request.body.bytes http.response.bytes http.response.body.bytes
    http.response.status_code log.file.line log.origin.file.line network.bytes network.packets
    process.args_count process.exit_code process.parent.args_count process.parent.exit_code
    process.parent.pgid process.parent.pid process.parent.thread.id process.parent.uptime
    process.pgid process.pid process.ppid process.session_leader.pid process.entry_leader.pid
    process.group_leader.pid process.thread.id process.uptime server.bytes server.packets
    server.port source.bytes source.packets source.port source.nat.port destination.nat.port
    url.port
    """
)

_BOOLEANS = frozenset(
    f"{place}.code_signature.{name}"
    for place in ("dll", "file", "process", "process.parent")
    for name in ("exists", "trusted", "valid")
) | {"process.interactive", "process.parent.interactive", "tls.established", "tls.resumed"}

_KEYWORDS = _words(
    """
    agent.id agent.name agent.type agent.version data_stream.dataset data_stream.namespace
    data_stream.type ecs.version event.action event.agent_id_status event.category event.code
    event.dataset event.hash event.id event.kind event.module event.original event.outcome
    event.provider event.reason event.type file.directory file.extension file.name file.path
    group.id group.name host.architecture host.domain host.hostname host.id host.name host.os.family
    host.os.name host.os.platform host.os.type host.os.version message process.args
    process.command_line process.entity_id process.executable process.hash.md5 process.hash.sha1
    process.hash.sha256 process.name process.parent.args process.parent.command_line
    process.parent.entity_id process.parent.executable process.parent.name process.title
    process.working_directory registry.hive registry.key registry.path registry.value rule.id
    rule.name rule.uuid rule.version tags user.domain user.email user.id user.name
    """
)


def fits(path: str, value: Any) -> bool:
    """Return whether a value may stand at a field path: a scalar, or a dict for an object."""
    if value is None:
        return True
    check = _CHECKS.get(path)
    return check is None or check(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_keyword(value: Any) -> bool:
    return not isinstance(value, dict)


def _is_long(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        # Elasticsearch reads "47" and 47.9 as 47.
        return _LONG_MIN <= int(value if isinstance(value, int) else float(value)) <= _LONG_MAX
    except (ValueError, OverflowError):
        return False


def _is_boolean(value: Any) -> bool:
    # Not ``in``: 1 == True, and a dict has no hash.
    return isinstance(value, bool) or (isinstance(value, str) and value in ("true", "false", ""))


def _is_date(value: Any) -> bool:
    return isinstance(value, str | int | float) and parse_instant(value) is not None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and parse_address(value) is not None


_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_OBJECTS, _is_object),
    **dict.fromkeys(_LONGS, _is_long),
    **dict.fromkeys(_BOOLEANS, _is_boolean),
    **dict.fromkeys(_KEYWORDS, _is_keyword),
    **dict.fromkeys(ECS_DATES, _is_date),
    **dict.fromkeys(ECS_ADDRESSES, _is_address),
}
