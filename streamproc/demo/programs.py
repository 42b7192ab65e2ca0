"""What runs on the demonstration's hosts on an ordinary day, by role: tables, no code.

Law of the file: nothing in these tables may match a shipped rule; what looks like an attack and
is none belongs to ``streamproc.demo.story`` as a near miss, where it is counted.

Arguments may hold ``{user}``, ``{number}``, ``{small}`` and ``{hex}``; each start fills them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

MICROSOFT = "Microsoft Windows"
MICROSOFT_CORPORATION = "Microsoft Corporation"
_SYSTEM32 = "C:\\Windows\\System32\\"


@dataclass(frozen=True, slots=True)
class Program:
    """A file on disk: where it lies, what it was built as, who signed it."""

    executable: str
    original_name: str = ""
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Something that is started again and again.

    Attributes:
        weight: How often, against the other tasks of the role.
        parent: Key of the standing process that starts it; unused in a follow-up.
        program: Key in ``FILES``.
        args: The command line, one entry an argument, placeholders allowed.
        is_system: Runs as SYSTEM or root, not as the host's user.
        then: Follow-ups that it starts itself.
    """

    weight: int
    parent: str
    program: str
    args: tuple[str, ...]
    is_system: bool = False
    then: tuple[Task, ...] = ()


def _windows(name: str, original: str = "", directory: str = _SYSTEM32) -> Program:
    return Program(directory + name, original or name, MICROSOFT)


def _vendor(executable: str, original: str, signer: str) -> Program:
    return Program(executable, original, signer)


_OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
_EXCHANGE_BIN = "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\Bin\\"

