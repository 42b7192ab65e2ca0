"""What the prefilter costs beside decoding, on endpoint events of about 3 kB.

Run: ``python -m benchmarks.prefilter [RULES_FOLDER]`` from the root of the checkout; the
folder defaults to the shipped rules. Every way is timed over the same events, in turns, and
the fastest of its rounds counts. Before a time is taken, the candidates of the planted events
are compared with what is expected; a wrong answer ends the run.
"""

from __future__ import annotations

import random
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from streamproc.engine.prefilter import Prefilter
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery
from streamproc.eql.nodes import Sequence as SequenceQuery
from streamproc.eql.parser import parse_query
from streamproc.eql.requirements import Clauses

SEED = 20260821
EVENTS = 4000
BATCH = 500
ROUNDS = 5
PLANTED_EVERY = 1000

ATTACK = (
    'process where event.type == "start" and process.parent.name : "w3wp.exe" and '
    'process.parent.args : "MSExchange*AppPool" and '
    'process.name : ("cmd.exe", "powershell.exe")'
)
EXPLOIT = (
    'process where event.type == "start" and '
    'process.parent.name : ("UMService.exe", "UMWorkerProcess.exe")'
)

WINDOWS = (
    ("svchost.exe", "services.exe", r"C:\Windows\System32\svchost.exe -k netsvcs -p -s Schedule"),
    ("conhost.exe", "cmd.exe", r"\??\C:\Windows\system32\conhost.exe 0xffffffff -ForceV1"),
    ("chrome.exe", "explorer.exe", r'"C:\Program Files\Google\Chrome\Application\chrome.exe"'),
    ("msedge.exe", "msedge.exe", r"msedge.exe --type=renderer --lang=en-US --field-trial-handle"),
    ("MsMpEng.exe", "services.exe", r"C:\ProgramData\Microsoft\Windows Defender\MsMpEng.exe"),
    ("backgroundTaskHost.exe", "svchost.exe", r"backgroundTaskHost.exe -ServerName:App.AppX53"),
    ("OUTLOOK.EXE", "explorer.exe", r'"C:\Program Files\Microsoft Office\root\OUTLOOK.EXE"'),
    ("cmd.exe", "explorer.exe", r'"C:\Windows\System32\cmd.exe" /c dir C:\Users\Public'),
    ("powershell.exe", "svchost.exe", r"powershell.exe -File C:\ops\inventory.ps1 -Quiet"),
    ("WmiPrvSE.exe", "svchost.exe", r"C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding"),
    ("taskhostw.exe", "svchost.exe", r"taskhostw.exe Install $(Arg0)"),
    ("SearchProtocolHost.exe", "SearchIndexer.exe", r"SearchProtocolHost.exe Global\UsGthrFltPipe"),
    ("w3wp.exe", "svchost.exe", r"w3wp.exe -ap DefaultAppPool -v v4.0 -l webengine4.dll"),
    ("rundll32.exe", "svchost.exe", r"rundll32.exe shell32.dll,SHCreateLocalServerRunDll {9aa4}"),
)
LINUX = (
    ("bash", "sshd", "-bash"),
    ("sh", "cron", "/bin/sh -c cd / && run-parts --report /etc/cron.hourly"),
    ("grep", "bash", "grep -c ESTABLISHED /proc/net/tcp"),
    ("sed", "sh", "sed -e s/^.*=// /etc/os-release"),
    ("python3", "systemd", "/usr/bin/python3 /opt/app/worker.py --queue mail --threads 8"),
    ("ps", "bash", "ps -ef --sort=start_time"),
    ("runc", "containerd-shim", "runc --root /run/containerd/runc/k8s.io --log-format json exec"),
    ("java", "systemd", "/usr/bin/java -Xmx4g -jar /srv/app/service.jar --port 8443"),
    ("cat", "sh", "cat /sys/fs/cgroup/memory.max"),
    ("apt-check", "update-notifier", "/usr/bin/python3 /usr/lib/update-notifier/apt-check"),
)


