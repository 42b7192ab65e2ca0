"""What it costs to load rules and to make them ready to run.

Run: ``python -m benchmarks.loading [RULES_FOLDER] [RULES]`` from the root of the checkout; the
folder defaults to a detection-rules checkout beside it, else to the shipped rules. Where it holds
fewer than RULES (1,000) rules, changed copies make up the number: every constant of a copy's
query differs from the original's, so that nothing which is known already is met again.

CPU seconds of this process count, which other work on the machine changes least; the fastest of
three rounds. The total is of ``load_rules`` and ``Program`` as the worker calls them; the stages
below it are timed each by itself, and leave out what belongs to none of them.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import tomli

from streamproc.engine.prefilter import Prefilter
from streamproc.engine.program import Program, record_clauses
from streamproc.eql.compiler import CompileOptions, compile_event_query
from streamproc.eql.nodes import Call, Literal, Membership, PatternMatch, Query
from streamproc.eql.parser import parse_query
from streamproc.eql.printer import print_query
from streamproc.ruleset.garbage import collection_paused
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.validate import event_queries

ROOT = Path(__file__).resolve().parents[1]
RULES = 1_000
ROUNDS = 3

_QUERY = re.compile(r"^query = ('''|\"\"\").*?\1$", re.DOTALL | re.MULTILINE)
_RULE_ID = re.compile(r'^rule_id = ".*"$', re.MULTILINE)
_Made = TypeVar("_Made")


def main(folder: Path, wanted: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        written = rule_files(folder, Path(scratch), wanted)
        rounds = [load(Path(scratch)) for _ in range(ROUNDS)]
        load_s, program_s, loaded = min(rounds, key=lambda item: item[0] + item[1])
        if loaded != written:
            raise SystemExit(f"{written} rules were written and {loaded} loaded")
        print(f"{loaded} rules of {folder.name}: {load_s + program_s:.2f} s of CPU")
        print(f"  {load_s:7.2f} s  load_rules\n  {program_s:7.2f} s  Program\nof which")
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, seconds in stages(Path(scratch)):
                best[name] = min(seconds, best.get(name, seconds))
        for name, seconds in best.items():
            print(f"  {seconds:7.2f} s  {name}")


def load(folder: Path) -> tuple[float, float, int]:
    """CPU seconds of loading, of the program, and how many rules there are."""
    load_s, ruleset = timed(lambda: load_rules([folder]))
    program_s, program = timed(lambda: Program(ruleset))
    return load_s, program_s, len(program.rules)


def rule_files(folder: Path, scratch: Path, wanted: int) -> int:
    """Put as many rules into ``scratch``, originals first; return how many they are."""
    rules = load_rules([folder]).rules[:wanted]
    for number in range(wanted if len(rules) < wanted else len(rules)):
        rule = rules[number % len(rules)]
        target = scratch / f"{number:05}.toml"
        copy = number // len(rules)
        if copy:
            target.write_text(changed(Path(rule.path).read_text("utf-8"), rule.query, copy))
        else:
            shutil.copy(rule.path, target)
    found = load_rules([scratch])
    for error in found.rejected:
        (Path(error.path)).unlink()
    return len(found.rules)


def changed(text: str, query: Query, copy: int) -> str:
    """A rule file with another id and other constants."""
    printed = print_query(with_suffix(query, f"q{copy}"))
    delimiter = '"""' if "'''" in printed else "'''"
    text = _QUERY.sub(lambda _: f"query = {delimiter}\n{printed}\n{delimiter}", text)
    return _RULE_ID.sub(f'rule_id = "{uuid.uuid4()}"', text)


def with_suffix(node: Any, suffix: str) -> Any:
    """The tree with every text constant made another one; regular expressions stay."""
    match node:
        case PatternMatch(op=op) if op.startswith("regex"):
            return node
        case Call(name="cidrMatch"):
            return node
        case PatternMatch(patterns=constants):
            return replace(node, patterns=tuple(_longer(item, suffix) for item in constants))
        case Membership(values=constants):
            return replace(node, values=tuple(_longer(item, suffix) for item in constants))
        case tuple() if not hasattr(node, "_fields"):
            return tuple(with_suffix(item, suffix) for item in node)
    if is_dataclass(node) and not isinstance(node, type):
        parts = {part.name: with_suffix(getattr(node, part.name), suffix) for part in fields(node)}
        return replace(node, **parts)
    return node


def _longer(constant: Literal, suffix: str) -> Literal:
    if not isinstance(constant.value, str):
        return constant
    text = constant.value
    return replace(constant, value=text[:-1] + suffix + text[-1:])


def timed(make: Callable[[], _Made]) -> tuple[float, _Made]:
    """CPU seconds of this process, and what was made."""
    started = time.process_time()
    made = make()
    return time.process_time() - started, made


def stages(folder: Path) -> list[tuple[str, float]]:
    """Each stage's CPU seconds, in the order of the work."""
    rules = load_rules([folder]).rules
    parts = [(rule, query) for rule in rules for query in event_queries(rule.query.body)]
    options = CompileOptions(leaf_cache={})
    with collection_paused():
        read_s, contents = timed(lambda: [Path(rule.path).read_bytes() for rule in rules])
        toml_s, _ = timed(lambda: [tomli.loads(content.decode()) for content in contents])
        parse_s, _ = timed(lambda: [parse_query(rule.query_text) for rule in rules])
        compile_s, _ = timed(lambda: [compile_event_query(query, options) for _, query in parts])
        literals_s, clauses = timed(lambda: [record_clauses(*part) for part in parts])
        automaton_s, _ = timed(lambda: Prefilter(clauses))
    return [
        ("files read", read_s),
        ("TOML", toml_s),
        ("EQL parsed", parse_s),
        ("EQL compiled", compile_s),
        ("literals", literals_s),
        ("automaton", automaton_s),
    ]


def arguments() -> tuple[Path, int]:
    """Folder of rules and number of rules of the command line, or what stands in for them."""
    checkout = ROOT.parent / "shared" / "corpus" / "detection-rules"
    given = sys.argv[1:]
    folder = Path(given[0]) if given else checkout if checkout.is_dir() else ROOT / "rules"
    return folder, int(given[1]) if given[1:] else RULES


if __name__ == "__main__":
    main(*arguments())
