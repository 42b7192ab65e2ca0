"""Activities as JSON text with blanks, in the ways that producers write JSON.

Law of the file: a template filled in is valid JSON. What goes into a blank is text that the
producer's way of writing leaves as it is (``encode`` sees to that), or digits.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from benchmarks.traffic.auditd import auditd_document
from benchmarks.traffic.programs import Activity, file_name
from benchmarks.traffic.sysmon import sysmon_document

_NUMBER_MARK = re.compile(r'"@@#(\w+)@@"')
_MARK = re.compile(r"@@(\w+)@@")
STYLES = ("nested", "dotted", "go", "slashes")
"""As endpoints write; flattened to dotted keys; with Go's escapes; with all that JSON allows."""

ENDPOINT = "endpoint"
SYSMON = "sysmon"
AUDITD = "auditd"
SOURCES = (ENDPOINT, SYSMON, AUDITD)
"""Who saw it: Elastic Defend, Sysmon (Windows only), the Linux audit system (starts only)."""


def template(activity: Activity, action: str, style: str, source: str = ENDPOINT) -> str:
    """Return the event's text for ``%`` with a mapping of the blanks.

    Args:
        activity: What ran.
        action: ``start`` or ``end``.
        style: One of ``STYLES``.
        source: One of ``SOURCES``.
    """
    if source == SYSMON:
        document = sysmon_document(activity, action, _host(activity.is_windows))
    elif source == AUDITD:
        document = auditd_document(activity, _host(activity.is_windows))
    else:
        document = _document(activity, action)
    if style == "dotted":
        document = _dotted(document)
    text = encode(document, style).replace("%", "%%")
    text = _NUMBER_MARK.sub(r"%(\1)s", text)
    return _MARK.sub(r"%(\1)s", text)


def encode(value: Any, style: str) -> str:
    """Write JSON as producers of the style do."""
    text = json.dumps(value, ensure_ascii=style == "slashes", separators=(",", ":"))
    if style == "go":
        escapes = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"}
    elif style == "slashes":
        escapes = {"/": "\\/", "+": "\\u002B", "'": "\\u0027", "&": "\\u0026"}
    else:
        escapes = {}
    for plain, escaped in escapes.items():
        text = text.replace(plain, escaped)
    return text


def _document(activity: Activity, action: str) -> dict[str, Any]:
    is_windows = activity.is_windows
    stamp = "2026-08-21T@@clock@@"
    shown = action if is_windows or action == "end" else "exec"
    return {
        "agent": {"id": "@@agent@@", "type": "endpoint", "version": "8.15.1"},
        "process": _process(activity, action) | _lineage(activity),
        "message": "Endpoint process event",
        "@timestamp": stamp,
        "ecs": {"version": "8.10.0"},
        "data_stream": {
            "namespace": "default",
            "type": "logs",
            "dataset": "endpoint.events.process",
        },
        "elastic": {"agent": {"id": "@@agent@@"}},
        "host": _host(is_windows),
        "event": {
            "agent_id_status": "verified",
            "sequence": "@@#sequence@@",
            "ingested": "2026-08-21T@@clock@@",
            "created": stamp,
            "kind": "event",
            "module": "endpoint",
            "action": shown,
            "id": "NGM5YzljYjM+++++@@event@@",
            "category": ["process"],
            "type": [action],
            "dataset": "endpoint.events.process",
            "outcome": "unknown",
        },
        "user": _user(activity),
    }


def _host(is_windows: bool) -> dict[str, Any]:
    system = "windows" if is_windows else "linux"
    return {
        "hostname": "@@host@@",
        "os": {
            "Ext": {"variant": "@@variant@@"},
            "kernel": "@@kernel@@",
            "name": "Windows" if is_windows else "Linux",
            "family": "windows" if is_windows else "debian",
            "type": system,
            "version": "@@kernel@@",
            "platform": "windows" if is_windows else "debian",
            "full": "@@variant@@ @@kernel@@",
        },
        "ip": ["@@address@@", "fe80::f40a:aed0:618a:972d", "127.0.0.1", "::1"],
        "name": "@@host@@",
        "id": "@@hostid@@",
        "mac": ["@@mac@@"],
        "architecture": "x86_64",
    }


