"""What runs on ordinary hosts, and how often: tables, no code that decides anything.

Law of the file: nothing here matches a shipped rule. Arguments may hold ``@@name@@`` marks,
which each event fills anew: ``account``, ``number``, ``small``, ``hex``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

SYSTEM32 = "C:\\Windows\\System32\\"
MICROSOFT = "Microsoft Windows"
CORPORATION = "Microsoft Corporation"


@dataclass(frozen=True, slots=True)
class Activity:
    """One program start that recurs.

    Attributes:
        weight: How often, against the others of the same kind of host.
        executable: Full path.
        arguments: The rest of the command line, one string an argument.
        parent: Full path of the parent.
        parent_arguments: The rest of the parent's command line.
        user: ``system``, ``service`` or ``account`` (the host's own user).
        original: File name in the version resource, where it differs from the file's.
        signer: Who signed it; "" for nobody (and on Linux).
    """

    weight: float
    executable: str
    arguments: tuple[str, ...]
    parent: str
    parent_arguments: tuple[str, ...] = ()
    user: str = "system"
    original: str = ""
    signer: str = MICROSOFT

    @property
    def is_windows(self) -> bool:
        """Whether it is a Windows path."""
        return self.executable[1:2] == ":"

    @property
    def name(self) -> str:
        """The file name."""
        return file_name(self.executable)


def file_name(path: str) -> str:
    """The last part of a Windows or Linux path."""
    return (PureWindowsPath(path) if path[1:2] == ":" else PurePosixPath(path)).name


def _windows(
    weight: float, program: str, line: str, parent: str, parent_line: str = "", **other: str
) -> Activity:
    executable = program if ":" in program else SYSTEM32 + program
    starter = parent if ":" in parent else SYSTEM32 + parent
    arguments, parent_arguments = tuple(line.split()), tuple(parent_line.split())
    return Activity(weight, executable, arguments, starter, parent_arguments, **other)


def _linux(
    weight: float, executable: str, line: str, parent: str, parent_line: str = "", **other: str
) -> Activity:
    arguments, parent_arguments = tuple(line.split()), tuple(parent_line.split())
    return Activity(weight, executable, arguments, parent, parent_arguments, **other, signer="")


_POWERSHELL = "WindowsPowerShell\\v1.0\\powershell.exe"
_NETSVCS = "-k netsvcs -p -s Schedule"
_INETSRV = SYSTEM32 + "inetsrv\\w3wp.exe"
_MONITORING = "C:\\Program Files\\Microsoft Monitoring Agent\\Agent\\MonitoringHost.exe"
_SQL = "C:\\Program Files\\Microsoft SQL Server\\MSSQL15.MSSQLSERVER\\MSSQL\\Binn\\sqlagent.exe"
_BACKUP = "C:\\Program Files\\Veritas\\NetBackup\\bin\\bpcd.exe"
_CHROME = "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"
_EDGE = "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"
_OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
_TEAMS = "C:\\Users\\@@account@@\\AppData\\Local\\Microsoft\\Teams\\current\\Teams.exe"
_STUDIO = "C:\\Program Files\\Microsoft Visual Studio\\2022\\Professional\\Common7\\IDE\\devenv.exe"
_EXPLORER = "C:\\Windows\\explorer.exe"
_DEFENDER = "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.24070.5-0\\"

_EVERY_WINDOWS = (
    _windows(9, "svchost.exe", _NETSVCS, "services.exe"),
    _windows(7, "svchost.exe", "-k LocalServiceNetworkRestricted -p -s DPS", "services.exe"),
    _windows(6, "svchost.exe", "-k wsappx -p -s ClipSVC", "services.exe", user="service"),
    _windows(4, "wbem\\WmiPrvSE.exe", "-secured -Embedding", "svchost.exe", "-k DcomLaunch -p"),
    _windows(4, "taskhostw.exe", "-RegisterDevice -Periodic", "svchost.exe", _NETSVCS),
    _windows(3, "dllhost.exe", "/Processid:{AB8902B4-09CA-4BB6-B78D-A8F59079A8D5}", "svchost.exe"),
    _windows(3, _DEFENDER + "MpCmdRun.exe", "SignatureUpdate -ScheduleJob", "svchost.exe"),
    _windows(
        2,
        "SearchProtocolHost.exe",
        "Global\\UsGthrFltPipeMssGthrPipe@@small@@_ Global",
        "SearchIndexer.exe",
    ),
    _windows(2, "audiodg.exe", "0x@@hex@@", "svchost.exe", "-k LocalServiceNetworkRestricted"),
    _windows(1.5, "wermgr.exe", "-upload", "svchost.exe", _NETSVCS),
    _windows(1, "sppsvc.exe", "", "services.exe", user="service"),
    _windows(1, "MoUsoCoreWorker.exe", "-Embedding", "svchost.exe", "-k DcomLaunch -p"),
    _windows(1.2, "rundll32.exe", "Startupscan.dll,SusRunTask", "svchost.exe", _NETSVCS),
    _windows(0.8, "gpupdate.exe", "/target:computer", "svchost.exe", _NETSVCS),
    _windows(
        0.8,
        "reg.exe",
        "query HKLM\\SOFTWARE\\Vendor\\Inventory /v LastRun",
        "cmd.exe",
        "/d /c C:\\ops\\inventory.cmd",
    ),
)

SERVER = (
    *_EVERY_WINDOWS,
    _windows(6, "conhost.exe", "0xffffffff -ForceV1", "cmd.exe", "/d /c C:\\ops\\health.cmd"),
    _windows(6, _MONITORING, "-Embedding", "svchost.exe", "-k DcomLaunch -p", signer=CORPORATION),
    _windows(
        4,
        "cscript.exe",
        "/nologo C:\\ops\\Discovery\\@@hex@@.vbs @@number@@",
        _MONITORING,
        "-Embedding",
    ),
    _windows(5, "cmd.exe", "/d /c C:\\ops\\health.cmd @@number@@ 2>&1", "svchost.exe", _NETSVCS),
    _windows(
        3,
        "cmd.exe",
        '/c ""C:\\jobs\\export_@@number@@.cmd" > "C:\\jobs\\log.txt""',
        _SQL,
        "-i MSSQLSERVER",
        user="service",
    ),
    _windows(
        5,
        _POWERSHELL,
        "-NonInteractive -File C:\\ops\\inventory.ps1 -Run @@number@@",
        "svchost.exe",
        _NETSVCS,
    ),
    _windows(
        4,
        _INETSRV,
        "-ap DefaultAppPool -v v4.0 -l webengine4.dll -h C:\\inetpub\\temp",
        "svchost.exe",
        "-k iissvcs",
    ),
    _windows(
        3,
        "C:\\Program Files\\Veritas\\NetBackup\\bin\\bpbkar32.exe",
        "-r 1209600 -dt 0 -clnt @@hex@@",
        _BACKUP,
        signer="Veritas Technologies LLC",
    ),
    _windows(2, _SQL, "-i MSSQLSERVER", "services.exe", user="service", signer=CORPORATION),
    _windows(1, "w32tm.exe", "/query /status", "cmd.exe", "/d /c C:\\ops\\health.cmd"),
    _windows(1, "C:\\Windows\\servicing\\TrustedInstaller.exe", "", "services.exe"),
    _windows(0.6, "net.exe", "statistics workstation", "cmd.exe", "/d /c C:\\ops\\health.cmd"),
    _windows(0.4, "msiexec.exe", "/V", "services.exe"),
)
# The routine of Exchange servers: their pools run, and start nothing that a rule asks about.
EXCHANGE = (
    *SERVER,
    _windows(
        6,
        _INETSRV,
        "-ap MSExchangeOWAAppPool -v v4.0 -c "
        "C:\\Exchange\\bin\\GenericAppPoolConfigWithGCServerEnabledFalse.config",
        "svchost.exe",
        "-k iissvcs",
    ),
    _windows(
        3,
        "C:\\Windows\\Microsoft.NET\\Framework64\\v4.0.30319\\csc.exe",
        "/noconfig /fullpaths @C:\\Temp\\@@hex@@.cmdline",
        _INETSRV,
        "-ap MSExchangeECPAppPool -v v4.0",
        original="csc.exe",
    ),
    _windows(
        1,
        "WerFault.exe",
        "-u -p @@number@@ -s 1204",
        "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\Bin\\UMWorkerProcess.exe",
        "-port:@@number@@",
    ),
    _windows(1, "cmd.exe", "/c C:\\ops\\recycle.cmd", _INETSRV, "-ap DefaultAppPool -v v4.0"),
)

DESKTOP = (
    *_EVERY_WINDOWS,
    _windows(
        12,
        _CHROME,
        "--type=renderer --lang=en-US --device-scale-factor=1 --num-raster-threads=4 "
        "--renderer-client-id=@@number@@ --field-trial-handle=@@number@@,i,@@number@@ "
        "/prefetch:1",
        _CHROME,
        "--profile-directory=Default",
        user="account",
        signer="Google LLC",
    ),
    _windows(
        8,
        _EDGE,
        "--type=utility --utility-sub-type=network.mojom.NetworkService --lang=en-US "
        "--mojo-platform-channel-handle=@@number@@ /prefetch:8",
        _EDGE,
        "--no-startup-window",
        user="account",
        signer=CORPORATION,
    ),
    _windows(
        5,
        _TEAMS,
        "--type=renderer --no-sandbox --renderer-client-id=@@number@@",
        _TEAMS,
        "--system-initiated",
        user="account",
        signer=CORPORATION,
    ),
    _windows(
        6, "RuntimeBroker.exe", "-Embedding", "svchost.exe", "-k DcomLaunch -p", user="account"
    ),
    _windows(
        6,
        "backgroundTaskHost.exe",
        "-ServerName:App.AppX@@hex@@.mca",
        "svchost.exe",
        "-k DcomLaunch -p",
        user="account",
    ),
    _windows(2, _OFFICE + "OUTLOOK.EXE", "/recycle", _EXPLORER, user="account", signer=CORPORATION),
    _windows(
        2,
        _OFFICE + "EXCEL.EXE",
        "/dde C:\\Users\\@@account@@\\Documents\\Budget&Plan<@@small@@>.xlsx",
        _EXPLORER,
        user="account",
        signer=CORPORATION,
    ),
    _windows(3, "smartscreen.exe", "-Embedding", "svchost.exe", "-k DcomLaunch -p", user="account"),
    _windows(
        2,
        "C:\\Program Files\\Git\\cmd\\git.exe",
        "status -z -u --porcelain",
        _STUDIO,
        "/rootSuffix Exp",
        user="account",
        signer="Johannes Schindelin",
    ),
    _windows(4, "conhost.exe", "0x4", "cmd.exe", "/d /c npm-cache-@@small@@", user="account"),
    _windows(
        4,
        "cmd.exe",
        "/d /s /c C:\\dev\\tools\\build.cmd --job @@number@@",
        _STUDIO,
        "/rootSuffix Exp",
        user="account",
    ),
    _windows(
        3,
        _POWERSHELL,
        "-NoLogo -File C:\\dev\\tools\\prompt.ps1 @@small@@",
        _EXPLORER,
        user="account",
    ),
    _windows(
        2.5,
        "rundll32.exe",
        "shell32.dll,SHCreateLocalServerRunDll {9aa46009-3ce0-458a-a354-715610a075e6} -Embedding",
        "svchost.exe",
        "-k DcomLaunch -p",
        user="account",
    ),
    _windows(1, "msiexec.exe", "/V", "services.exe"),
    _windows(
        0.6,
        "reg.exe",
        "query HKCU\\Software\\Vendor\\Client /v Version",
        "cmd.exe",
        "/d /c C:\\dev\\tools\\build.cmd",
        user="account",
    ),
)

_SH_CRON = "-c run-parts --report /etc/cron.hourly"
LINUX = (
    _linux(
        3,
        "/usr/bin/bash",
        "-c /opt/checks/check_disk --warning 80 --critical 90",
        "/opt/monitor/agent",
        "--daemon",
    ),
    _linux(
        3.5,
        "/usr/bin/sh",
        "-c /opt/checks/check_load --warning @@small@@",
        "/opt/monitor/agent",
        "--daemon",
    ),
    _linux(3, "/usr/bin/sh", _SH_CRON, "/usr/sbin/cron", "-f -P"),
    _linux(1.5, "/usr/bin/bash", "--login", "/usr/sbin/sshd", "-D", user="account"),
    _linux(
        3,
        "/usr/bin/python3",
        "/opt/app/worker.py --queue mail --job @@number@@",
        "/usr/lib/systemd/systemd",
        "--switched-root --system",
        user="service",
    ),
    _linux(
        1,
        "/usr/bin/curl",
        "-fsS -o /dev/null http://localhost:8080/health?job=@@number@@&probe=1",
        "/opt/monitor/agent",
        "--daemon",
        user="service",
    ),
    _linux(
        10,
        "/usr/bin/grep",
        "-c processor /opt/monitor/cache/@@hex@@",
        "/usr/bin/bash",
        "/opt/checks/check_cpu",
    ),
    _linux(8, "/usr/bin/sed", "-e s/^[0-9]*//", "/usr/bin/bash", "/opt/checks/check_disk"),
    _linux(7, "/usr/bin/awk", "{print$@@small@@}", "/usr/bin/bash", "/opt/checks/check_disk"),
    _linux(
        6, "/usr/bin/cat", "/opt/monitor/cache/@@hex@@", "/usr/bin/bash", "/opt/checks/check_load"
    ),
    _linux(6, "/usr/bin/cut", "-d: -f@@small@@", "/usr/bin/bash", "/opt/checks/check_load"),
    _linux(5, "/usr/bin/date", "+%Y-%m-%dT%H:%M:%S", "/usr/bin/bash", "/opt/jobs/rotate"),
    _linux(5, "/usr/bin/sleep", "@@small@@", "/usr/bin/bash", "/opt/jobs/wait"),
    _linux(
        5,
        "/usr/sbin/runc",
        "--root /run/containerd/runc/k8s.io --log /run/containerd/@@hex@@/log.json state @@hex@@",
        "/usr/bin/containerd-shim-runc-v2",
        "-namespace k8s.io -id @@hex@@",
    ),
    _linux(4, "/usr/bin/head", "-n @@small@@", "/usr/bin/bash", "/opt/jobs/report"),
    _linux(4, "/usr/bin/df", "-P /srv", "/usr/bin/bash", "/opt/checks/check_disk"),
    _linux(
        3,
        "/usr/lib/jvm/java-17/bin/java",
        "-Xmx4g -jar /srv/app/service.jar --server.port=@@number@@",
        "/usr/lib/systemd/systemd",
        "--switched-root --system",
        user="service",
    ),
    _linux(
        3,
        "/usr/sbin/nginx",
        "-g daemon on; master_process on;",
        "/usr/lib/systemd/systemd",
        "--switched-root --system",
        user="service",
    ),
    _linux(
        3,
        "/usr/lib/systemd/systemd-tmpfiles",
        "--clean",
        "/usr/lib/systemd/systemd",
        "--switched-root --system",
    ),
    _linux(
        2,
        "/usr/sbin/logrotate",
        "/etc/logrotate.conf",
        "/usr/lib/systemd/systemd",
        "--switched-root --system",
    ),
    _linux(2, "/usr/sbin/sshd", "-D -R", "/usr/sbin/sshd", "-D"),
    _linux(2, "/usr/bin/stat", "-c %s /srv/queue/@@hex@@", "/usr/bin/bash", "/opt/jobs/report"),
    _linux(
        1,
        "/usr/lib/postgresql/15/bin/postgres",
        "-D /var/lib/postgresql/15/main",
        "/usr/lib/postgresql/15/bin/postgres",
        "-c config_file=/etc/postgresql/15/main/postgresql.conf",
        user="service",
    ),
)

# Programs that detection rules ask about: in ordinary use 15 to 25 % of the starts.
ASKED_FOR = frozenset(
    (
        "bash",
        "cmd.exe",
        "cscript.exe",
        "curl",
        "msiexec.exe",
        "net.exe",
        "powershell.exe",
        "python3",
        "reg.exe",
        "rundll32.exe",
        "sh",
        "w3wp.exe",
    )
)

# Attacks: what the two shipped rules are for, written in more than one way.
_OWA_POOL = "-ap MSExchangeOWAAppPool -v v4.0 -c C:\\Exchange\\bin\\pool.config"
_UM = "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\Bin\\UMWorkerProcess.exe"
WEB_SHELLS = (
    _windows(
        4,
        "cmd.exe",
        "/c whoami & net group @@number@@ /domain",
        _INETSRV,
        _OWA_POOL,
        original="Cmd.Exe",
    ),
    _windows(
        2,
        _POWERSHELL,
        "-nop -w hidden -enc @@hex@@@@hex@@",
        _INETSRV,
        _OWA_POOL,
        original="PowerShell.EXE",
    ),
    _windows(
        1,
        "C:\\Windows\\Temp\\update.exe",
        "-nop -c @@hex@@",
        _INETSRV,
        _OWA_POOL,
        original="PowerShell.EXE",
    ),
)
UM_EXPLOITS = (
    _windows(
        2,
        "cmd.exe",
        "/c echo @@hex@@ > C:\\inetpub\\wwwroot\\aspnet_client\\x.aspx",
        _UM,
        "-port:@@number@@",
        original="Cmd.Exe",
    ),
    _windows(
        1,
        "C:\\Windows\\Temp\\svc@@small@@.exe",
        "-connect 203.0.113.@@small@@",
        _UM,
        "-port:@@number@@",
        signer="",
    ),
)
# What no search for literals can tell from an attack: the rule names them as exceptions.
NEAR_MISSES = (
    _windows(1, "WerFault.exe", "-u -p @@number@@ -s 1204", _UM, "-port:@@number@@"),
    _windows(1, "wermgr.exe", "-upload", _UM, "-port:@@number@@"),
)
