"""What a query requires of its events, and above all what it must not require."""

from __future__ import annotations

import pytest

from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.event import Event
from streamproc.eql.literals import MAX_CLAUSES, MAX_REQUIREMENTS, required_clauses
from streamproc.eql.nodes import EventQuery
from streamproc.eql.parser import parse_query
from streamproc.eql.requirements import Clause, Key, Text
from streamproc.eql.signatures import SIGNATURES


def clauses_of(text: str, category_field: str = "event.category") -> tuple[Clause, ...]:
    body = parse_query(text).body
    assert isinstance(body, EventQuery)
    return required_clauses(body, category_field)


def required(condition: str) -> set[str]:
    """Each clause as ``"a" | key b``, a star standing for an open end."""
    return {
        " | ".join(sorted(map(str, clause.requirements)))
        for clause in clauses_of(f"any where {condition}")
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        # One leaf: the constant's text, anchored where the operator fixes an end.
        ('name == "Cmd.EXE"', {'"cmd.exe"'}),
        ('name != "cmd.exe"', set()),
        ('name : "w3wp.exe"', {'"w3wp.exe"'}),
        ('name like "*pool?x*"', {'"*pool*"'}),
        ('name : ("powershell*", "*pwsh.dll")', {'"*pwsh.dll" | "powershell*"'}),
        ('args : "MSExchange*AppPool"', {'"msexchange*"', '"*apppool"'}),
        ('name in ("curl.x", "wget.x")', {'"curl.x" | "wget.x"'}),
        ('name in~ ("Curl.x")', {'"curl.x"'}),
        ('name : "*"', set()),
        ('name : ("cmd.exe", "*")', set()),
        ('name == ""', set()),
        # ``*`` and ``?`` are themselves under ``==`` and ``in``.
        ('name == "cc1*"', {'"cc1*"'}),
        # A rare key is required with its value; a key of every event is not worth it.
        ('CallTrace == "xyz.dll"', {'"xyz.dll"', "key calltrace"}),
        ("problemchild.prediction == 1", {"prediction 1", "key prediction"}),
        ("process.Ext.load_module.taint_flags != null", {"key taint_flags"}),
        ("question.name > 3", {"key question"}),
        ("blocklist_label", {"key blocklist_label"}),
        ("blocklist_label == false", {"blocklist_label false", "key blocklist_label"}),
        ("process.pid == 4", {"pid 4"}),
        ("process.Pid == 4 or 5 == process.pid", {"pid 4 | pid 5"}),
        ("process.trusted == true", {"trusted true"}),
        ("process.pid == -4", set()),
        ("process.pid == 0", set()),
        ("process.pid == 1000000000", set()),
        ("process.pid == 4.5", set()),
        ("process.pid != 4", set()),
        ("not process.pid == 4", set()),
        ("length(name) == 4", set()),
        # Negation requires nothing of a field: a missing one matches.
        ('not name : "cmd.exe"', set()),
        ("rare_field == null", set()),
        ("not rare_field != null", set()),
        ("not rare_field == null", {"key rare_field"}),
        ("not rare_field", set()),
        ('not rare_field in ("longer")', set()),
        ("not length(rare_field) == 3", set()),
        # De Morgan.
        ('not (not name : "cmd.exe" or not path : "*temp9*")', {'"cmd.exe"', '"*temp9*"'}),
        ('not (not name : "cmd.exe" and not path : "*temp9*")', {'"*temp9*" | "cmd.exe"'}),
        ('not not name : "cmd.exe"', {'"cmd.exe"'}),
        ('not (name : "cmd.exe" and name : "x")', set()),
        # ``or``: one clause over all branches, and one for each field that all constrain.
        ('name : "cmd.exe" or pe : "pwsh.dll"', {'"cmd.exe" | "pwsh.dll"'}),
        ('name : "cmd.exe" or pid == 4', {'"cmd.exe" | pid 4'}),
        ('name : "cmd.exe" or pid > 4', set()),
        (
            '(name : "sh" and args : "longer1") or (name : "rm" and args : "longer2")',
            {'"longer1" | "longer2"', '"rm" | "sh"'},
        ),
        # And one over what comes next in each branch.
        (
            '(args : "longer1" and name : "sh.x") or (name : "rm.x" and path : "longer2")',
            {'"longer1" | "longer2"', '"rm.x" | "sh.x"'},
        ),
        (
            '(args : "unset" and args : "histfile") or name : "longer"',
            {'"histfile" | "longer"', '"longer" | "unset"'},
        ),
        # What a rarer clause says is not said again.
        ('event.action == "end" and event.type == "end"', {'"end"'}),
        ('file.name : "x*.dll9" and file.path : "*dll9"', {'"*.dll9"', '"x*"'}),
        ('file.name : "sh.x" and process.name : "sh*"', {'"sh.x"'}),
        ('file.name : "sh.x" and process.title : "sh*"', {'"sh.x"', '"sh*"'}),
        # What a number, a boolean or a number's text might satisfy is not required.
        ('id == "5"', set()),
        ('id : "*1.5e-3*"', set()),
        ('id : "tr*"', set()),
        ('id == "true"', set()),
        ('id : "*alse"', set()),
        ('id : "-INF*"', set()),
        ('id == "0x1f"', {'"0x1f"'}),
        ('name in ("cmd.exe", "5")', set()),
        ("name in (5, 6)", {"name 5 | name 6"}),
        # Dates, addresses and versions equal other spellings of themselves.
        ('created == "2021-03-02T10:00:00Z"', set()),
        ('ip == "::1"', set()),
        ('ip == "10.0.0.0/8"', set()),
        ('version == "1.02-beta"', set()),
        # Functions on a plain field with a constant.
        ('startsWith(path, "/opt/a*")', {'"/opt/a**"'}),
        ('endsWith~(path, ".KDBX")', {'"*.kdbx"'}),
        ('stringContains(path, "masterUser=*")', {'"*masteruser=*"'}),
        ('stringContains(path, "\\\\System32\\\\")', {'"*system32*"'}),
        ('endsWith(path, "q?.kdbx\\\\")', {'"*.kdbx*"'}),
        ("startsWith(rare_a, rare_b)", {"key rare_a", "key rare_b"}),
        ('cidrMatch(rare_ip, "10.0.0.0/8")', {"key rare_ip"}),
        ('concat(rare_a, "x", rare_b) == "axb"', {"key rare_a", "key rare_b"}),
        ("rare_a + rare_b > 3", {"key rare_a", "key rare_b"}),
        ("length(rare_a) > 3 or length(rare_b) > 3", {"key rare_a | key rare_b"}),
        ('substring(path, 2, 9) == "winlogon"', {'"*winlogon*"'}),
        ('substring(path, 2, 9) : "winlogon"', set()),
        ("length(rare_a) == null", set()),
        ("not length(rare_a) == null", {"key rare_a"}),
        # ``fn(f) == false`` holds on a missing field.
        ('startsWith(rare_a, "xyzzy") == false', set()),
        # The start of substring may be null.
        ("substring(rare_a, rare_b) != null", {"key rare_a"}),
        # Regular expressions.
        ('path regex "/var/run/\\\\w+\\\\.(pid|lock)"', {'"/var/run/*"', '"*.lock" | "*.pid"'}),
        ('path regex ("ab.cd9", "x~y")', set()),
        ('path regex~ ".*[à-ÿ]+.*"', {"a character beyond ASCII"}),
        ('path regex ("é.*", "à.*")', {"a character beyond ASCII", '"à*" | "é*"'}),
        ('path regex ("é.*", "a.*")', set()),
        ('not path regex "é"', set()),
        ('substring(path, 1) regex "é"', set()),
    ],
)
def test_required(condition: str, expected: set[str]) -> None:
    """The clauses of a condition, no more and no fewer."""
    assert required(condition) == expected


