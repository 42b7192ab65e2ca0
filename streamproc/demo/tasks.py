"""The everyday tasks of each role, with how often they come: tables, no code.

Law of the file: the same as in ``streamproc.demo.programs``: nothing here may match a shipped
rule. ``tests/demo/test_traffic.py`` runs the tables against the rules' conditions.
"""

from __future__ import annotations

from streamproc.demo.programs import Task

_CONHOST = Task(0, "", "conhost", ("\\??\\C:\\Windows\\system32\\conhost.exe", "0xffffffff"))

_WINDOWS_TASKS: tuple[Task, ...] = (
    Task(10, "services", "svchost", ("C:\\Windows\\system32\\svchost.exe", "-k", "wsappx"), True),
    Task(
        8,
        "services",
        "svchost",
        ("C:\\Windows\\System32\\svchost.exe", "-k", "netsvcs", "-p", "-s", "BITS"),
        True,
    ),
    Task(6, "svchost", "taskhostw", ("taskhostw.exe", "{hex}-{number}")),
    Task(9, "dcom", "dllhost", ("C:\\Windows\\system32\\DllHost.exe", "/Processid:{{{hex}}}")),
    Task(
        8,
        "dcom",
        "wmiprvse",
        ("C:\\Windows\\system32\\wbem\\wmiprvse.exe", "-secured", "-Embedding"),
        True,
    ),
    Task(2, "dcom", "tiworker", ("TiWorker.exe", "-Embedding"), True),
    Task(
        3,
        "svchost",
        "mpcmdrun",
        ("MpCmdRun.exe", "SignatureUpdate", "-ScheduleJob", "-RestrictPrivileges"),
        True,
        (_CONHOST,),
    ),
    Task(2, "svchost", "gpupdate", ("gpupdate.exe", "/target:computer"), True),
)

_WORKSTATION_TASKS: tuple[Task, ...] = (
    Task(
        40,
        "explorer",
        "chrome",
        (
            *("chrome.exe", "--type=renderer", "--lang=en-GB", "--device-scale-factor=1"),
            *("--renderer-client-id={small}", "--mojo-platform-channel-handle={number}"),
        ),
    ),
    Task(
        22,
        "explorer",
        "edge",
        ("msedge.exe", "--type=utility", "--utility-sub-type=network.mojom", "--field={number}"),
    ),
    Task(6, "explorer", "outlook", ("OUTLOOK.EXE", "/recycle")),
    Task(
        7, "explorer", "excel", ("EXCEL.EXE", "C:\\Users\\{user}\\Documents\\forecast-{small}.xlsx")
    ),
    Task(6, "explorer", "winword", ("WINWORD.EXE", "/n", "C:\\Users\\{user}\\Desktop\\{hex}.docx")),
    Task(5, "explorer", "teams", ("ms-teams.exe", "--process-type=notification")),
    Task(
        10,
        "dcom",
        "runtimebroker",
        ("C:\\Windows\\System32\\RuntimeBroker.exe", "-Embedding"),
    ),
    Task(8, "dcom", "backgroundtask", ("backgroundTaskHost.exe", "-ServerName:App.{hex}.mca")),
    Task(
        8,
        "svchost",
        "searchprotocol",
        ("SearchProtocolHost.exe", "Global\\UsGthrFltPipeMssGthrPipe{number}", "1", "-2147483646"),
        True,
    ),
    Task(3, "dcom", "smartscreen", ("C:\\Windows\\System32\\smartscreen.exe", "-Embedding")),
    Task(
        5,
        "explorer",
        "code",
        ("Code.exe", "--type=utility", "--user-data-dir=C:\\Users\\{user}\\AppData\\Roaming\\Code"),
        then=(Task(0, "", "git_windows", ("git.exe", "status", "-z", "-uall")),),
    ),
    Task(
        2,
        "explorer",
        "cmd",
        ("C:\\Windows\\system32\\cmd.exe",),
        then=(_CONHOST, Task(0, "", "ipconfig", ("ipconfig", "/all"))),
    ),
)

_LINUX_TASKS: tuple[Task, ...] = (
    Task(
        8,
        "cron",
        "sh",
        ("/bin/sh", "-c", "cd / && run-parts --report /etc/cron.hourly"),
        True,
        (Task(0, "", "run_parts", ("run-parts", "--report", "/etc/cron.hourly"), True),),
    ),
    Task(4, "systemd", "logrotate", ("/usr/sbin/logrotate", "/etc/logrotate.conf"), is_system=True),
    Task(3, "systemd", "apt_check", ("/usr/lib/update-notifier/apt-check", "--human-readable")),
    Task(
        4,
        "sshd",
        "sshd",
        ("sshd:", "deploy", "[priv]"),
        True,
        (Task(0, "", "bash", ("-bash",)),),
    ),
    Task(
        6,
        "cron",
        "bash",
        ("bash", "-c", "/usr/local/bin/collect-metrics --interval {small} --out /run/m-{hex}"),
        True,
        (
            Task(0, "", "awk", ("awk", "/MemAvailable/ {{print $2}}", "/proc/meminfo"), True),
            Task(0, "", "grep", ("grep", "-c", "^processor", "/proc/cpuinfo"), True),
        ),
    ),
)

