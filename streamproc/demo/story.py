"""What happens on the two Exchange servers, and what elsewhere merely looks like it.

Law of the file: every step says which rule has to answer it, or none; the demonstration fails if
an answer is missing. Command lines are harmless: they only show what an intruder would look at.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from streamproc.demo.programs import FILES, Program, Task

WORKER_RULE_ID = "f81ee52c-297e-46d9-9205-07e66931df26"
UM_RULE_ID = "483c4daf-b0c6-49e0-adf3-0bfa93231d6b"

SHORT_NAMES = {WORKER_RULE_ID: "Exchange worker", UM_RULE_ID: "Exchange UM"}
"""Rule id -> a name that fits a narrow terminal."""

_ENCODED = base64.b64encode(
    "Get-MailboxDatabase | Format-List Name,EdbFilePath".encode("utf-16-le")
).decode()


@dataclass(frozen=True, slots=True)
class Step:
    """One process start of the story.

    Attributes:
        at: When, as a share (0 to 1) of the time that events flow.
        host: Name of the host.
        parent: Key of a standing process, or the label of an earlier step.
        program: What is started.
        args: Its command line.
        rule_id: The rule that has to raise an alert; empty for none.
        label: Name under which later steps find the process.
        is_defender: Reported by Microsoft Defender XDR, which gives no entity ids.
    """

    at: float
    host: str
    parent: str
    program: Program
    args: tuple[str, ...]
    rule_id: str = ""
    label: str = ""
    is_defender: bool = False


STORY: tuple[Step, ...] = (
    # A web shell in Outlook on the web: a look around, PowerShell, then PowerShell in disguise.
    Step(
        0.10,
        "EXCH01",
        "owa_pool",
        FILES["cmd"],
        ("cmd.exe", "/c", "whoami", "/all", "&", "ipconfig", "/all"),
        WORKER_RULE_ID,
        "first shell",
    ),
    Step(0.11, "EXCH01", "first shell", FILES["whoami"], ("whoami", "/all")),
    Step(0.12, "EXCH01", "first shell", FILES["ipconfig"], ("ipconfig", "/all")),
    Step(
        0.25,
        "EXCH01",
        "owa_pool",
        FILES["powershell"],
        ("powershell.exe", "-NoProfile", "-NonInteractive", "-EncodedCommand", _ENCODED),
        WORKER_RULE_ID,
    ),
    Step(
        0.40,
        "EXCH01",
        "owa_pool",
        Program("C:\\Windows\\Temp\\aspnet_perf.exe", "PowerShell.EXE"),
        ("aspnet_perf.exe", "-w", "hidden", "-c", "Get-ChildItem C:\\inetpub\\wwwroot -Recurse"),
        WORKER_RULE_ID,
    ),
    # The Unified Messaging service of the other server is exploited (CVE-2021-26857).
    Step(
        0.50,
        "EXCH02",
        "umworker",
        Program("C:\\Windows\\Temp\\umperf.exe", "umperf.exe"),
        ("C:\\Windows\\Temp\\umperf.exe", "-install", "-quiet"),
        UM_RULE_ID,
    ),
    Step(
        0.60,
        "EXCH02",
        "umservice",
        FILES["cmd"],
        ("cmd.exe", "/c", "net", "group", "Exchange Servers", "/domain"),
        UM_RULE_ID,
    ),
    # A second web shell there, seen by another sensor: no entity ids, so some context requests
    # fall back to pid and time.
    Step(
        0.70,
        "EXCH02",
        "ecp_pool",
        FILES["cmd"],
        ("cmd.exe", "/c", "dir", "C:\\inetpub\\wwwroot\\aspnet_client"),
        WORKER_RULE_ID,
        is_defender=True,
    ),
)


NEAR_MISSES: tuple[tuple[str, Task], ...] = (
    # The right parent, another pool.
    ("IIS01", Task(0, "default_pool", "cmd", ("cmd.exe", "/c", "build-report.cmd {number}"))),
    # The right parent and pool, a compiler for a child, as ASP.NET does all day.
    (
        "EXCH01",
        Task(0, "owa_pool", "csc", ("csc.exe", "/noconfig", "@C:\\Windows\\TEMP\\{hex}.cmdline")),
    ),
    # Crash reports of the UM worker: excluded by path.
    (
        "EXCH02",
        Task(
            0,
            "umworker",
            "werfault",
            ("C:\\Windows\\System32\\werfault.exe", "-u", "-p", "{number}", "-s", "1204"),
            True,
        ),
    ),
    # The UM service starting its own worker: excluded by path.
    ("EXCH01", Task(0, "umservice", "umworker", (FILES["umworker"].executable, "-port:5066"))),
    # PowerShell as an administrator starts it.
    ("WKS-ENG-03", Task(0, "explorer", "powershell", ("powershell.exe", "-NoLogo"))),
    # Only the command line speaks of the worker and its pool.
    (
        "WKS-ENG-05",
        Task(
            0,
            "explorer",
            "cmd",
            ("cmd.exe", "/c", "tasklist", "|", "findstr", "w3wp.exe", "MSExchangeOWAAppPool"),
        ),
    ),
    # And so does a log search on Linux.
    (
        "bastion-01",
        Task(0, "sshd", "grep", ("grep", "-c", "w3wp.exe -ap MSExchangeOWAAppPool", "/log/iis")),
    ),
)


def report_by_defender(document: dict[str, Any]) -> dict[str, Any]:
    """The same process start as Microsoft Defender XDR reports it: no entity ids, less detail."""
    process = document["process"]
    kept = {
        key: process[key]
        for key in ("args", "args_count", "command_line", "executable", "hash", "name", "pid")
    }
    kept["pe"] = {"original_file_name": process["pe"]["original_file_name"]}
    kept["parent"] = {
        key: process["parent"][key]
        for key in ("args", "args_count", "command_line", "executable", "name", "pid")
    }
    return {
        "@timestamp": document["@timestamp"],
        "data_stream": {
            "type": "logs",
            "dataset": "m365_defender.event",
            "namespace": "default",
        },
        "ecs": document["ecs"],
        "event": {
            "action": "start",
            "category": ["process"],
            "dataset": "m365_defender.event",
            "id": document["event"]["id"],
            "kind": "event",
            "type": ["start"],
        },
        "host": document["host"],
        "process": kept,
        "user": document["user"],
    }
