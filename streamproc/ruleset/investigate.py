"""The queries that a rule's guide asks an analyst to run, read from both forms that exist.

A rule file carries them as ``[[transform.investigate]]`` tables, to which its note points with
``$investigate_0``; a rule as Kibana shows it carries ``!{investigate{...json...}}`` inside the
note. Both mean the same, so the same block in both forms is one query.

Law of the file: what upstream gets wrong (a pointer to a table that is not there, a window of no
length, a bound left out) becomes a warning or a null, never a lost rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

QUERY_TYPES = frozenset({"phrase", "phrases", "exists", "range", "boolean"})

_OPENING = "!{investigate"


@dataclass(frozen=True, slots=True)
class Provider:
    """One condition of an investigate query.

    Attributes:
        field: The field compared.
        query_type: One of QUERY_TYPES.
        value: What to compare with, always as text (the JSON of a list or an object); it may
            hold ``{{field}}`` placeholders.
        value_type: As the source says, usually ``string``.
        is_excluded: Whether the condition is negated.
    """

    field: str
    query_type: str = "phrase"
    value: str = ""
    value_type: str = "string"
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Investigation:
    """One investigate query: groups of providers, ANDed inside a group, ORed between groups.

    Attributes:
        label: The title shown to the analyst.
        description: More words; usually empty.
        providers: The groups.
        relative_from: Start in Elasticsearch date math, such as ``now-48h/h``; None: open.
        relative_to: End in date math; None: open.
    """

    label: str
    description: str
    providers: tuple[tuple[Provider, ...], ...]
    relative_from: str | None
    relative_to: str | None


class InvestigationError(ValueError):
    """A block that cannot be read as an investigate query; the message says why."""


def read_investigation(block: Any) -> Investigation:
    """Read one block, already decoded from TOML or JSON.

    Raises:
        InvestigationError: It is no block, or a provider has a query type that is not known.
    """
    if not isinstance(block, Mapping):
        raise InvestigationError("an investigate block must be a table")
    groups = block.get("providers", [])
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise InvestigationError("providers must be a list of lists")
    providers = tuple(tuple(_read_provider(item) for item in group) for group in groups if group)
    if not providers:
        raise InvestigationError("an investigate block needs at least one provider")
    return Investigation(
        label=_text(block.get("label")) or "",
        description=_text(block.get("description")) or "",
        providers=providers,
        relative_from=_text(block.get("relativeFrom")),
        relative_to=_text(block.get("relativeTo")),
    )


def render_note(note: str, transform: Mapping[str, Any]) -> str:
    """Return a note with its ``$investigate_0`` and ``$osquery_0`` pointers replaced.

    A number counts the tables of that kind in the file. A pointer without a table stays as it
    stands, and so does any other dollar sign.
    """
    rendered = {
        f"{kind}_{position}": f"!{{{kind}{_compact(block)}}}"
        for kind in ("investigate", "osquery")
        for position, block in enumerate(_tables(transform, kind))
    }
    return Template(note).safe_substitute(rendered) if rendered else note


def read_investigations(
    transform: Mapping[str, Any], note: str
) -> tuple[tuple[Investigation, ...], list[str]]:
    """Return a rule's queries and what was wrong with those left out.

    Those of ``[[transform.investigate]]`` come first, in the order of the file, then those that
    stand only in the note.

    Args:
        transform: The rule file's ``[transform]`` table, empty if it has none.
        note: The note, rendered or not.
    """
    found: list[Investigation] = []
    faults: list[str] = []
    for position, block in enumerate(_tables(transform, "investigate")):
        try:
            found.append(read_investigation(block))
        except InvestigationError as error:
            faults.append(f"transform.investigate[{position}]: {error}")
    blocks, broken = _blocks_of_note(note)
    faults += broken
    for block in blocks:
        try:
            investigation = read_investigation(block)
        except InvestigationError as error:
            faults.append(f"investigate block in note: {error}")
            continue
        if investigation not in found:
            found.append(investigation)
    return tuple(found), list(dict.fromkeys(faults))


def _tables(transform: Mapping[str, Any], kind: str) -> Sequence[Any]:
    tables = transform.get(kind, [])
    return tables if isinstance(tables, list) else []


def _read_provider(item: Any) -> Provider:
    if not isinstance(item, Mapping) or not isinstance(item.get("field"), str):
        raise InvestigationError("a provider must be a table with a field")
    query_type = item.get("queryType", "phrase")
    if query_type not in QUERY_TYPES:
        raise InvestigationError(
            f"queryType {query_type!r} is not one of {', '.join(sorted(QUERY_TYPES))}"
        )
    value = item.get("value")
    return Provider(
        field=item["field"].strip(),
        query_type=query_type,
        value="" if value is None else value if isinstance(value, str) else _compact(value),
        value_type=_text(item.get("valueType")) or "string",
        is_excluded=item.get("excluded") is True,
    )


def _blocks_of_note(note: str) -> tuple[list[Any], list[str]]:
    blocks: list[Any] = []
    faults: list[str] = []
    decoder = json.JSONDecoder()
    start = note.find(_OPENING)
    while start >= 0:
        at = start + len(_OPENING)
        try:
            block, end = decoder.raw_decode(note, at)
            blocks.append(block)
        except (ValueError, RecursionError) as error:
            faults.append(f"investigate block in note, character {start}: {error}")
            end = at
        start = note.find(_OPENING, end)
    return blocks, faults


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _compact(value: Any) -> str:
    # Elastic's own build renders blocks in this form: sorted keys, no spaces.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
