"""What a started or ended process looks like as an event: Elastic Defend's ECS document.

Law of the file: a document is a function of its arguments. The time is passed in, ids come from
the host and a sequence number, so that one seed gives one stream. Documents are of the size
(2 to 3 kB) and the shape that an endpoint agent sends, for the rates shown to mean something.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from streamproc.demo.fleet import AGENT_VERSION, Host, User

_ECS_VERSION = "8.10.0"


@dataclass(frozen=True, slots=True)
class Process:
    """One process on a host.

    Attributes:
        original_name: The name that the file was built under (``pe.original_file_name``);
            empty on Linux.
        signer: Subject of the code signature; empty if unsigned.
        entity_id: Unique in the fleet; empty from a sensor that does not give one.
    """

    executable: str
    args: tuple[str, ...]
    user: User
    pid: int
    entity_id: str
    original_name: str
    signer: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return _base_name(self.executable)

    @property
    def command_line(self) -> str:
        """The arguments as a shell would show them."""
        return _join_arguments(self.args)


@lru_cache(maxsize=4096)
def _base_name(executable: str) -> str:
    return executable.rpartition("\\" if "\\" in executable else "/")[2]


@lru_cache(maxsize=4096)
def _join_arguments(args: tuple[str, ...]) -> str:
    return " ".join(f'"{part}"' if " " in part and '"' not in part else part for part in args)


@lru_cache(maxsize=4096)
def _hash_file(executable: str, content: str) -> dict[str, str]:
    """Hashes of a make-believe file: the same file has the same ones on every host."""
    seed = f"{executable.lower()}\0{content}".encode()
    return {
        "md5": hashlib.md5(seed, usedforsecurity=False).hexdigest(),
        "sha1": hashlib.sha1(seed, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(seed).hexdigest(),
    }


@lru_cache(maxsize=256)
def _signature(signer: str) -> dict[str, Any]:
    if not signer:
        return {"exists": False, "status": "errorCode_endpoint: not signed", "trusted": False}
    return {
        "exists": True,
        "status": "trusted",
        "subject_name": signer,
        "thumbprint_sha256": hashlib.sha256(signer.encode()).hexdigest(),
        "trusted": True,
    }


def entity_id(host: Host, pid: int, number: int) -> str:
    """An id of the form that the endpoint agent makes: agent, pid and start, in base64."""
    return base64.b64encode(f"{host.agent_id}-{pid}-{number}".encode()).decode()


def event_id(host: Host, number: int) -> str:
    """Unique in the fleet as long as ``number`` is unique on the host."""
    counter = base64.b64encode(number.to_bytes(6, "big")).decode()
    return f"{host.event_prefix}+++++{counter}"


def format_time(now_s: float) -> str:
    """Seconds since the epoch as the agent writes them: UTC with a fraction and a Z."""
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def describe_event(
    host: Host, process: Process, parent: Process, *, number: int, now_s: float, is_end: bool
) -> dict[str, Any]:
    """The event of ``process`` starting under ``parent``, or ending.

    Args:
        host: Where.
        process: Which one started or ended.
        parent: What had started it.
        number: Sequence number of the event on the host; its id is made from it.
        now_s: The event's time, seconds since the epoch.
        is_end: Whether the process ended; it started otherwise.
    """
    now = format_time(now_s)
    action = "end" if is_end else ("start" if host.is_windows else "exec")
    return {
        "@timestamp": now,
        "agent": {"id": host.agent_id, "type": "endpoint", "version": AGENT_VERSION},
        "data_stream": {
            "type": "logs",
            "dataset": "endpoint.events.process",
            "namespace": "default",
        },
        "ecs": {"version": _ECS_VERSION},
        "elastic": {"agent": {"id": host.agent_id}},
        "event": {
            "action": action,
            "agent_id_status": "verified",
            "category": ["process"],
            "created": now,
            "dataset": "endpoint.events.process",
            "id": event_id(host, number),
            "kind": "event",
            "module": "endpoint",
            "outcome": "unknown",
            "sequence": number,
            "type": ["end" if is_end else "start"],
        },
        "host": host.block,
        "message": "Endpoint process event",
        "process": _describe_process(host, process, parent, is_end),
        "user": _describe_user(process.user),
    }


def _describe_user(user: User) -> dict[str, str]:
    if user.domain:
        return {"id": user.id, "name": user.name, "domain": user.domain}
    return {"id": user.id, "name": user.name}


def _describe_process(
    host: Host, process: Process, parent: Process, is_end: bool
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "Ext": _describe_extension(host, process, parent),
        "args": process.args,
        "args_count": len(process.args),
        "command_line": process.command_line,
        "entity_id": process.entity_id,
        "executable": process.executable,
        "hash": _hash_file(process.executable, process.original_name),
        "name": process.name,
        "parent": _describe_parent(host, parent),
        "pid": process.pid,
        "working_directory": "C:\\Windows\\System32\\" if host.is_windows else "/",
    }
    if host.is_windows:
        described["code_signature"] = _signature(process.signer)
        described["pe"] = {
            "imphash": _hash_file(process.executable, "imports")["md5"],
            "original_file_name": process.original_name,
        }
    else:
        described["user"] = _describe_user(process.user)
        described["group"] = {"id": process.user.id, "name": process.user.name}
        described["interactive"] = False
    if is_end:
        described["exit_code"] = 0
    return described


def _describe_extension(host: Host, process: Process, parent: Process) -> dict[str, Any]:
    ancestry = [parent.entity_id, entity_id(host, 4, 0)]
    if not host.is_windows:
        return {"ancestry": ancestry, "trusted": True, "trusted_descendant": False}
    is_system = process.user.id == "S-1-5-18"
    return {
        "ancestry": ancestry,
        "authentication_id": "0x3e7" if is_system else "0x4a91c",
        "code_signature": [_signature(process.signer)],
        "device": {
            "bus_type": "NVMe",
            "dos_name": "C:",
            "file_system_type": "NTFS",
            "nt_name": "\\Device\\HarddiskVolume3",
            "product_id": "Virtual disk",
            "vendor_id": "VMware",
            "volume_device_type": "Disk File System",
        },
        "mitigation_policies": ["CF Guard"],
        "protection": "",
        "relative_file_creation_time": 48628704.4,
        "relative_file_name_modify_time": 48628704.4,
        "session_info": {
            "authentication_package": "Negotiate" if is_system else "Kerberos",
            "client_address": "127.0.0.1",
            "id": 0 if is_system else 1,
            "logon_type": "Service" if is_system else "Interactive",
            "relative_logon_time": 21600.5,
            "relative_password_age": 2592000.1,
            "user_flags": ["LOGON_EXTRA_SIDS", "LOGON_NTLMV2_ENABLED", "LOGON_WINLOGON"],
        },
        "token": {
            "elevation_level": "default",
            "integrity_level_name": "system" if is_system else "medium",
            "security_attributes": ["TSA://ProcUnique"],
        },
        "trusted": bool(process.signer),
        "trusted_descendant": False,
    }


def _describe_parent(host: Host, parent: Process) -> dict[str, Any]:
    described: dict[str, Any] = {
        "args": parent.args,
        "args_count": len(parent.args),
        "command_line": parent.command_line,
        "entity_id": parent.entity_id,
        "executable": parent.executable,
        "name": parent.name,
        "pid": parent.pid,
    }
    if host.is_windows:
        described["Ext"] = {"real": {"pid": parent.pid}}
        described["code_signature"] = _signature(parent.signer)
        described["thread"] = {
            "Ext": {
                "call_stack_contains_unbacked": False,
                "call_stack_summary": "ntdll.dll|kernelbase.dll|kernel32.dll|" + parent.name,
            }
        }
    return described
