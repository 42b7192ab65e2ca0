"""SUPPORTED_EQL.md: what of EQL can be used where, from the code and from what its examples do.

``python -m tests.docs.supported_eql`` writes it anew, and counts the rules of a detection-rules
checkout if one lies beside the repository; ``test_supported_eql.py`` fails while it is stale.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from streamproc.config import Settings
from streamproc.engine.sequence_rules import SPAN_DEFAULT_MS
from streamproc.eql import EqlSyntaxError, compile_query
from streamproc.eql.checks import MAX_DEPTH, MAX_RUNS
from streamproc.eql.compiler import COMBINATIONS_MAX, CompileOptions
from streamproc.eql.lexer import QUOTED_IDENTIFIER, tokenize
from streamproc.eql.lucene_syntax import MAX_PATTERN_LENGTH
from streamproc.eql.nodes import Call, EventQuery
from streamproc.eql.sequence import JOIN_KEYS_MAX
from streamproc.eql.signatures import SIGNATURES
from streamproc.ruleset import load_rules
from streamproc.ruleset.validate import QueryFault, check_query
from tests.docs.eql_entries import CLAUSES, DEVIATIONS, FUNCTIONS, OPERATORS, Entry

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "SUPPORTED_EQL.md"
COUNTS = Path(__file__).with_name("corpus_counts.json")
CHECKOUT = ROOT.parent / "shared" / "corpus" / "detection-rules"

INTRODUCTION = """\
# Supported EQL

Written by `python -m tests.docs.supported_eql`; a test fails while it is stale, and runs every
example.

The language is Elasticsearch's EQL of 8.x and 9.x. Where nothing else is said, a form means what
it means there: an event matches or it does not, `not` is the exact complement (true where a field
has no value), and a condition on a field with several values is true if any of them satisfies it.

*Rules* is how many rules use the form, of {rules} EQL rules of Elastic's ({singles} of one event,
{sequences} sequences). *In rules* says whether a rule file may use it; `streamproc query` and
`compile_query(...).search(events)` take whatever is not refused there, too.
"""
FUNCTIONS_HEAD = """\
## Functions

