"""Rule files in Elastic's detection-rules TOML format -> rules, and every error found.

Law of the file: loading never stops at a broken file and never raises for one. Each fault comes
back with path, line and column, whether TOML, a key or the query is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import tomli

from streamproc.eql import nodes
from streamproc.eql.compiler import CompileOptions, Leaf
from streamproc.errors import RuleError
from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.datemath import DateMathError, parse_date_math
from streamproc.ruleset.garbage import collection_paused
from streamproc.ruleset.investigate import Investigation, read_investigations, render_note
from streamproc.ruleset.places import Place, syntax_place, value_place
from streamproc.ruleset.rule import (
    DEFAULT_EVENT_CATEGORY_FIELD,
    DEFAULT_FROM,
    DEFAULT_INTERVAL,
    DEFAULT_MAX_SIGNALS,
    DEFAULT_TIMESTAMP_FIELD,
    SEVERITIES,
    Rule,
)
from streamproc.ruleset.ruleset import RuleSet, Skipped, build_ruleset
from streamproc.ruleset.sources import RuleFile, find_rule_files, fingerprint
from streamproc.ruleset.table import RuleTable
from streamproc.ruleset.validate import CheckedQuery, QueryFault, check_query, sequence_warning

VERSION_MAX = 2**31 - 1
MAX_SIGNALS_MAX = 1_000_000

# Line breaks mean something in these; everywhere else Elastic's build joins the lines.
_KEPT_AS_WRITTEN = frozenset({"query", "note", "setup"})
# What a rule may ask for and an alert of ours does not do. None stands in an EQL rule of Elastic's.
_NOT_APPLIED = (
    "severity_mapping",
    "risk_score_mapping",
    "rule_name_override",
    "filters",
    "alert_suppression",
    "data_view_id",
)
_DATE = re.compile(r"(\d{4})[/-](\d{2})[/-](\d{2})$")

# Stands in for a query that could not be read until its rule is given up.
_NOTHING = nodes.Query(nodes.EventQuery(None, nodes.Literal(value=False)))

Progress: TypeAlias = Callable[[int, int], None]
Leaves: TypeAlias = dict[Any, Leaf]


def load_rules(
    paths: Sequence[Path], progress: Progress | None = None, breathe: Breathe = go_on
) -> RuleSet:
    """Read files, folders and detection-rules checkouts.

    Args:
        paths: What to read, in any mixture.
        progress: Called after each file with the number of files done and the number of all.
        breathe: Called between any two steps, each of which is about one file.

    Returns:
        Every rule that can run, and all that was rejected, skipped or odd.
    """
    rules: list[Rule] = []
    errors: list[RuleError] = []
    skipped: list[Skipped] = []
    warnings: list[str] = []
    before = fingerprint(paths, breathe)
    files = find_rule_files(paths, errors, skipped, breathe)
    leaves: Leaves = {}
    with collection_paused():
        for done, file in enumerate(files, 1):
            outcome = _load_file(file, warnings, leaves)
            if isinstance(outcome, Rule):
                rules.append(outcome)
            elif isinstance(outcome, Skipped):
                skipped.append(outcome)
            else:
                errors += outcome
            breathe()
            if progress:
                progress(done, len(files))
    if not files and not errors:
        warnings.append(f"{', '.join(str(path) for path in paths)}: no rule files found")
    ruleset = build_ruleset(rules, errors, skipped, warnings, breathe)
    return replace(ruleset, fingerprint=before)


def read_rule(
    path: str,
    text: str,
    versions: Mapping[str, int],
    warnings: list[str],
    leaves: Leaves | None = None,
) -> Rule | Skipped | list[RuleError]:
    """Read one rule from the text of its file.

    Args:
        path: The file's name, for messages.
        text: TOML.
        versions: Rule id to version, where a lock file says so.
        warnings: Sentences about the rule are added here.
        leaves: Shared by rules that are compiled together: equal conditions become one.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        place, reason = syntax_place(error, text)
        return [RuleError(path, f"not TOML: {reason}", *place)]
    except RecursionError:
        return [RuleError(path, "not TOML: nested too deep")]
    table = RuleTable(path, text, document)
    if not table.errors:
        skip_reason = _skip_reason(table, path)
        if skip_reason:
            return Skipped(path, skip_reason)
    rule = None if table.errors else _build_rule(table, versions, warnings, leaves)
    return rule if rule and not table.errors else table.errors