FILES: dict[str, Program] = {
    # Windows
    "services": _windows("services.exe"),
    "svchost": _windows("svchost.exe"),
    "explorer": _windows("explorer.exe", "EXPLORER.EXE", "C:\\Windows\\"),
    "cmd": _windows("cmd.exe", "Cmd.Exe"),
    "conhost": _windows("conhost.exe", "CONHOST.EXE"),
    "powershell": _windows(
        "powershell.exe", "PowerShell.EXE", _SYSTEM32 + "WindowsPowerShell\\v1.0\\"
    ),
    "taskhostw": _windows("taskhostw.exe"),
    "runtimebroker": _windows("RuntimeBroker.exe"),
    "backgroundtask": _windows("backgroundTaskHost.exe"),
    "searchprotocol": _windows("SearchProtocolHost.exe"),
    "dllhost": _windows("dllhost.exe"),
    "smartscreen": _windows("smartscreen.exe"),
    "werfault": _windows("werfault.exe", "WerFault.exe"),
    "wmiprvse": _windows("WmiPrvSE.exe", "Wmiprvse.exe", _SYSTEM32 + "wbem\\"),
    "tiworker": _windows("TiWorker.exe", "TiWorker.exe", "C:\\Windows\\WinSxS\\amd64_servicing\\"),
    "mpcmdrun": _windows(
        "MpCmdRun.exe", "MpCmdRun.exe", "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\"
    ),
    "tasklist": _windows("tasklist.exe"),
    "findstr": _windows("findstr.exe", "FINDSTR.EXE"),
    "whoami": _windows("whoami.exe"),
    "ipconfig": _windows("ipconfig.exe"),
    "robocopy": _windows("Robocopy.exe", "RoboCopy.EXE"),
    "spoolsv": _windows("spoolsv.exe"),
    "lsass": _windows("lsass.exe"),
    "dfsrs": _windows("dfsrs.exe"),
    "repadmin": _windows("repadmin.exe"),
    "gpupdate": _windows("gpupdate.exe"),
    "w3wp": _windows("w3wp.exe", "w3wp.exe", "c:\\windows\\system32\\inetsrv\\"),
    "csc": Program(
        "C:\\Windows\\Microsoft.NET\\Framework64\\v4.0.30319\\csc.exe",
        "csc.exe",
        MICROSOFT_CORPORATION,
    ),
    "cvtres": Program(
        "C:\\Windows\\Microsoft.NET\\Framework64\\v4.0.30319\\cvtres.exe",
        "CVTRES.EXE",
        MICROSOFT_CORPORATION,
    ),
    "chrome": _vendor(
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe", "chrome.exe", "Google LLC"
    ),
    "edge": _vendor(
        "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
        "msedge.exe",
        MICROSOFT_CORPORATION,
    ),
    "outlook": _vendor(_OFFICE + "OUTLOOK.EXE", "Outlook.exe", MICROSOFT_CORPORATION),
    "excel": _vendor(_OFFICE + "EXCEL.EXE", "Excel.exe", MICROSOFT_CORPORATION),
    "winword": _vendor(_OFFICE + "WINWORD.EXE", "WinWord.exe", MICROSOFT_CORPORATION),
    "teams": _vendor(
        "C:\\Program Files\\WindowsApps\\MSTeams_24277\\ms-teams.exe",
        "ms-teams.exe",
        MICROSOFT_CORPORATION,
    ),
    "code": _vendor(
        "C:\\Program Files\\Microsoft VS Code\\Code.exe", "electron.exe", MICROSOFT_CORPORATION
    ),
    "git_windows": _vendor(
        "C:\\Program Files\\Git\\cmd\\git.exe", "git.exe", "Johannes Schindelin"
    ),
    "sqlservr": _vendor(
        "C:\\Program Files\\Microsoft SQL Server\\MSSQL15.MSSQLSERVER\\MSSQL\\Binn\\sqlservr.exe",
        "SQLSERVR.EXE",
        MICROSOFT_CORPORATION,
    ),
    "sqlagent": _vendor(
        "C:\\Program Files\\Microsoft SQL Server\\MSSQL15.MSSQLSERVER\\MSSQL\\Binn\\SQLAGENT.EXE",
        "SQLAGENT.EXE",
        MICROSOFT_CORPORATION,
    ),
    "sqlcmd": _vendor(
        "C:\\Program Files\\Microsoft SQL Server\\Client SDK\\ODBC\\170\\Tools\\Binn\\SQLCMD.EXE",
        "SQLCMD.EXE",
        MICROSOFT_CORPORATION,
    ),
    "umservice": _vendor(_EXCHANGE_BIN + "umservice.exe", "UMService.exe", MICROSOFT_CORPORATION),
    "umworker": _vendor(
        _EXCHANGE_BIN + "UMWorkerProcess.exe", "UMWorkerProcess.exe", MICROSOFT_CORPORATION
    ),
    "exchange_health": _vendor(
        _EXCHANGE_BIN + "MSExchangeHMWorker.exe", "MSExchangeHMWorker.exe", MICROSOFT_CORPORATION
    ),
    "exchange_transport": _vendor(
        _EXCHANGE_BIN + "EdgeTransport.exe", "EdgeTransport.exe", MICROSOFT_CORPORATION
    ),
    # Linux
    "systemd": Program("/usr/lib/systemd/systemd"),
    "cron": Program("/usr/sbin/cron"),
    "sshd": Program("/usr/sbin/sshd"),
    "bash": Program("/usr/bin/bash"),
    "sh": Program("/usr/bin/dash"),
    "nginx": Program("/usr/sbin/nginx"),
    "php": Program("/usr/bin/php8.1"),
    "python": Program("/usr/bin/python3.11"),
    "curl": Program("/usr/bin/curl"),
    "grep": Program("/usr/bin/grep"),
    "awk": Program("/usr/bin/mawk"),
    "logrotate": Program("/usr/sbin/logrotate"),
    "run_parts": Program("/usr/bin/run-parts"),
    "apt_check": Program("/usr/lib/update-notifier/apt-check"),
    "postgres": Program("/usr/lib/postgresql/15/bin/postgres"),
    "pg_dump": Program("/usr/lib/postgresql/15/bin/pg_dump"),
    "psql": Program("/usr/lib/postgresql/15/bin/psql"),
    "kubelet": Program("/usr/bin/kubelet"),
    "containerd_shim": Program("/usr/bin/containerd-shim-runc-v2"),
    "runc": Program("/usr/sbin/runc"),
    "pause": Program("/pause"),
    "iptables": Program("/usr/sbin/iptables-restore"),
    "agent": Program("/opt/ci/bin/agent"),
    "gcc": Program("/usr/bin/gcc-12"),
    "cc1": Program("/usr/libexec/gcc/x86_64-linux-gnu/12/cc1"),
    "assembler": Program("/usr/bin/as"),
    "git": Program("/usr/bin/git"),
    "make": Program("/usr/bin/make"),
    "node": Program("/usr/bin/node"),
    "ssh": Program("/usr/bin/ssh"),
    "ansible": Program("/usr/bin/ansible-playbook"),
    "sudo": Program("/usr/bin/sudo"),
}