A name may be written in any case. With `~` a function ignores ASCII case.
"""


def render() -> str:
    """The whole document."""
    counts = json.loads(COUNTS.read_text())
    parts = [
        INTRODUCTION.format(**counts["of"]),
        "## Clauses\n",
        _table(CLAUSES, counts["uses"]),
        "## Operators\n",
        _table(OPERATORS, counts["uses"]),
        FUNCTIONS_HEAD,
        _table(FUNCTIONS, counts["uses"], with_arguments=True),
        "## Where it differs from Elasticsearch\n",
        _deviations(),
        _limits(),
    ]
    return "\n".join(parts)


def status(query: str) -> str:
    """What becomes of a query: in the words of whoever refuses it."""
    try:
        compiled = compile_query(query)
    except EqlSyntaxError as error:
        return f"refused: {error.message}"
    checked = check_query(query, CompileOptions())
    if not isinstance(checked, QueryFault):
        return "yes"
    try:
        compiled.search([])
    except NotImplementedError as error:
        return f"refused: {checked.reason}; and elsewhere: {error}"
    return f"refused: {checked.reason}; elsewhere yes"


def _table(
    entries: tuple[Entry, ...], uses: dict[str, int], *, with_arguments: bool = False
) -> str:
    lines = [
        "| Form | Meaning | In rules | Rules | Example | finds | but not |",
        "| --- | --- | --- | ---: | --- | --- | --- |",
    ]
    for entry in entries:
        form = _arguments(entry.names[0]) if with_arguments else ", ".join(map(_code, entry.names))
        used = uses.get(entry.names[0], 0)
        cells = [form, entry.meaning, status(entry.query), str(used), _code(entry.query)]
        cells += [_events(entry, entry.hits), _events(entry, entry.misses)]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _events(entry: Entry, events: tuple[dict[str, Any], ...]) -> str:
    if len(events) > 1 and not is_single(entry):
        # Of a sequence of letters the letters say enough.
        plain = [event["event.category"] for event in events if len(event) == 3]
        if len(plain) == len(events):
            seconds = (events[1]["@timestamp"] - events[0]["@timestamp"]) // 1_000
            return f"{', '.join(plain)}, {seconds} s apart"
    return ", ".join(_code(json.dumps(event)) for event in events)


def is_single(entry: Entry) -> bool:
    """Whether the example is a query of one event."""
    return isinstance(compile_query(entry.query).query.body, EventQuery)


def _arguments(name: str) -> str:
    signature = SIGNATURES[name.lower()]
    least, most = signature.min_args, signature.max_args
    count = (
        f"{least}"
        if least == most
        else f"{least} or more"
        if most is None
        else f"{least} to {most}"
    )
    tilde = f", `{name}~`" if signature.takes_tilde else ""
    return f"`{name}`{tilde} ({count} argument{'s' * (count != '1')})"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    blank = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def _deviations() -> str:
    settings = Settings()
    lines = [f"{entry.meaning} Example: {_code(entry.query)}." for entry in DEVIATIONS]
    lines += [
        f"A sequence waits for late events: `lateness_s`, {settings.lateness_s:g} s unless set, "
        "for each host by its own clock, bounded by the broker's. An event that is later takes no "
        "part, and is counted. Over a file, `streamproc query` puts all events in order first.",
        "A sequence without `maxspan` has in a rule one of `sequence_span_default_s`, "
        f"{SPAN_DEFAULT_MS // 3_600_000} h unless set.",
        "A sequence that is not joined by host is loaded with a warning: events on different "
        "partitions are not seen together.",
        "Not applied: `null_value` of a mapping, runtime fields. `version` fields are ordered as "
        "such only where a library's user declares them with `field_types`.",
    ]
    return "".join(f"- {line}\n" for line in lines)


def _limits() -> str:
    settings = Settings()
    refused = "the query is refused"
    rows = [
        (
            "combinations of values that one condition on several fields tries on an event",
            COMBINATIONS_MAX,
            "it is false",
        ),
        ("join keys that one event has at one step", JOIN_KEYS_MAX, "further ones are left out"),
        (
            "join keys kept for one rule (`sequence_rule_keys_max`)",
            settings.sequence_rule_keys_max,
            "the oldest goes, and is counted",
        ),
        (
            "join keys kept by a worker (`sequence_keys_max`)",
            settings.sequence_keys_max,
            "the oldest of the largest rule goes, and is counted",
        ),
        (
            "events that wait for the lateness (`sequence_waiting_max`)",
            settings.sequence_waiting_max,
            "the earliest is released early, and is counted",
        ),
        ("levels of nesting in a condition", MAX_DEPTH, refused),
        ("`runs` of a step", MAX_RUNS, refused),
        ("characters of a regular expression", MAX_PATTERN_LENGTH, refused),
    ]
    lines = ["## Limits\n", "So that no event and no rule holds up a worker.\n"]
    lines += ["| Of | At most | Beyond it |", "| --- | ---: | --- |"]
    lines += [f"| {of} | {most:,} | {beyond} |" for of, most, beyond in rows]
    return "\n".join(lines) + "\n"


def count_corpus() -> dict[str, Any]:
    """How many rules of the checkout use each form; the rules themselves stay where they are."""
    ruleset = load_rules([CHECKOUT])
    uses: Counter[str] = Counter()
    entries = (*CLAUSES, *OPERATORS, *FUNCTIONS)
    for rule in ruleset.rules:
        forms = forms_of(rule.query_text, rule.query)
        uses.update(entry.names[0] for entry in entries if not forms.isdisjoint(entry.names))
    for error in ruleset.rejected:
        uses.update(word for word in ("sample", "head", "tail") if f"{word}`" in error.reason)
    sequences = sum(rule.is_sequence for rule in ruleset.rules)
    singles = len(ruleset.rules) - sequences
    of = {"rules": len(ruleset.rules), "singles": singles, "sequences": sequences}
    return {"of": of, "uses": dict(sorted(uses.items()))}


def forms_of(text: str, query: Any) -> set[str]:
    """The names of all entries that a query uses."""
    tokens = tokenize(text)
    found = {token.kind for token in tokens if token.value is None}
    found |= {"runs"} if any(token.value == "runs" for token in tokens) else set()
    found |= {"?field"} if "?" in found else set()
    found |= {"`field`"} if any(token.kind == QUOTED_IDENTIFIER for token in tokens) else set()
    found |= {'"""'} if any(text.startswith('"""', token.start) for token in tokens) else set()
    found |= {"//"} if _has_comment(text, tokens) else set()
    return found | set(_functions(query))


def _has_comment(text: str, tokens: list[Any]) -> bool:
    ends = [0, *(token.end for token in tokens)]
    starts = [*(token.start for token in tokens), len(text)]
    return any("/" in text[end:start] for end, start in zip(ends, starts, strict=True))


def _functions(node: Any) -> list[str]:
    own = [node.name] if isinstance(node, Call) else []
    if isinstance(node, tuple):
        return [name for part in node for name in _functions(part)]
    slots = getattr(type(node), "__dataclass_fields__", {})
    return own + [name for part in slots for name in _functions(getattr(node, part))]


if __name__ == "__main__":
    if CHECKOUT.is_dir():
        COUNTS.write_text(json.dumps(count_corpus(), indent=1) + "\n")
    DOCUMENT.write_text(render())