def rule_from_query(
    query: str, *, rule_id: str = "test", severity: str = "low", risk_score: int = 21, **keys: Any
) -> Rule:
    """Make a rule of an EQL query alone, without a file; ``keys`` are further keys of [rule].

    Raises:
        RuleError: The query or a key is wrong.
    """
    keys = {"name": rule_id, "description": rule_id} | keys
    keys |= {"rule_id": rule_id, "severity": severity, "risk_score": risk_score, "query": query}
    table = RuleTable("<memory>", "", {"rule": keys})
    rule = _build_rule(table, {}, [], None)
    if rule is None or table.errors:
        raise table.errors[0]
    return rule


def _load_file(
    file: RuleFile, warnings: list[str], leaves: Leaves
) -> Rule | Skipped | list[RuleError]:
    path = str(file.path)
    try:
        content = file.path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        return [RuleError(path, f"cannot be read: {error.strerror or error}")]
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return [RuleError(path, f"not UTF-8: {error.reason}", line, column)]
    return read_rule(path, text, file.versions, warnings, leaves)


def _skip_reason(table: RuleTable, path: str) -> str | None:
    """Say why a rule that is well formed is none of ours; None if it is."""
    rule_type = table.rule.get("type")
    language = table.rule.get("language", "eql")
    if table.metadata.get("maturity") == "deprecated" or "_deprecated" in Path(path).parts:
        return "deprecated"
    if isinstance(rule_type, str) and rule_type != "eql":
        return f"rule type {rule_type}"
    if isinstance(language, str) and language != "eql":
        return f"language {language}"
    if table.rule.get("enabled") is False:
        return "disabled: enabled = false"
    return None


def _build_rule(
    table: RuleTable, versions: Mapping[str, int], warnings: list[str], leaves: Leaves | None
) -> Rule | None:
    """Build the rule; faults go to ``table.errors``. None if the query cannot run."""
    if "type" not in table.rule and table.text:
        table.fault("rule.type is missing", "rule", "type")
    elif not isinstance(table.rule.get("type", "eql"), str):
        table.fault("rule.type must be a string", "rule", "type")
    version = table.number("version", 1, VERSION_MAX, 1)
    rule_id = table.text_of("rule_id", is_required=True)
    note = render_note(table.text_of("note"), table.transform)
    investigate, faults = read_investigations(table.transform, note)
    event_category_field = table.optional_text("event_category_override")
    query_text = table.text_of("query", is_required=True)
    checked = _check(
        table,
        query_text,
        CompileOptions(
            event_category_field=event_category_field or DEFAULT_EVENT_CATEGORY_FIELD,
            leaf_cache=leaves,
        ),
    )
    version = versions.get(rule_id, version)
    rule = Rule(
        rule_id=rule_id,
        name=_joined(table.text_of("name", is_required=True)),
        version=version,
        path=table.path,
        query_text=query_text,
        query=checked.query if checked else _NOTHING,
        severity=table.choice("severity", SEVERITIES),
        risk_score=table.number("risk_score", 0, 100, None),
        event_category_field=event_category_field or DEFAULT_EVENT_CATEGORY_FIELD,
        note=note,
        investigate=investigate,
        created_at=_date(table.metadata.get("creation_date")),
        updated_at=_date(table.metadata.get("updated_date")),
        min_stack_version=_text_or_none(table.metadata.get("min_stack_version")),
        parameters=_parameters(_one_line(table.rule), version),
        matchers=checked.matchers if checked else (),
        **_optional_keys(table),
    )
    if checked is None or table.errors:
        return None
    warnings += [f"{table.path}: {text}" for text in [*faults, *_odd(rule, table.rule)]]
    return rule