def event(rng: random.Random, number: int) -> dict[str, Any]:
    """One benign process start, shaped as Elastic Defend writes it."""
    is_windows = rng.random() < 0.6
    name, parent, line = rng.choice(WINDOWS if is_windows else LINUX)
    host = f"host-{rng.randrange(50):02d}"
    folder = "C:\\Windows\\System32\\" if is_windows else "/usr/bin/"
    return {
        "@timestamp": f"2026-08-21T10:{number // 60 % 60:02d}:{number % 60:02d}.{number:07d}Z",
        "agent": {"id": _hex(rng, 32), "type": "endpoint", "version": "8.15.0"},
        "data_stream": {
            "dataset": "endpoint.events.process",
            "namespace": "default",
            "type": "logs",
        },
        "ecs": {"version": "8.10.0"},
        "elastic": {"agent": {"id": _hex(rng, 32)}},
        "event": {
            "action": "start" if is_windows else "exec",
            "agent_id_status": "verified",
            "category": ["process"],
            "created": "2026-08-21T10:00:00.000Z",
            "dataset": "endpoint.events.process",
            "id": _hex(rng, 20),
            "ingested": "2026-08-21T10:00:01Z",
            "kind": "event",
            "module": "endpoint",
            "outcome": "unknown",
            "sequence": number,
            "type": ["start"],
        },
        "host": _host(rng, host, is_windows),
        "message": "Endpoint process event",
        "process": {
            **_process(rng, name, folder, line),
            "parent": {
                **_process(rng, parent, folder, parent),
                "group_leader": _leader(rng, parent, folder),
            },
            "entry_leader": _leader(rng, parent, folder),
            "session_leader": _leader(rng, parent, folder),
        },
        "user": {"domain": "NT AUTHORITY", "id": "S-1-5-18", "name": "SYSTEM"}
        if is_windows
        else {"id": "0", "name": "root", "Ext": {"real": {"id": 0, "name": "root"}}},
    }


def _hex(rng: random.Random, length: int) -> str:
    return f"{rng.getrandbits(4 * length):0{length}x}"


def _host(rng: random.Random, name: str, is_windows: bool) -> dict[str, Any]:
    version = "10.0.20348.2700" if is_windows else "22.04.4 LTS (Jammy Jellyfish)"
    system = "windows" if is_windows else "linux"
    full = "Windows Server 2022 Datacenter 21H2 (10.0.20348.2700)" if is_windows else "Ubuntu"
    return {
        "architecture": "x86_64",
        "hostname": name,
        "id": name,
        "ip": [f"10.1.{rng.randrange(255)}.{rng.randrange(255)}", "127.0.0.1", "::1"],
        "mac": ["00-50-56-b1-3d-90"],
        "name": name,
        "os": {
            "Ext": {"variant": full},
            "family": system,
            "full": full,
            "kernel": version,
            "name": "Windows" if is_windows else "Linux",
            "platform": system,
            "type": system,
            "version": version,
        },
    }


def _process(rng: random.Random, name: str, folder: str, line: str) -> dict[str, Any]:
    return {
        "Ext": {
            "ancestry": [_hex(rng, 40) for _ in range(4)],
            "authentication_id": "0x3e7",
            "code_signature": [
                {"exists": True, "status": "trusted", "subject_name": "Microsoft Windows"}
            ],
            "token": {"elevation": False, "integrity_level_name": "system"},
        },
        "args": line.split(),
        "args_count": len(line.split()),
        "code_signature": {
            "exists": True,
            "status": "trusted",
            "subject_name": "Microsoft Windows",
            "trusted": True,
        },
        "command_line": line,
        "entity_id": _hex(rng, 40),
        "executable": folder + name,
        "hash": {"md5": _hex(rng, 32), "sha1": _hex(rng, 40), "sha256": _hex(rng, 64)},
        "name": name,
        "pe": {"original_file_name": name},
        "pid": rng.randrange(4, 65536),
    }


def _leader(rng: random.Random, name: str, folder: str) -> dict[str, Any]:
    return {
        "entity_id": _hex(rng, 40),
        "executable": folder + name,
        "interactive": False,
        "name": name,
        "pid": rng.randrange(4, 65536),
        "start": "2026-08-20T08:00:00.000Z",
    }


def events(count: int, seed: int = SEED) -> tuple[list[bytes], set[int]]:
    """Benign events with a web shell start planted at every thousandth place."""
    rng = random.Random(seed)
    values, planted = [], set()
    for number in range(count):
        document = event(rng, number)
        if number % PLANTED_EVERY == PLANTED_EVERY // 2:
            document["host"]["os"]["type"] = "windows"
            document["process"]["name"] = "cmd.exe"
            document["process"]["parent"]["name"] = "w3wp.exe"
            document["process"]["parent"]["args"] = ["w3wp.exe", "-ap", "MSExchangeOWAAppPool"]
            planted.add(number)
        values.append(orjson.dumps(document))
    return values, planted


