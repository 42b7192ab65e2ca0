"""The shipped rules say what the published rules say."""

from pathlib import Path

import pytest

from streamproc.eql.event import Event
from streamproc.ruleset import IndexSelector, load_rules

RULES = Path(__file__).parents[1] / "rules"
WORKER = "f81ee52c-297e-46d9-9205-07e66931df26"
UM = "483c4daf-b0c6-49e0-adf3-0bfa93231d6b"


@pytest.fixture(scope="module")
def loaded():
    return load_rules([RULES])


@pytest.fixture(scope="module")
def worker(loaded):
    return next(rule for rule in loaded.rules if rule.rule_id == WORKER)


@pytest.fixture(scope="module")
def um(loaded):
    return next(rule for rule in loaded.rules if rule.rule_id == UM)


def test_the_folder_loads_without_a_word(loaded):
    """Two rules, nothing rejected, skipped or odd, and the licence beside them."""
    assert {rule.rule_id for rule in loaded.rules} == {WORKER, UM}
    assert loaded.rejected == loaded.skipped == loaded.warnings == ()
    assert (RULES / "LICENSE.txt").read_text().strip().startswith("Elastic License 2.0")


def test_the_worker_rule_has_every_fact(worker):
    """Version 316."""
    assert worker.name == "Microsoft Exchange Worker Spawning Suspicious Processes"
    assert worker.description.startswith("Identifies suspicious processes being spawned by the")
    assert worker.description.endswith("or access to an existing web shell backdoor.")
    assert worker.version == 316
    assert (worker.severity, worker.risk_score) == ("high", 73)
    assert (worker.interval, worker.from_, worker.to, worker.max_signals) == (
        "5m",
        "now-9m",
        "now",
        100,
    )
    assert worker.indices == (
        "logs-endpoint.events.process-*",
        "winlogbeat-*",
        "logs-windows.sysmon_operational-*",
        "endgame-*",
        "logs-m365_defender.event-*",
        "logs-sentinel_one_cloud_funnel.*",
    )
    assert len(worker.tags) == 10
    assert worker.tags[0] == "Domain: Endpoint"
    assert worker.tags[-1] == "Resources: Investigation Guide"
    assert (worker.author, worker.license) == (("Elastic",), "Elastic License v2")
    assert len(worker.references) == 3
    assert len(worker.investigation_fields) == 15
    assert _threats(worker) == {
        "TA0001": ["T1190"],
        "TA0002": ["T1059", "T1059.001", "T1059.003"],
        "TA0003": ["T1505", "T1505.003"],
    }


def test_the_worker_rule_asks_five_questions(worker):
    """In the order of its guide, which shows them in place."""
    assert [(query.label, query.relative_from) for query in worker.investigate] == [
        ("File events for the suspicious child process", "now-1h"),
        ("Network events for the suspicious child process", "now-1h"),
        ("Process events from the same Exchange worker", "now-1h"),
        ("Alerts associated with the host", "now-48h/h"),
        ("Alerts associated with the user", "now-48h/h"),
    ]
    assert {query.relative_to for query in worker.investigate} == {"now"}
    assert [
        [(provider.field, provider.value) for provider in query.providers[0]]
        for query in worker.investigate[2:]
    ] == [
        [
            ("event.category", "process"),
            ("host.id", "{{host.id}}"),
            ("process.parent.entity_id", "{{process.parent.entity_id}}"),
        ],
        [("event.kind", "signal"), ("host.id", "{{host.id}}")],
        [("event.kind", "signal"), ("user.id", "{{user.id}}")],
    ]
    assert worker.note.count("!{investigate{") == 5
    assert "$investigate" not in worker.note