def _optional_keys(table: RuleTable) -> dict[str, Any]:
    """Read the keys that are passed on as they stand, or nearly; each has a default."""
    return {
        "description": _joined(table.text_of("description")),
        "tags": table.texts("tags"),
        "author": table.texts("author"),
        "license": table.text_of("license"),
        "references": table.texts("references"),
        "false_positives": tuple(_joined(text) for text in table.texts("false_positives")),
        "threat": tuple({"technique": [], **entry} for entry in _one_line(table.tables("threat"))),
        "setup": table.text_of("setup"),
        "from_": table.optional_text("from") or DEFAULT_FROM,
        "to": table.optional_text("to") or "now",
        "interval": table.optional_text("interval") or DEFAULT_INTERVAL,
        "max_signals": table.number("max_signals", 1, MAX_SIGNALS_MAX, DEFAULT_MAX_SIGNALS),
        "indices": table.texts("index"),
        "building_block_type": table.optional_text("building_block_type"),
        "timestamp_override": table.optional_text("timestamp_override"),
        "timestamp_field": table.optional_text("timestamp_field") or DEFAULT_TIMESTAMP_FIELD,
        "tiebreaker_field": table.optional_text("tiebreaker_field"),
        "investigation_fields": _field_names(table.rule.get("investigation_fields", {})),
        "severity_mapping": table.tables("severity_mapping"),
        "risk_score_mapping": table.tables("risk_score_mapping"),
        "rule_name_override": table.optional_text("rule_name_override"),
        "timeline_id": table.optional_text("timeline_id"),
        "timeline_title": table.optional_text("timeline_title"),
        "exceptions_list": table.tables("exceptions_list"),
    }


def _check(table: RuleTable, text: str, options: CompileOptions) -> CheckedQuery | None:
    if not text:
        return None
    checked = check_query(text, options)
    if isinstance(checked, QueryFault):
        place = Place(0, 0)
        if table.text:
            place = value_place(table.text, checked.offset, "rule", "query")
        table.fault(checked.reason, "rule", "query", place=place)
        return None
    return checked


def _odd(rule: Rule, table: Mapping[str, Any]) -> list[str]:
    """Sentences about a rule that runs, though not quite as its author may think."""
    found = [f"rule.{key} is not applied" for key in _NOT_APPLIED if table.get(key)]
    if not rule.description:
        found.append("rule.description is missing")
    if isinstance(rule.query.body, nodes.Sequence):
        by_host = sequence_warning(rule.query.body)
        found += [by_host] if by_host else []
    found += [fault for block in rule.investigate for fault in _bound_faults(block)]
    return found


def _bound_faults(block: Investigation) -> list[str]:
    faults = []
    for bound in (block.relative_from, block.relative_to):
        if bound is not None:
            try:
                parse_date_math(bound)
            except DateMathError as error:
                faults.append(f"investigate query {block.label!r}: {error}")
    return faults


def _parameters(normal: dict[str, Any], version: int) -> dict[str, Any]:
    # The note stands in the alert on its own, and is by far the longest part of a rule.
    defaults = {
        "type": "eql",
        "language": "eql",
        "from": DEFAULT_FROM,
        "to": "now",
        "interval": DEFAULT_INTERVAL,
        "max_signals": DEFAULT_MAX_SIGNALS,
    }
    return defaults | {key: normal[key] for key in normal if key != "note"} | {"version": version}


def _one_line(value: Any) -> Any:
    """Join the lines of every string below ``value``, save where line breaks mean something."""
    if isinstance(value, str):
        return _joined(value)
    if isinstance(value, list | tuple):
        return [_one_line(item) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key in _KEPT_AS_WRITTEN else _one_line(item) for key, item in value.items()
        }
    return value


def _joined(text: str) -> str:
    if text.isprintable():  # one line, as most are
        return text.strip()
    return " ".join(line.strip() for line in text.strip().splitlines())


def _field_names(fields: Any) -> tuple[str, ...]:
    names = fields.get("field_names", []) if isinstance(fields, Mapping) else []
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _date(value: Any) -> str | None:
    found = _DATE.match(str(value))
    return f"{found[1]}-{found[2]}-{found[3]}T00:00:00.000Z" if found else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