def _user(activity: Activity) -> dict[str, Any]:
    if activity.is_windows:
        return {
            "system": {"domain": "NT AUTHORITY", "name": "SYSTEM", "id": "S-1-5-18"},
            "service": {"domain": "NT AUTHORITY", "name": "NETWORK SERVICE", "id": "S-1-5-20"},
            "account": {
                "domain": "CORP",
                "name": "@@account@@",
                "id": "S-1-5-21-3541430928-2051711210-1391384369-@@uid@@",
            },
        }[activity.user]
    name, number = {
        "system": ("root", 0),
        "service": ("app", 998),
        "account": ("@@account@@", "@@#uid@@"),
    }[activity.user]
    owner = {"id": number, "name": name}
    return {"Ext": {"real": owner}, **owner}


def _process(activity: Activity, action: str) -> dict[str, Any]:
    arguments = [activity.executable, *activity.arguments]
    found: dict[str, Any] = {
        "pid": "@@#pid@@",
        "entity_id": "@@entity@@",
        "executable": activity.executable,
        "args": arguments,
        "args_count": len(arguments),
        "command_line": " ".join(arguments),
        "name": activity.name,
        "hash": _hashes(activity.executable + activity.original),
        "working_directory": "C:\\Windows\\system32\\" if activity.is_windows else "/",
    }
    if action == "end":
        found |= {"exit_code": 0, "end": "2026-08-21T@@clock@@"}
    if not activity.is_windows:
        return found
    signature = _signature(activity)
    return found | {
        "code_signature": signature,
        "pe": {"original_file_name": activity.original or activity.name},
        "Ext": {
            "ancestry": ["@@parent@@", "@@grandparent@@"],
            "code_signature": [signature],
            "authentication_id": "0x3e7",
            "device": {"volume_device_type": "Disk File System", "product_id": "@@disk@@"},
            "protection": "",
            "relative_file_creation_time": "@@#age@@",
            "relative_file_name_modify_time": "@@#age@@",
            "token": {"integrity_level_name": "system", "elevation_level": "default"},
        },
    }


def _lineage(activity: Activity) -> dict[str, Any]:
    """The parent, and on Linux the leaders of the session."""
    arguments = [activity.parent, *activity.parent_arguments]
    parent: dict[str, Any] = {
        "pid": "@@#ppid@@",
        "entity_id": "@@parent@@",
        "executable": activity.parent,
        "args": arguments,
        "args_count": len(arguments),
        "command_line": " ".join(arguments),
        "name": file_name(activity.parent),
    }
    if activity.is_windows:
        parent["Ext"] = {"protection": "PsProtectedSignerAntimalware-Light"}
        parent["thread"] = {
            "Ext": {
                "call_stack_summary": "ntdll.dll|kernelbase.dll|kernel32.dll|rpcrt4.dll|ntdll.dll",
                "call_stack_contains_unbacked": False,
            }
        }
        return {"parent": parent}
    root = {"id": 0, "name": "root"}
    for role in ("user", "group", "real_user", "real_group"):
        parent[role] = root
    return {
        "parent": parent,
        "entry_leader": _leader("/usr/lib/systemd/systemd", "@@first@@")
        | {"entry_meta": {"type": "init"}, "real_user": root, "user": root, "group": root},
        "session_leader": _leader(activity.parent, "@@grandparent@@") | {"real_user": root},
        "Ext": {"ancestry": ["@@parent@@", "@@grandparent@@", "@@first@@"]},
        "supplemental_groups": [root],
        "interactive": False,
    }


def _leader(executable: str, entity: str) -> dict[str, Any]:
    return {
        "pid": "@@#ppid@@",
        "entity_id": entity,
        "executable": executable,
        "name": file_name(executable),
        "interactive": False,
        "same_as_process": False,
        "start": "2026-08-20T08:00:00.000Z",
        "working_directory": "/",
    }


def _signature(activity: Activity) -> dict[str, Any]:
    if not activity.signer:
        return {"exists": False}
    return {
        "trusted": True,
        "subject_name": activity.signer,
        "exists": True,
        "status": "trusted",
        "thumbprint_sha256": hashlib.sha256(activity.signer.encode()).hexdigest(),
    }


def _hashes(text: str) -> dict[str, str]:
    return {
        name: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
        for name in ("md5", "sha1", "sha256")
    }


def _dotted(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            found |= _dotted(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
