"""Detection rules that EQL and Sigma can both express, written in both from one table.

Law of the file: both forms of a rule select the same events. What the two languages read in
different ways (missing fields below ``not``, wildcards within a value, letter case of operators
other than these) is not used.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path

IS, STARTS, ENDS, CONTAINS = "is", "startswith", "endswith", "contains"
_PATTERNS = {IS: "{}", STARTS: "{}*", ENDS: "*{}", CONTAINS: "*{}*"}
NAME, LINE, PARENT = "process.name", "process.command_line", "process.parent.name"
PATH, USER = "process.executable", "user.name"


@dataclass(frozen=True, slots=True)
class Condition:
    """A field has one of some values, whatever their letter case."""

    path: str
    how: str
    values: tuple[str, ...]

    def eql(self) -> str:
        """As EQL."""
        patterns = [_PATTERNS[self.how].format(value) for value in self.values]
        return f"{self.path} : ({', '.join(json.dumps(pattern) for pattern in patterns)})"

    def sigma(self) -> str:
        """As an item of a Sigma selection."""
        name = self.path if self.how == IS else f"{self.path}|{self.how}"
        quoted = ("'" + value.replace("'", "''") + "'" for value in self.values)
        return "\n".join([f"    {name}:", *(f"      - {value}" for value in quoted)])


@dataclass(frozen=True, slots=True)
class PairedRule:
    """One rule.

    Attributes:
        title: Its name.
        system: ``windows`` or ``linux``.
        wanted: All of these hold.
        unwanted: None of these holds; only of fields that every event of the rule has.
    """

    title: str
    system: str
    wanted: tuple[Condition, ...]
    unwanted: tuple[Condition, ...] = field(default=())

    @property
    def rule_id(self) -> str:
        """The same in both forms."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"paired {self.title}"))

    def eql(self) -> str:
        """The rule as a file of ours."""
        terms = [f'process where host.os.type == "{self.system}" and event.type == "start"']
        terms += [condition.eql() for condition in self.wanted]
        terms += [f"not {condition.eql()}" for condition in self.unwanted]
        query = " and\n  ".join(terms)
        return _TOML.format(title=self.title, rule_id=self.rule_id, query=query)

    def sigma(self) -> str:
        """The rule as Sigma."""
        items = "\n".join(condition.sigma() for condition in self.wanted)
        unwanted = [
            f"  filter_{number}:\n{condition.sigma()}\n"
            for number, condition in enumerate(self.unwanted)
        ]
        return _YAML.format(
            title=self.title,
            rule_id=self.rule_id,
            system=self.system,
            items=items,
            filters="".join(unwanted),
            condition="selection and not 1 of filter_*" if unwanted else "selection",
        )


_TOML = """[metadata]
maturity = "production"

[rule]
author = ["streamproc"]
description = "Written for a comparison."
language = "eql"
license = "Apache-2.0"
name = "{title}"
risk_score = 47
rule_id = "{rule_id}"
severity = "medium"
type = "eql"
query = '''
{query}
'''
"""
_YAML = """title: {title}
id: {rule_id}
status: experimental
description: Written for a comparison.
logsource:
  category: process_creation
  product: {system}
detection:
  selection:
    event.category: process
    event.type: start
    host.os.type: {system}
{items}
{filters}  condition: {condition}
level: medium
"""


def _is(path: str, *values: str) -> Condition:
    return Condition(path, IS, values)


def _has(path: str, *values: str) -> Condition:
    return Condition(path, CONTAINS, values)


def _ends(path: str, *values: str) -> Condition:
    return Condition(path, ENDS, values)


def _starts(path: str, *values: str) -> Condition:
    return Condition(path, STARTS, values)


def _windows(title: str, *wanted: Condition, but: tuple[Condition, ...] = ()) -> PairedRule:
    return PairedRule(title, "windows", wanted, but)


def _linux(title: str, *wanted: Condition, but: tuple[Condition, ...] = ()) -> PairedRule:
    return PairedRule(title, "linux", wanted, but)