TASKS: dict[str, tuple[Task, ...]] = {
    "workstation": _WINDOWS_TASKS + _WORKSTATION_TASKS,
    "domain": (
        *_WINDOWS_TASKS,
        Task(6, "services", "dfsrs", ("C:\\Windows\\system32\\DFSRs.exe",), True),
        Task(
            5,
            "svchost",
            "repadmin",
            ("repadmin.exe", "/replsummary", "/bysrc", "/errorsonly"),
            True,
            (_CONHOST,),
        ),
    ),
    "iis": (
        *_WINDOWS_TASKS,
        Task(
            4,
            "default_pool",
            "csc",
            ("csc.exe", "/noconfig", "/fullpaths", "@C:\\Windows\\TEMP\\{hex}.cmdline"),
            then=(Task(0, "", "cvtres", ("cvtres.exe", "/NOLOGO", "/MACHINE:IX86")),),
        ),
    ),
    "sql": (
        *_WINDOWS_TASKS,
        Task(
            10,
            "sqlagent",
            "sqlcmd",
            ("SQLCMD.EXE", "-E", "-S", ".", "-Q", "EXEC dbo.usp_nightly_{number}"),
            then=(_CONHOST,),
        ),
    ),
    "file": (
        *_WINDOWS_TASKS,
        Task(
            8,
            "svchost",
            "robocopy",
            ("robocopy.exe", "D:\\Shares\\team-{small}", "\\\\FILE02\\backup", "/MIR", "/R:1"),
            True,
            (_CONHOST,),
        ),
    ),
    "exchange": (
        *_WINDOWS_TASKS,
        Task(
            9,
            "services",
            "exchange_transport",
            ("EdgeTransport.exe", "-pipe:{number}", "-stopkey:Global\\ExchangeStopKey-{hex}"),
            True,
        ),
        Task(7, "services", "exchange_health", ("MSExchangeHMWorker.exe", "-pipe:{number}"), True),
    ),
    "web": (
        *_LINUX_TASKS,
        Task(18, "nginx", "php", ("php-fpm:", "pool", "www-{small}")),
        Task(
            9,
            "systemd",
            "curl",
            ("curl", "-fsS", "--max-time", "5", "http://10.20.1.{small}:8080/healthz?id={hex}"),
        ),
    ),
    "database": (
        *_LINUX_TASKS,
        Task(20, "postgres", "postgres", ("postgres:", "app", "orders", "10.20.1.{small}", "idle")),
        Task(
            3,
            "cron",
            "pg_dump",
            ("pg_dump", "--format=custom", "--file=/backup/orders-{hex}.dump", "orders"),
            then=(Task(0, "", "psql", ("psql", "-tAc", "select pg_database_size('orders')")),),
        ),
    ),
    "kubernetes": (
        *_LINUX_TASKS,
        Task(
            20,
            "shim",
            "runc",
            (
                *("runc", "--root", "/run/containerd/runc/k8s.io", "--log-format", "json"),
                *("exec", "--process", "/run/runc-process{number}", "{hex}{hex}{hex}"),
            ),
            True,
            (Task(0, "", "sh", ("/bin/sh", "-c", "/app/ready --port 80{small}"), True),),
        ),
        Task(6, "kubelet", "iptables", ("iptables-restore", "-w", "5", "--noflush"), True),
    ),
    "build": (
        *_LINUX_TASKS,
        Task(
            16,
            "agent",
            "bash",
            ("bash", "-e", "/opt/ci/work/{number}/step.sh"),
            then=(
                Task(0, "", "git", ("git", "fetch", "--depth=1", "origin", "{hex}{hex}")),
                Task(0, "", "make", ("make", "-j4", "all", "VERSION=1.{small}.{number}")),
            ),
        ),
        Task(
            24,
            "agent",
            "gcc",
            ("gcc", "-O2", "-g", "-c", "src/module_{number}.c", "-o", "build/{hex}.o"),
            then=(
                Task(0, "", "cc1", ("cc1", "-quiet", "src/module.c", "-o", "build/cc{hex}.s")),
                Task(0, "", "assembler", ("as", "--64", "-o", "build/{hex}.o", "build/cc{hex}.s")),
            ),
        ),
        Task(6, "agent", "node", ("node", "--max-old-space-size=4096", "build.mjs", "--{hex}")),
    ),
    "bastion": (
        *_LINUX_TASKS,
        Task(12, "sshd", "ssh", ("ssh", "-o", "StrictHostKeyChecking=yes", "web-0{small}")),
        Task(
            4,
            "cron",
            "ansible",
            ("ansible-playbook", "-i", "inventory/prod.yml", "site.yml", "--limit", "web"),
            then=(
                Task(0, "", "python", ("python3", "/home/deploy/.ansible/tmp-{number}/setup.py")),
            ),
        ),
    ),
}
