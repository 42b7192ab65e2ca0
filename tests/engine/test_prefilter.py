"""The prefilter as a whole: which rules for which record, in every shape of rule set and batch."""

from __future__ import annotations

import gzip
import json
from typing import Any

import hyperscan
import orjson
import pytest

from streamproc.engine import first_scan
from streamproc.engine import prefilter as module
from streamproc.engine.literal_database import PrefilterError
from streamproc.engine.prefilter import Prefilter
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery
from streamproc.eql.parser import parse_query
from streamproc.eql.requirements import Clauses

WORKER = (
    'process where process.parent.name : "w3wp.exe" and process.parent.args : "MSExchange*" '
    'and process.name : ("cmd.exe", "powershell.exe")'
)
SERVICE = 'process where process.parent.name : ("UMService.exe", "UMWorkerProcess.exe")'
SLASH = 'any where file.path == "/etc/shadow"'
OPEN = "any where not process.pid == 4"
ONE = "any where process.flag == 1"
YES = "any where process.flag == true"
ATTACK = {
    "event": {"category": ["process"]},
    "process": {
        "name": "CMD.EXE",
        "parent": {"name": "W3WP.exe", "args": ["-ap", "MSExchangeOWAAppPool"]},
    },
}


def clauses(*texts: str) -> list[Clauses]:
    bodies = [parse_query(text).body for text in texts]
    return [required_clauses(body) for body in bodies if isinstance(body, EventQuery)]


def rules_for(value: bytes, *texts: str) -> tuple[int, ...]:
    """Candidate rules of one record."""
    return dict(Prefilter(clauses(*texts)).candidates([value])).get(0, ())


def test_candidates_in_a_batch() -> None:
    """Records with candidates come back by index, each with its own rules; others do not."""
    service = {"event.category": "process", "process.parent.name": "umservice.EXE"}
    batch = [b"{}", orjson.dumps(ATTACK), b'{"x":"w3wp.exe"}', orjson.dumps(service)]
    assert Prefilter(clauses(WORKER, SERVICE)).candidates(batch) == [(1, (0,)), (3, (1,))]


def test_every_clause_counts() -> None:
    """A record that lacks any one of the required texts is no candidate."""
    whole = orjson.dumps(ATTACK)
    assert rules_for(whole, WORKER) == (0,)
    for text in (b"W3WP.exe", b"MSExchange", b"CMD.EXE", b'["process"]'):
        assert text in whole
        assert rules_for(whole.replace(text, b'["z"]' if text[:1] == b"[" else b"z"), WORKER) == ()


def test_a_large_rule_set_drops_clauses_that_are_not_worth_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long list that hardly narrows the candidates is left out, and no match is lost by it."""
    names = ", ".join(f'"tool{number:03d}.exe"' for number in range(200))
    query = f'any where process.args == "unheard-of" and process.name in ({names})'
    value = orjson.dumps({"process": {"args": ["unheard-of"], "name": "other"}})
    assert rules_for(value, query) == ()
    monkeypatch.setattr(module, "SMALL_RULE_SET", 100)
    assert rules_for(value, query) == (0,)
    assert rules_for(value.replace(b"unheard", b"heard"), query) == ()


@pytest.mark.parametrize("name", ["cmd.exe", "powershell.exe", "pwsh.exe", "xcmd.exe"])
def test_any_alternative_of_the_trigger(name: str) -> None:
    """Each alternative of a clause brings the rule up, and nothing else does."""
    query = 'any where process.name in ("cmd.exe", "powershell.exe")'
    value = orjson.dumps({"process": {"name": name}})
    assert rules_for(value, query) == ((0,) if name in ("cmd.exe", "powershell.exe") else ())


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (SLASH, rb'{"file":{"path":"\/etc\/shadow"}}'),
        (SLASH, rb'{"file":{"path":"/etc\/shadow"}}'),
        (SLASH, rb'{"file":{"path":"/etc\u002fshadow"}}'),
        (SLASH, rb'{"file":{"path":"/etc\u002Fshadow"}}'),
        (SLASH, rb'{"file":{"path":"/etc/\u0073hadow"}}'),
        ('any where a == "joke"', rb'{"a":"\u006Aoke"}'),
        ('any where a == "joke"', rb'{"a":"jo\u006be"}'),
        ('any where a : "joke"', rb'{"a":"\u004AOKE"}'),
        ('any where a : "joke"', rb'{"a":"\u004aOKE"}'),
        ('any where a == "c:\\\\xy"', rb'{"a":"c:\u005cxy"}'),
        # Nothing in the query holds a dot, but its rare key may stand after one.
        ("any where x.taint_flags != null", rb'{"x\u002etaint_flags":1}'),
        ("any where x.taint_flags != null", rb'{"x":{"taint\u005fflags":1}}'),
        ("any where x.taint_flags != null", rb'{"x.taint_flags" : 1}'),
        ("any where rare_a.id != null", rb'{"rare_a\u002eid":1}'),
        ("any where `a/b.taint` != null", rb'{"a\/b.taint":1}'),
    ],
)
def test_escapes(query: str, value: bytes) -> None:
    """JSON's freedom of spelling hides no match, in values or keys."""
    assert rules_for(value, query) == (0,)