def test_the_um_rule_has_every_fact(um):
    """Version 100: three index patterns, five tags, no queries."""
    assert um.name == "Microsoft Exchange Server UM Spawning Suspicious Processes"
    assert um.description.endswith("This activity has been observed exploiting CVE-2021-26857.")
    assert um.version == 100
    assert (um.severity, um.risk_score) == ("medium", 47)
    assert (um.interval, um.from_, um.to, um.max_signals) == ("5m", "now-9m", "now", 100)
    assert um.indices == ("logs-endpoint.events.*", "winlogbeat-*", "logs-windows.*")
    assert um.tags == ("Elastic", "Host", "Windows", "Threat Detection", "Initial Access")
    assert (um.author, um.license) == (("Elastic", "Austin Songer"), "Elastic License v2")
    assert len(um.references) == 2
    assert len(um.false_positives) == 1
    assert um.false_positives[0].endswith("they can be exempted from the rule.")
    assert _threats(um) == {"TA0001": ["T1190"]}
    assert um.investigate == ()


def _threats(rule):
    """Tactic id to its technique and sub-technique ids, in order."""
    return {
        entry["tactic"]["id"]: [
            found["id"]
            for technique in entry["technique"]
            for found in [technique, *technique.get("subtechnique", [])]
        ]
        for entry in rule.threat
    }


def _start(name, executable, parent, *args, **more):
    """A process start on Windows."""
    return {
        "event": {"category": ["process"], "type": ["start"]},
        "host": {"os": {"type": "windows"}},
        "process": {
            "name": name,
            "executable": executable,
            "parent": {"name": parent, "args": list(args)},
            **more,
        },
    }


POOL = "MSExchangeOWAAppPool"
SHELL = ("cmd.exe", "C:\\Windows\\System32\\cmd.exe")
RENAMED = ("svc.exe", "C:\\Temp\\svc.exe")


@pytest.mark.parametrize(
    ("document", "matches"),
    [
        (_start(*SHELL, "w3wp.exe", "w3wp.exe", "-ap", POOL), True),
        (_start(*SHELL, "W3WP.EXE", "-ap", POOL.upper()), True),
        (_start(*RENAMED, "w3wp.exe", POOL, pe={"original_file_name": "PowerShell.EXE"}), True),
        (_start(*RENAMED, "w3wp.exe", POOL, pe={"original_file_name": "powershell.exe"}), False),
        (_start(*RENAMED, "w3wp.exe", POOL), False),
        (_start(*SHELL, "w3wp.exe", "DefaultAppPool"), False),
        (_start(*SHELL, "explorer.exe", POOL), False),
        ({**_start(*SHELL, "w3wp.exe", POOL), "host": {"os": {"type": "linux"}}}, False),
        ({**_start(*SHELL, "w3wp.exe", POOL), "host": {}}, False),
    ],
)
def test_the_worker_rule_decides(worker, document, matches):
    """Names ignore case; the original file name does not; the operating system is asked for."""
    assert worker.matchers[0](Event(document)) is matches


@pytest.mark.parametrize(
    ("document", "matches"),
    [
        (_start(*SHELL, "UMWorkerProcess.exe"), True),
        (_start(*SHELL, "umservice.EXE"), True),
        ({**_start(*SHELL, "UMService.exe"), "host": {}}, True),
        (_start("a.exe", None, "UMService.exe"), True),
        (_start("w.exe", "C:\\WINDOWS\\System32\\WerFault.exe", "UMService.exe"), False),
        (_start("w.exe", "D:\\Exchange 2016\\Bin\\UMWorkerProcess.exe", "UMService.exe"), False),
        (_start("w.exe", "D:\\Exchange\\Bin\\UMWorkerProcess.exe", "UMService.exe"), True),
        (_start(*SHELL, "services.exe"), False),
    ],
)
def test_the_um_rule_decides(um, document, matches):
    """No operating system is asked for, and five paths are excluded, no more."""
    assert um.matchers[0](Event(document)) is matches


def test_both_rules_look_at_sysmon_and_only_one_at_all_endpoint_events(loaded):
    """The index patterns of the two differ."""
    selector = IndexSelector(loaded.rules)
    order = [rule.rule_id for rule in loaded.rules]

    assert order == [UM, WORKER]
    assert selector.positions("logs-windows.sysmon_operational-default") == {0, 1}
    assert selector.positions("logs-endpoint.events.file-default") == {0}
    assert selector.positions("logs-endpoint.events.process-prod") == {0, 1}
    assert selector.positions("logs-system.auth-default") == set()
