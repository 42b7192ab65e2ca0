"""Program starts as the Linux audit system records them, sent by an audit beat.

Law of the file: the kernel names no parent but its number, so there is no ``process.parent.name``;
ends of processes are not audited.
"""

from __future__ import annotations

from typing import Any

from benchmarks.traffic.programs import Activity

_USERS = {"system": ("root", "0"), "service": ("app", "998"), "account": ("@@account@@", "@@uid@@")}


def auditd_document(activity: Activity, host: dict[str, Any]) -> dict[str, Any]:
    """The event's document, with marks."""
    name, number = _USERS[activity.user]
    arguments = [activity.executable, *activity.arguments]
    user = {"id": number, "name": name}
    return {
        "@timestamp": "2026-08-21T@@clock@@",
        "agent": {"id": "@@agent@@", "name": "@@host@@", "type": "auditbeat", "version": "8.15.1"},
        "auditd": {
            "data": _record(arguments),
            "message_type": "syscall",
            "paths": [_path(0, activity.executable), _path(1, "/lib64/ld-linux-x86-64.so.2")],
            "result": "success",
            "sequence": "@@#sequence@@",
            "session": "unset",
            "summary": {
                "actor": {"primary": "unset", "secondary": name},
                "how": activity.executable,
                "object": {"primary": activity.executable, "type": "file"},
            },
        },
        "data_stream": {
            "dataset": "auditd_manager.auditd",
            "namespace": "default",
            "type": "logs",
        },
        "ecs": {"version": "8.11.0"},
        "event": {
            "action": "executed",
            "category": ["process"],
            "id": "NGM5YzljYjM+++++@@event@@",
            "ingested": "2026-08-21T@@clock@@",
            "kind": "event",
            "module": "auditd",
            "outcome": "success",
            "type": ["start"],
        },
        "host": host,
        "process": {
            "args": arguments,
            "args_count": len(arguments),
            "command_line": " ".join(arguments),
            "entity_id": "@@entity@@",
            "executable": activity.executable,
            "hash": {"sha1": "@@hex@@@@hex@@@@hex@@"},
            "name": activity.name,
            "parent": {"pid": "@@#ppid@@"},
            "pid": "@@#pid@@",
            "title": " ".join(arguments),
            "working_directory": "/",
        },
        "related": {"user": [name]},
        "service": {"type": "auditd"},
        "tags": ["process-execution"],
        "user": {
            **user,
            "audit": {"id": "unset"},
            "effective": user,
            "filesystem": {**user, "group": user},
            "group": user,
            "saved": {**user, "group": user},
        },
    }


def _record(arguments: list[str]) -> dict[str, str]:
    """The audit record's own fields, as the kernel writes them."""
    return {
        **{f"a{number}": value for number, value in enumerate(("@@hex@@", "@@hex@@", "@@hex@@"))},
        "arch": "x86_64",
        "argc": str(len(arguments)),
        "exit": "0",
        "key": "process-execution",
        "syscall": "execve",
        "tty": "(none)",
    }


def _path(item: int, name: str) -> dict[str, str]:
    return {
        "dev": "08:01",
        "inode": "@@number@@",
        "item": str(item),
        "mode": "0100755",
        "name": name,
        "nametype": "NORMAL",
        "ogid": "0",
        "ouid": "0",
        "rdev": "00:00",
    }