@pytest.mark.parametrize(
    "value",
    [
        # Where a name is written together with its value, however they are spaced.
        rb'{"process":{"name":"sh"}}',
        rb'{"process": {"name": "sh"}}',
        b'{"process":{"name"\t:\r\n"sh"}}',
        b'{"process":{"name" :"sh"}}',
        b'{"process":{"name":  "sh"}}',
        b'{"process.name":\n"sh"}',
        rb'{"process.name":["bash","sh"]}',
        rb'{"process.name":[["sh"]]}',
        rb'{"process.name": ["bash", "sh"]}',
        b'{"process.name":[\n"sh"]}',
        rb'{"process":[{"name":"x"},{"name":"sh"}]}',
        rb'{"process.na\u006de":"sh"}',
        rb'{"process.na\u006de": "s\u0068"}',
        rb'{"name": "\/", "process.name": "sh"}',
        rb'{"name":"\\\/ name\" ","process.name": "sh"}',
    ],
)
def test_a_name_and_its_value(value: bytes) -> None:
    """A short text under a field is found in every spelling, beside other records."""
    query = 'any where process.name == "sh"'
    assert rules_for(value, query) == (0,)
    assert rules_for(value, query, SLASH) == (0,)
    assert Prefilter(clauses(query)).candidates([b"{}", value, b"{}"]) == [(1, (0,))]


@pytest.mark.parametrize(
    "value",
    [
        rb'{"user":{"id":"sh"},"process":{"args":["sh"],"parent":{"executable":"sh"}}}',
        rb'{"a": "name", "b": "sh"}',
        rb'{"process.name": "\": \"sh"}',
        rb'{"process.executable":["sh"],"process.name":"bash"}',
    ],
)
def test_the_same_text_under_another_name(value: bytes) -> None:
    """Fields are told apart by their names, with white space and without."""
    assert rules_for(value, 'any where process.name == "sh"') == ()


def test_a_value_with_a_spaced_colon() -> None:
    """What is taken for the white space of JSON may stand in a value that is asked for."""
    query = 'any where process.name == "a\\": \\"b"'
    for space in ("", " ", "  "):
        value = f'{{"process.name"{space}:{space}"a\\": \\"b"}}'
        assert rules_for(value.encode(), query) == (0,)


def test_a_record_that_cannot_be_rewritten_is_for_every_rule() -> None:
    """So that it is decoded, and its fault reported."""
    value = rb'{"file":{"path":"\\\u002fetc'
    assert rules_for(value, SLASH, WORKER) == (0, 1)


def test_an_overwritten_key_is_no_candidate_after_rewriting() -> None:
    """A rewritten record has what the decoder keeps of it: the last of equal keys."""
    value = rb'{"file.path":"/etc/shadow","file.path":"\\\u002fx"}'
    assert rules_for(value, SLASH) == ()


@pytest.mark.parametrize("queries", [(), (OPEN,), (OPEN, OPEN)])
def test_no_texts_at_all(queries: tuple[str, ...]) -> None:
    """Without rules nothing is a candidate; rules without clauses are so for every record."""
    prefilter = Prefilter(clauses(*queries))
    everything = tuple(range(len(queries)))
    expected = [(0, everything), (1, everything)] if queries else []
    assert prefilter.candidates([b"", b"{}"]) == expected
    assert prefilter.always == everything
    assert prefilter.candidates([]) == []


