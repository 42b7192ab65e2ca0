"""Which hosts the demonstration's company has: names, addresses, users, operating systems.

Law of the file: a fleet is a function of its seed. Nothing here knows events or the time.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Any

DOMAIN = "CORP"
DNS_SUFFIX = "corp.example"
AGENT_VERSION = "8.17.4"


@dataclass(frozen=True, slots=True)
class User:
    """An account as ECS has it: a SID and a domain on Windows, a number on Linux."""

    name: str
    id: str
    domain: str


@dataclass(frozen=True, slots=True)
class Host:
    """One machine.

    Attributes:
        role: Which everyday programs run on it (``streamproc.demo.programs.PROGRAMS``).
        users: The people who work on it, or the accounts that services run under.
        block: The ECS ``host`` object of its events; shared, never changed.
        agent_id: Id of its endpoint agent; entity ids are made from it.
        event_prefix: Start of its event ids, which makes them unique in the fleet.
    """

    name: str
    id: str
    role: str
    users: tuple[User, ...]
    block: dict[str, Any]
    agent_id: str
    event_prefix: str

    @property
    def is_windows(self) -> bool:
        """Whether paths, users and signatures are of the Windows kind."""
        return str(self.block["os"]["type"]) == "windows"


SYSTEM = User("SYSTEM", "S-1-5-18", "NT AUTHORITY")
ROOT = User("root", "0", "")
_SERVICE_USERS_LINUX = {
    "web": User("www-data", "33", ""),
    "database": User("postgres", "110", ""),
    "kubernetes": ROOT,
    "build": User("ci-runner", "998", ""),
    "bastion": User("deploy", "1001", ""),
}
_IIS_POOL = User("DefaultAppPool", "S-1-5-82-3006700770-424185619-1745488364", "IIS APPPOOL")
_SQL_SERVICE = User("svc-sql", "S-1-5-21-3623811015-3361044348-30300820-1601", DOMAIN)

_PEOPLE = (
    *("a.novak", "b.osei", "c.lindqvist", "d.marino", "e.tanaka", "f.dubois", "g.haddad"),
    *("h.kowalski", "i.santos", "j.mbeki", "k.petrov", "l.fischer", "m.oconnor", "n.iyer"),
    *("o.jensen", "p.garcia", "q.nguyen", "r.weber", "s.yilmaz", "t.brown", "u.romano"),
    *("v.horvat", "w.chen", "y.adeyemi"),
)

WINDOWS_OS = {
    "desktop": ("Windows 11 Enterprise", "23H2 (10.0.22631.4317)"),
    "server": ("Windows Server 2019 Datacenter", "1809 (10.0.17763.6414)"),
}
LINUX_OS = {
    "ubuntu": ("Ubuntu", "22.04.5", "debian", "5.15.0-124-generic"),
    "debian": ("Debian", "12.7", "debian", "6.1.0-26-amd64"),
}

# (names, role, kind of operating system); 24 workstations, 12 Windows servers, 14 Linux servers.
_WORKSTATIONS = tuple(
    f"WKS-{team}-{number:02d}"
    for team, count in (("FIN", 6), ("HR", 4), ("ENG", 6), ("SALES", 5), ("LEGAL", 3))
    for number in range(1, count + 1)
)
_MACHINES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (_WORKSTATIONS, "workstation", "desktop"),
    (("EXCH01", "EXCH02"), "exchange", "server"),
    (("DC01", "DC02"), "domain", "server"),
    (("IIS01", "IIS02", "IIS03"), "iis", "server"),
    (("SQL01", "SQL02"), "sql", "server"),
    (("FILE01", "FILE02", "PRINT01"), "file", "server"),
    (("web-01", "web-02", "web-03", "web-04"), "web", "ubuntu"),
    (("db-01", "db-02"), "database", "debian"),
    (("k8s-node-01", "k8s-node-02", "k8s-node-03", "k8s-node-04"), "kubernetes", "ubuntu"),
    (("build-01", "build-02", "build-03"), "build", "ubuntu"),
    (("bastion-01",), "bastion", "debian"),
)


def build_fleet(seed: int) -> tuple[Host, ...]:
    """The company's hosts, always in the same order; ids and addresses follow the seed."""
    source = random.Random(seed)  # noqa: S311 - a repeatable fleet, nothing secret
    hosts: list[Host] = []
    for names, role, system in _MACHINES:
        for name in names:
            hosts.append(_build_host(source, name, role, system, len(hosts)))
    return tuple(hosts)


def _build_host(source: random.Random, name: str, role: str, system: str, number: int) -> Host:
    host_id = str(uuid.UUID(int=source.getrandbits(128), version=4))
    address = f"10.20.{1 + number // 200}.{10 + number % 200}"
    block = {
        "hostname": name,
        "name": name,
        "id": host_id,
        "ip": [address, "127.0.0.1"],
        "mac": ["-".join(f"{byte:02x}" for byte in (2, 0, *source.randbytes(4)))],
        "architecture": "x86_64",
        "os": _windows_block(system) if system in WINDOWS_OS else _linux_block(system),
    }
    return Host(
        name=name,
        id=host_id,
        role=role,
        users=_pick_users(source, role, number),
        block=block,
        agent_id=str(uuid.UUID(int=source.getrandbits(128), version=4)),
        event_prefix="".join(
            source.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghkmnpqrstuvwxyz", k=10)
        ),
    )


def _windows_block(system: str) -> dict[str, Any]:
    edition, version = WINDOWS_OS[system]
    return {
        "Ext": {"variant": edition},
        "kernel": version,
        "name": "Windows",
        "family": "windows",
        "type": "windows",
        "version": version,
        "platform": "windows",
        "full": f"{edition} {version}",
    }


def _linux_block(system: str) -> dict[str, Any]:
    name, version, family, kernel = LINUX_OS[system]
    return {
        "Ext": {"variant": name},
        "kernel": f"{kernel} #134-{name} SMP",
        "name": "Linux",
        "family": family,
        "type": "linux",
        "version": version,
        "platform": system,
        "full": f"{name} {version}",
    }


def _pick_users(source: random.Random, role: str, number: int) -> tuple[User, ...]:
    if role == "workstation":
        person = _PEOPLE[number % len(_PEOPLE)]
        sid = f"S-1-5-21-3623811015-3361044348-30300820-{1100 + number}"
        return (User(person, sid, DOMAIN),)
    if role in _SERVICE_USERS_LINUX:
        return (_SERVICE_USERS_LINUX[role], ROOT)
    if role == "iis":
        return (_IIS_POOL, SYSTEM)
    if role == "sql":
        return (_SQL_SERVICE, SYSTEM)
    return (SYSTEM,)