def corpus_clauses(folder: Path) -> list[Clauses]:
    """Clauses of every event query and of every step of a sequence below ``folder``."""
    found = []
    for path in sorted(folder.rglob("*.toml")):
        rule = tomllib.loads(path.read_text(encoding="utf-8")).get("rule", {})
        if rule.get("language") != "eql":
            continue
        body = parse_query(rule["query"]).body
        if isinstance(body, EventQuery):
            found.append(required_clauses(body))
        elif isinstance(body, SequenceQuery):
            found.extend(required_clauses(term.query) for term in body.terms)
    return found


def query_clauses(*texts: str) -> list[Clauses]:
    """Clauses of event queries given as text."""
    bodies = [parse_query(text).body for text in texts]
    return [required_clauses(body) for body in bodies if isinstance(body, EventQuery)]


def batches(values: Sequence[bytes]) -> list[Sequence[bytes]]:
    """The values as the consumer hands them on."""
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


def run_prefilter(prefilter: Prefilter, values: Sequence[bytes]) -> int:
    """Number of (record, rule) candidates."""
    return sum(
        len(rules) for _, rules in chain.from_iterable(map(prefilter.candidates, batches(values)))
    )


def alone(rule_clauses: Sequence[Clauses]) -> Prefilter:
    """A prefilter that scans every record by itself."""
    prefilter = Prefilter(rule_clauses)
    prefilter._first = None
    return prefilter


def joined(rule_clauses: Sequence[Clauses]) -> Prefilter:
    """A prefilter that always runs the joined scan first, worth it or not."""
    prefilter = Prefilter(rule_clauses)
    if prefilter._first is not None:
        prefilter._first.is_worth_it = lambda: True  # type: ignore[method-assign]
    return prefilter


def decode(values: Sequence[bytes]) -> None:
    """Decode each record and drop it."""
    for value in values:
        orjson.loads(value)


def best_times(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of the fastest round of each way; the ways take turns."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for label, work in ways.items():
            start = time.process_time()
            work()
            best[label] = min(best[label], time.process_time() - start)
    return best


def check(values: Sequence[bytes], planted: set[int]) -> None:
    """End the run if the attack's candidates are not exactly the planted events."""
    found = Prefilter(query_clauses(ATTACK, EXPLOIT)).candidates(values)
    if found != [(index, (0,)) for index in sorted(planted)]:
        sys.exit("wrong candidates: the times would mean nothing")


def main() -> None:
    """Time every way and print one row for each."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("rules")
    values, planted = events(EVENTS)
    check(values, planted)
    ways: dict[str, Callable[[], object]] = {"orjson.loads": partial(decode, values)}
    rows: dict[str, tuple[object, ...]] = {"orjson.loads": ("-", "-", "-")}
    rule_sets = {"2 rules": query_clauses(ATTACK, EXPLOIT), folder.name: corpus_clauses(folder)}
    for name, clauses in rule_sets.items():
        for way, make in (("alone", alone), ("joined first", joined), ("as shipped", Prefilter)):
            start = time.process_time()
            prefilter = make(clauses)
            built = time.process_time() - start
            ways[f"{name}, {way}"] = partial(run_prefilter, prefilter, values)
            count = run_prefilter(prefilter, values) / len(values)
            rows[f"{name}, {way}"] = (len(clauses), f"{built:.2f}", f"{count:.2f}")
    best = best_times(ways)
    size = sum(map(len, values)) / len(values)
    print(f"{len(values)} events of {size:.0f} bytes, batches of {BATCH}, best of {ROUNDS}\n")
    print(f"{'way':<32}{'queries':>8}{'build s':>9}{'cand./event':>13}{'us/event':>10}{'ratio':>8}")
    for label, shown in rows.items():
        queries, seconds, found = shown
        each = best[label] / len(values) * 1e6
        ratio = best[label] / best["orjson.loads"]
        print(f"{label:<32}{queries:>8}{seconds:>9}{found:>13}{each:>10.2f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