# Processes that run before the demonstration starts, by role: key -> (file, arguments).
Standing = dict[str, tuple[str, tuple[str, ...]]]
_WINDOWS_STANDING: Standing = {
    "services": ("services", ("C:\\Windows\\system32\\services.exe",)),
    "svchost": (
        "svchost",
        ("C:\\Windows\\system32\\svchost.exe", "-k", "netsvcs", "-p", "-s", "Schedule"),
    ),
    "dcom": ("svchost", ("C:\\Windows\\system32\\svchost.exe", "-k", "DcomLaunch", "-p")),
    "explorer": ("explorer", ("C:\\Windows\\Explorer.EXE",)),
}
_LINUX_STANDING: Standing = {
    "systemd": ("systemd", ("/sbin/init",)),
    "cron": ("cron", ("/usr/sbin/cron", "-f")),
    "sshd": ("sshd", ("sshd:", "/usr/sbin/sshd", "-D", "[listener]")),
}


def app_pool(pool: str) -> tuple[str, tuple[str, ...]]:
    """An IIS worker process that serves ``pool``."""
    return (
        "w3wp",
        (
            "c:\\windows\\system32\\inetsrv\\w3wp.exe",
            *("-ap", pool, "-v", "v4.0", "-c", "-a", "\\\\.\\pipe\\iisipm" + pool.lower()),
            *("-h", f"C:\\inetpub\\temp\\apppools\\{pool}\\{pool}.config", "-w", "", "-m", "0"),
        ),
    )


STANDING: dict[str, Standing] = {
    "workstation": _WINDOWS_STANDING,
    "domain": {**_WINDOWS_STANDING, "lsass": ("lsass", ("C:\\Windows\\system32\\lsass.exe",))},
    "iis": {**_WINDOWS_STANDING, "default_pool": app_pool("DefaultAppPool")},
    "sql": {
        **_WINDOWS_STANDING,
        "sqlagent": ("sqlagent", (FILES["sqlagent"].executable, "-i", "MSSQLSERVER")),
    },
    "file": {**_WINDOWS_STANDING, "spoolsv": ("spoolsv", ("C:\\Windows\\System32\\spoolsv.exe",))},
    "exchange": {
        **_WINDOWS_STANDING,
        "owa_pool": app_pool("MSExchangeOWAAppPool"),
        "ecp_pool": app_pool("MSExchangeECPAppPool"),
        "umservice": ("umservice", (FILES["umservice"].executable,)),
        "umworker": (
            "umworker",
            (FILES["umworker"].executable, "-port:5065", "-startupMode:1", "-perfenabled:1"),
        ),
        "health": ("exchange_health", (FILES["exchange_health"].executable, "-pipe:1860")),
    },
    "web": {
        **_LINUX_STANDING,
        "nginx": ("nginx", ("nginx:", "master process", "/usr/sbin/nginx", "-g", "daemon on;")),
    },
    "database": {
        **_LINUX_STANDING,
        "postgres": ("postgres", (FILES["postgres"].executable, "-D", "/var/lib/postgresql/15")),
    },
    "kubernetes": {
        **_LINUX_STANDING,
        "kubelet": ("kubelet", ("/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml")),
        "shim": ("containerd_shim", (FILES["containerd_shim"].executable, "-namespace", "k8s.io")),
    },
    "build": {**_LINUX_STANDING, "agent": ("agent", ("/opt/ci/bin/agent", "--pool", "default"))},
    "bastion": _LINUX_STANDING,
}