def test_an_open_rule_beside_others() -> None:
    """A rule without clauses is a candidate even for records without any hit."""
    prefilter = Prefilter(clauses(OPEN, WORKER))
    assert prefilter.candidates([b"{}", orjson.dumps(ATTACK)]) == [(0, (0,)), (1, (0, 1))]


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\x00", b"\xff\xfe", b"null", gzip.compress(b"{}"), b"[" * 3000, b'"\\u00'],
)
def test_any_bytes(value: bytes) -> None:
    """Whatever a record holds, it gets an answer, and so do its neighbours."""
    attack = orjson.dumps(ATTACK)
    found = dict(Prefilter(clauses(WORKER)).candidates([attack, value, attack]))
    assert found[0] == found[2] == (0,)


def test_a_thousand_rules() -> None:
    """Each of 1,024 rules finds its own record, and only that."""
    queries = [f'any where process.name : "tool-{number:04d}.exe"' for number in range(1024)]
    batch = [f'{{"process":{{"name":"tool-{number:04d}.exe"}}}}'.encode() for number in range(1024)]
    found = Prefilter(clauses(*queries)).candidates(batch)
    assert found == [(number, (number,)) for number in range(1024)]


@pytest.mark.parametrize(
    ("value", "expected"), [("1", (0, 1)), ("2", (1,)), ("true", (0, 1)), ("false", (0,))]
)
def test_one_is_not_true(value: str, expected: tuple[int, ...]) -> None:
    """Rules that ask for 1 and for true are kept apart, though Python's are equal."""
    assert rules_for(b'{"process":{"flag":%b}}' % value.encode(), ONE, YES) == expected


def test_large_records() -> None:
    """A match at the end of ten megabytes is found, beside small records."""
    value = b'{"pad":"' + b"x" * 10_000_000 + b'","file.path":"/etc/shadow"}'
    prefilter = Prefilter(clauses(SLASH))
    assert prefilter.candidates([b"{}", value, b"{}", value[-30:]]) == [(1, (0,)), (3, (0,))]