CALLS = (
    *(f"{name}({args})" for name in ("add", "subtract", "multiply", "divide", "modulo")
      for args in ("rare_field, 1", "1, rare_field")),
    *(f'{name}({args})' for name in ("startsWith", "endsWith", "stringContains", "indexOf")
      for args in ('rare_field, "x"', '"x", rare_field', "rare_field, other_field")),
    'between(rare_field, "a", "b")',
    'cidrMatch(rare_field, "10.0.0.0/8")',
    'concat("x", rare_field)',
    'concat(rare_field, "x", "y")',
    'indexOf("xyz", "y", rare_field)',
    "length(rare_field)",
    "number(rare_field)",
    'number("10", rare_field)',
    "string(rare_field)",
    "substring(rare_field, 1)",
    'substring("xyz", rare_field)',
    'substring("xyz", 0, rare_field)',
)  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_needed_arguments(call: str) -> None:
    """A field whose key is required leaves the function without a result when it is missing."""
    clauses = clauses_of(f"any where {call} != null")
    keys = {str(item) for clause in clauses for item in clause.requirements}
    assert call.find("rare_field") > call.find("(") + 1 or "key rare_field" in keys
    if keys:
        body = parse_query(f"any where {call} != null").body
        assert isinstance(body, EventQuery)
        assert not compile_event_query(body, CompileOptions())(Event({"other_field": "x"}))


def test_every_function_is_known() -> None:
    """The calls above name every function there is."""
    assert {call.partition("(")[0] for call in CALLS} == {s.name for s in SIGNATURES.values()}


def test_category() -> None:
    """The event category is one more clause; ``any`` has none."""
    assert clauses_of("any where true") == ()
    (clause,) = clauses_of("process where true", "event.kind_of")
    assert clause.requirements == (Text("process", True, True, "kind_of"),)
    assert clause.fields == {"event.kind_of"}


def test_only_ascii_is_folded() -> None:
    """The Kelvin sign and long s are letters of their own, and become no ASCII letter."""
    (clause,) = clauses_of('any where name : "\\u{212a}IT\\u{17f}É"')
    assert clause.requirements == (Text("\u212ait\u017fÉ", True, True, "name"),)
    assert Key("\u212aey", True) in {
        item
        for clause in clauses_of("any where `\u212aEY` != null")
        for item in clause.requirements
    }


def test_rarest_clause_first() -> None:
    """The order is that of the estimated shares: the first clause is the one to look up."""
    clauses = clauses_of(
        'process where host.os.type == "windows" and name : "mimikatz.exe" and args : "*sek*"'
    )
    assert str(clauses[0].requirements[0]) == '"mimikatz.exe"'
    assert [clause.share for clause in clauses] == sorted(clause.share for clause in clauses)


def test_sizes_are_bounded() -> None:
    """Too long a list or too many conditions cost clauses, not correctness."""
    names = ", ".join(f'"tool{number}.exe"' for number in range(MAX_REQUIREMENTS + 1))
    assert required(f"name in ({names})") == set()
    many = " and ".join(f'args : "*part{number}part*"' for number in range(MAX_CLAUSES + 10))
    assert len(required(many)) == MAX_CLAUSES


def test_a_clause_reads_well() -> None:
    """A clause names its fields and its first alternatives."""
    names = ", ".join(f'"tool{number}.exe"' for number in range(10))
    (clause,) = clauses_of(f"any where process.name in ({names})")
    assert str(clause).startswith('process.name: "tool0.exe", "tool1.exe", ')
    assert str(clause).endswith('"tool7.exe", and 2 more')