_SHELLS = ("cmd.exe", "powershell.exe", "pwsh.exe")
_OFFICE = ("winword.exe", "excel.exe", "powerpnt.exe", "outlook.exe", "msaccess.exe")
_UNIX_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
_SHARED_MEMORY = ("/dev/shm/", "/run/shm/")  # noqa: S108
_HIDDEN = ("/tmp/.", "/var/tmp/.")  # noqa: S108
_WRITABLE = ("/tmp/", "/home/")  # noqa: S108

RULES = (
    _windows(
        "Shell of a web server",
        _is(PARENT, "w3wp.exe", "httpd.exe"),
        _is(NAME, *_SHELLS),
        but=(_has(LINE, "recycle.cmd"),),
    ),
    _windows(
        "Child of unified messaging",
        _is(PARENT, "UMService.exe", "UMWorkerProcess.exe"),
        but=(_ends(PATH, "\\werfault.exe", "\\wermgr.exe"),),
    ),
    _windows(
        "Encoded PowerShell",
        _is(NAME, "powershell.exe", "pwsh.exe"),
        _has(LINE, " -enc ", " -encodedcommand ", " -ec "),
    ),
    _windows(
        "PowerShell download",
        _is(NAME, "powershell.exe", "pwsh.exe"),
        _has(LINE, "DownloadString", "DownloadFile", "Invoke-WebRequest", "Start-BitsTransfer"),
    ),
    _windows("Hidden PowerShell of a document", _is(NAME, "powershell.exe"), _is(PARENT, *_OFFICE)),
    _windows(
        "Shell of a document",
        _is(NAME, *_SHELLS, "mshta.exe", "wscript.exe"),
        _is(PARENT, *_OFFICE),
    ),
    _windows(
        "Certificate tool downloads",
        _is(NAME, "certutil.exe"),
        _has(LINE, "urlcache", "verifyctl", "-decode"),
    ),
    _windows(
        "Background transfer downloads",
        _is(NAME, "bitsadmin.exe"),
        _has(LINE, "/transfer", "/addfile"),
    ),
    _windows(
        "Script host from the web",
        _is(NAME, "mshta.exe"),
        _has(LINE, "http://", "https://", "javascript:", "vbscript:"),
    ),
    _windows("Scriptlet registered", _is(NAME, "regsvr32.exe"), _has(LINE, "scrobj", "/i:http")),
    _windows(
        "Library without export",
        _is(NAME, "rundll32.exe"),
        _has(LINE, "javascript:", "url.dll", "\\AppData\\Local\\Temp\\"),
        but=(_has(LINE, "Startupscan.dll"),),
    ),
    _windows(
        "Memory of the authority dumped",
        _has(LINE, "lsass"),
        _has(LINE, "minidump", "procdump", "-ma ", "comsvcs"),
    ),
    _windows(
        "Credentials saved from the registry",
        _is(NAME, "reg.exe"),
        _has(LINE, " save "),
        _has(LINE, "hklm\\sam", "hklm\\security", "hklm\\system"),
    ),
    _windows(
        "Run key added",
        _is(NAME, "reg.exe"),
        _has(LINE, " add "),
        _has(LINE, "\\CurrentVersion\\Run"),
    ),
    _windows(
        "Shadow copies deleted",
        _is(NAME, "vssadmin.exe", "wmic.exe"),
        _has(LINE, "delete"),
        _has(LINE, "shadow"),
    ),
    _windows(
        "Recovery switched off",
        _is(NAME, "bcdedit.exe"),
        _has(LINE, "recoveryenabled", "ignoreallfailures"),
    ),
    _windows("Event log cleared", _is(NAME, "wevtutil.exe"), _has(LINE, " cl ", "clear-log")),
    _windows(
        "Task from a temporary folder",
        _is(NAME, "schtasks.exe"),
        _has(LINE, "/create"),
        _has(LINE, "\\Temp\\", "\\Users\\Public\\"),
    ),
    _windows(
        "Service made by hand", _is(NAME, "sc.exe"), _has(LINE, " create "), _has(LINE, "binpath")
    ),
    _windows(
        "Account added", _is(NAME, "net.exe", "net1.exe"), _has(LINE, " user "), _has(LINE, "/add")
    ),
    _windows(
        "Administrators changed",
        _is(NAME, "net.exe", "net1.exe"),
        _has(LINE, "localgroup administrators"),
    ),
    _windows(
        "Domain trusts listed", _is(NAME, "nltest.exe"), _has(LINE, "domain_trusts", "dclist")
    ),
    _windows(
        "Firewall opened",
        _is(NAME, "netsh.exe"),
        _has(LINE, "firewall"),
        _has(LINE, "disable", "action=allow"),
    ),
    _windows(
        "Defender told to look away",
        _has(LINE, "Add-MpPreference", "Set-MpPreference"),
        _has(LINE, "Exclusion", "DisableRealtime"),
    ),
    _windows(
        "Remote process by management",
        _is(PARENT, "wmiprvse.exe"),
        _is(NAME, *_SHELLS),
        but=(_is(USER, "SYSTEM"),),
    ),
    _windows(
        "System name outside of its folder",
        _is(NAME, "lsass.exe", "services.exe", "csrss.exe"),
        but=(_starts(PATH, "C:\\Windows\\System32\\"),),
    ),
    _windows(
        "Program from a temporary folder of Windows",
        _starts(PATH, "C:\\Windows\\Temp\\"),
        _ends(PATH, ".exe"),
    ),
    _windows("Program from the recycle bin", _has(PATH, "\\$Recycle.Bin\\")),
    _windows(
        "Archive with a password",
        _is(NAME, "rar.exe", "7z.exe", "winrar.exe"),
        _has(LINE, " -hp", " -p"),
    ),
    _windows("Tunnel to outside", _is(NAME, "plink.exe", "ssh.exe"), _has(LINE, " -R ", " -L ")),
    _linux(
        "Reverse shell by device", _is(NAME, *_UNIX_SHELLS), _has(LINE, "/dev/tcp/", "/dev/udp/")
    ),
    _linux(
        "Shell of a web service",
        _is(NAME, *_UNIX_SHELLS),
        _is(PARENT, "nginx", "apache2", "httpd", "php-fpm"),
    ),
    _linux(
        "Download into a shell",
        _is(NAME, *_UNIX_SHELLS),
        _has(LINE, "curl ", "wget "),
        _has(LINE, "| sh", "|sh", "| bash", "|bash"),
    ),
    _linux("Program from shared memory", _starts(PATH, *_SHARED_MEMORY)),
    _linux("Hidden program of a temporary folder", _starts(PATH, *_HIDDEN)),
    _linux("Text decoded", _is(NAME, "base64", "openssl", "xxd"), _has(LINE, " -d", " -r")),
    _linux("Attributes made immutable", _is(NAME, "chattr"), _has(LINE, "+i", "-i")),
    _linux(
        "History switched off",
        _is(NAME, *_UNIX_SHELLS),
        _has(LINE, "HISTFILE=/dev/null", "HISTSIZE=0"),
    ),
    _linux("Kernel module loaded by hand", _is(NAME, "insmod", "modprobe"), _has(LINE, *_WRITABLE)),
    _linux(
        "Password file read by a tool",
        _is(NAME, "grep", "awk", "cat", "sed"),
        _has(LINE, "/etc/shadow"),
    ),
    _linux("Keys searched", _is(NAME, "find", "grep"), _has(LINE, "id_rsa", "authorized_keys")),
    _linux(
        "Python with a terminal", _starts(NAME, "python"), _has(LINE, "pty.spawn", "socket.socket")
    ),
    _linux(
        "Transfer to outside",
        _is(NAME, "curl", "wget"),
        _has(LINE, "--upload-file", "--post-file", " -T "),
    ),
    _linux("Firewall flushed", _is(NAME, "iptables", "nft"), _has(LINE, " -F", "flush ruleset")),
)


def write_pairs(folder: Path) -> tuple[Path, Path]:
    """Write all rules in both forms; returns the folder of EQL and that of Sigma."""
    eql, sigma = folder / "eql", folder / "sigma"
    for made in (eql, sigma):
        made.mkdir(parents=True, exist_ok=True)
    for number, rule in enumerate(RULES):
        (eql / f"{number:02}.toml").write_text(rule.eql())
        (sigma / f"{number:02}.yml").write_text(rule.sigma())
    return eql, sigma
