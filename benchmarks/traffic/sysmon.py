"""Sysmon's process events as winlogbeat sends them, mapped to ECS on the host.

Law of the file: the same activity says here what it says in Elastic Defend's shape, as far as
Sysmon knows it. There is no ``event.id``: ``winlog.record_id`` tells the events of a host apart.
"""

from __future__ import annotations

from typing import Any

from benchmarks.traffic.programs import Activity, file_name

_PROVIDER = "Microsoft-Windows-Sysmon"
_USERS = {
    "system": ("NT AUTHORITY", "SYSTEM"),
    "service": ("NT AUTHORITY", "NETWORK SERVICE"),
    "account": ("CORP", "@@account@@"),
}


def sysmon_document(activity: Activity, action: str, host: dict[str, Any]) -> dict[str, Any]:
    """The event's document, with marks.

    Args:
        activity: What ran.
        action: ``start`` (event 1) or ``end`` (event 5).
        host: The ``host`` object.
    """
    is_start = action == "start"
    code = "1" if is_start else "5"
    title = "Process creation" if is_start else "Process terminated"
    domain, name = _USERS[activity.user]
    fields = _event_data(activity, f"{domain}\\{name}") if is_start else {}
    return {
        "@timestamp": "2026-08-21T@@clock@@",
        "agent": {"id": "@@agent@@", "name": "@@host@@", "type": "winlogbeat", "version": "8.15.1"},
        "ecs": {"version": "8.11.0"},
        "data_stream": {
            "dataset": "windows.sysmon_operational",
            "namespace": "default",
            "type": "logs",
        },
        "event": {
            "action": title,
            "category": ["process"],
            "code": code,
            "created": "2026-08-21T@@clock@@",
            "kind": "event",
            "module": "sysmon",
            "provider": _PROVIDER,
            "type": [action],
        },
        "host": host,
        "log": {"level": "information"},
        "message": _message(title, activity, f"{domain}\\{name}", is_start),
        "process": _process(activity, is_start),
        "related": {"user": [name]},
        "user": {"domain": domain, "id": "S-1-5-18", "name": name},
        "winlog": {
            "api": "wineventlog",
            "channel": f"{_PROVIDER}/Operational",
            "computer_name": "@@host@@.corp.example",
            "event_data": fields,
            "event_id": code,
            "opcode": "Info",
            "process": {"pid": 3284, "thread": {"id": 4776}},
            "provider_guid": "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}",
            "provider_name": _PROVIDER,
            "record_id": "@@event@@",
            "user": {"domain": "NT AUTHORITY", "identifier": "S-1-5-18", "name": "SYSTEM"},
            "version": 5 if is_start else 3,
        },
    }


def _process(activity: Activity, is_start: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "entity_id": "@@entity@@",
        "executable": activity.executable,
        "name": activity.name,
        "pid": "@@#pid@@",
    }
    if not is_start:
        return found
    arguments = [activity.executable, *activity.arguments]
    parent = [activity.parent, *activity.parent_arguments]
    return found | {
        "args": arguments,
        "args_count": len(arguments),
        "command_line": " ".join(arguments),
        "hash": {"md5": "@@hex@@@@hex@@", "sha256": "@@hex@@@@hex@@@@hex@@@@hex@@"},
        "parent": {
            "args": parent,
            "args_count": len(parent),
            "command_line": " ".join(parent),
            "entity_id": "@@parent@@",
            "executable": activity.parent,
            "name": file_name(activity.parent),
            "pid": "@@#ppid@@",
        },
        "pe": {
            "company": activity.signer or "-",
            "file_version": "10.0.17763.1 (WinBuild.160101.0800)",
            "imphash": "@@hex@@@@hex@@",
            "original_file_name": activity.original or activity.name,
        },
        "working_directory": "C:\\Windows\\system32\\",
    }


def _event_data(activity: Activity, user: str) -> dict[str, Any]:
    return {
        "Company": activity.signer or "-",
        "FileVersion": "10.0.17763.1 (WinBuild.160101.0800)",
        "IntegrityLevel": "System",
        "LogonGuid": "{@@hex@@}",
        "LogonId": "0x3e7",
        "ParentUser": user,
        "TerminalSessionId": "0",
    }


def _message(title: str, activity: Activity, user: str, is_start: bool) -> str:
    """What the event viewer shows: the same once more, as text."""
    lines = [
        f"{title}:",
        "RuleName: -",
        "UtcTime: 2026-08-21 @@clock@@",
        "ProcessGuid: {@@hex@@}",
        "ProcessId: @@pid@@",
        f"Image: {activity.executable}",
    ]
    if is_start:
        lines += [
            f"OriginalFileName: {activity.original or activity.name}",
            f"CommandLine: {' '.join((activity.executable, *activity.arguments))}",
            "CurrentDirectory: C:\\Windows\\system32\\",
            "Hashes: MD5=@@hex@@@@hex@@,SHA256=@@hex@@@@hex@@@@hex@@@@hex@@,IMPHASH=@@hex@@@@hex@@",
            "ParentProcessId: @@ppid@@",
            f"ParentImage: {activity.parent}",
            f"ParentCommandLine: {' '.join((activity.parent, *activity.parent_arguments))}",
        ]
    return "\n".join([*lines, f"User: {user}"])