@pytest.mark.parametrize("limit", [1, 60, 200, 1 << 20])
def test_matches_belong_to_their_record(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """The joined scan attributes each hit to its record, wherever the joins fall."""
    monkeypatch.setattr(first_scan, "JOINED_BYTES", limit)
    hit, miss = b'{"file.path":"/etc/shadow"}', b'{\n"file.path":\n"/etc/passwd"\n}'
    batch = [hit if number * number % 7 == 2 else miss for number in range(100)]
    batch += [b"", hit, b"", b"", miss, hit]
    expected = [(number, (0,)) for number, value in enumerate(batch) if value == hit]
    assert Prefilter(clauses(SLASH)).candidates(batch) == expected


@pytest.mark.parametrize(
    ("query", "hidden"),
    [
        ('any where a == "joke"', rb'{"a":"jo\u006Be"}'),
        ('any where a == "joke"', rb'{"a":"\u0026","\u0061":"\u006aoke"}'),
        (SLASH, rb'{"file.path":"\/etc\/shadow"}'),
        (SLASH, rb'{"file.path":"\u002Fetc\u002fshadow"}'),
    ],
)
def test_only_escapes_of_what_is_looked_for_pass(query: str, hidden: bytes) -> None:
    """Writers that escape & < > are not slowed down; a literal in hiding is found beside them."""
    prefilter = Prefilter(clauses(query))
    harmless = rb'{"b":"\u0026\u003C\u003e \u0007"}'
    cut = b'{"b":"\\u00'  # what follows in the joined bytes belongs to another record
    batch = [harmless, cut, b"6B", cut + b"6", b"b", hidden, cut, b"2f", hidden, harmless]
    assert list(prefilter._suspects(batch)) == [5, 8]
    assert prefilter.candidates(batch) == [(5, (0,)), (8, (0,))]


def test_a_slash_that_no_text_holds_may_be_escaped() -> None:
    r"""PHP and others write ``\/``; without a slash in the rules that hides nothing."""
    batch = [rb'{"b":"\/usr\/bin"}', rb'{"b":"\/","a":"joke"}']
    prefilter = Prefilter(clauses('any where a == "joke"'))
    assert list(prefilter._suspects(batch)) == [1]


def test_the_answer_does_not_depend_on_the_way() -> None:
    """When most records pass the first scan it is left out, and tried again later."""
    prefilter = Prefilter(clauses(WORKER))
    assert prefilter._first is not None
    attack, near = orjson.dumps(ATTACK), orjson.dumps({**ATTACK, "event": {"category": "file"}})
    worth = set()
    for _ in range(200):
        assert prefilter.candidates([attack, near, attack]) == [(0, (0,)), (2, (0,))]
        worth.add(prefilter._first.is_worth_it())
    assert worth == {True, False}
    for _ in range(2000):
        assert prefilter.candidates([b"{}"] * 3 + [attack]) == [(3, (0,))]
    assert prefilter._first.passed < first_scan.JOINED_SHARE


def test_a_wrong_guess_is_corrected_within_the_first_batches() -> None:
    """Many rules that no event concerns look as if most events would pass; they do not."""
    queries = [f'any where process.name == "seldom{number}"' for number in range(600)]
    prefilter = Prefilter(clauses(*queries))
    assert prefilter._first is not None
    assert prefilter._first.passed > first_scan.JOINED_SHARE
    for _ in range(first_scan.TRIES_AT_FIRST):
        assert prefilter.candidates([b'{"process":{"name":"usual"}}'] * 50) == []
    assert prefilter._first.passed < first_scan.JOINED_SHARE


def test_remembered_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of answers is emptied when full, without a change of answers."""
    monkeypatch.setattr(module, "_MEMO_SIZE", 4)
    queries = [f'any where process.args == "argument{number}"' for number in range(20)]
    prefilter = Prefilter(clauses(*queries))
    for number in range(20):
        value = orjson.dumps(
            {"process.args": [f"argument{number}", f"argument{(number + 1) % 20}"]}
        )
        assert prefilter.candidates([value]) == [(0, tuple(sorted({number, (number + 1) % 20})))]
        assert len(prefilter._memo) <= 4


def test_a_clause_is_looked_for_where_candidates_cost_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same clause, of a rule whose candidates cost nothing and of one whose cost much."""
    monkeypatch.setattr("streamproc.engine.prefilter.SMALL_RULE_SET", 0)
    rule = clauses('any where process.name == "w3wp.exe" and event.type == "start"')
    value = b'{"process":{"name":"w3wp.exe"}}'
    assert Prefilter(rule, costs=[0.0]).candidates([value]) == [(0, (0,))]
    assert Prefilter(rule, costs=[1e6]).candidates([value]) == []


UNICODE = 'any where process.args : "certutil" and process.command_line regex ".*[à-ÿ].*"'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("certutil -decode", False),
        ("certutil /dëcode", True),
        (r"certutil C:\Users", False),
        (r"certutil C:\users", True),  # a backslash and a u: it might be an escape
    ],
)
def test_a_character_beyond_ascii(line: str, expected: bool) -> None:
    """A rule that asks for one is no candidate for records that have none."""
    record = {"process": {"args": ["certutil"], "command_line": line}}
    rules = (0,) if expected else ()
    for value in (orjson.dumps(record), json.dumps(record).encode()):
        assert rules_for(value, UNICODE) == rules
        assert rules_for(value, UNICODE, 'any where process.args : "certutil"') == (*rules, 1)


def test_nothing_but_a_character_beyond_ascii() -> None:
    """It may be all that a rule asks for."""
    prefilter = Prefilter(clauses('any where name regex "[à-ÿ]+"', OPEN))
    records = ['{"name":"éé"}'.encode(), b'{"name":"ee"}']
    assert prefilter.candidates(records) == [(0, (0, 1)), (1, (1,))]
    assert prefilter.describe(0).trigger == "name: a character beyond ASCII"
    assert Prefilter(clauses('any where name regex "[à-ÿ]+"')).candidates(records) == [(0, (0,))]


def test_describe() -> None:
    """Clauses in human form, the one that brings the rule up, and why a rule is always one."""
    prefilter = Prefilter(clauses(SERVICE, OPEN, 'any where name == "é"'))
    explanation = prefilter.describe(0)
    assert explanation.trigger == 'process.parent.name: "umservice.exe", "umworkerprocess.exe"'
    assert explanation.trigger in explanation.clauses
    assert 'event.category: "process"' in explanation.clauses
    assert explanation.reason == ""
    assert "no text" in prefilter.describe(1).reason
    assert "too short" in prefilter.describe(2).reason
    assert prefilter.always == (1, 2)


def test_refused_literals_are_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that cannot be made is an error with its reason, not an empty filter."""

    class Refusing:
        def compile(self, **_: Any) -> None:
            raise hyperscan.error("out of memory")

    monkeypatch.setattr(hyperscan, "Database", Refusing)
    with pytest.raises(PrefilterError, match=r"cannot compile .* out of memory"):
        Prefilter(clauses(SLASH))
