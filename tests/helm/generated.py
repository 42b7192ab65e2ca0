"""The parts of the chart that are written by a program: its README and the schema of `settings`.

``python -m tests.helm.generated`` brings them up to date; ``test_values.py`` fails while they are
stale. The README's table is read off the comments of values.yaml, each of which opens with the
full name of its value; the schema of ``settings`` off the program's own list of settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from streamproc.config import Settings

CHART = Path(__file__).resolve().parents[2] / "helm" / "streamproc"
README = CHART / "README.md"
SCHEMA = CHART / "values.schema.json"
VALUES = CHART / "values.yaml"

COMMENT = re.compile(r"(?P<indent> *)# (?P<name>[A-Za-z][\w.]*) -- (?P<meaning>.+)")
KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]\w*):(?: (?P<value>.+))?$")
INDENT = 2  # spaces per level in values.yaml

# Settings that have a value of their own in the chart, or that it sets by itself.
OWNED_SETTINGS = frozenset(
    {
        "alerts_topic",
        "auto_offset_reset",
        "bootstrap_servers",
        "client_id",
        "context_requests_topic",
        "dead_letters_topic",
        "events_topic",
        "group_id",
        "group_instance_id",
        "kafka_options",
        "metrics_host",
        "metrics_port",
        "rules",
        "sasl_mechanism",
        "sasl_password",
        "sasl_username",
        "security_protocol",
        "sequence_state_topic",
        "ssl_ca_file",
        "ssl_certificate_file",
        "ssl_endpoint_identification",
        "ssl_key_file",
        "ssl_key_password",
    }
)
# What a setting's schema says that Helm can check; all else (titles, formats) is for people.
CHECKED = ("type", "enum", "const", "minimum", "maximum", "minLength", "maxLength")


class Value(NamedTuple):
    """One documented value: full name, meaning, and its default as the file has it."""

    name: str
    meaning: str
    default: str


def documented_values(text: str) -> Iterator[Value]:
    """Each value of values.yaml that has a comment, in the order of the file.

    Raises:
        ValueError: A comment does not open with the full name of the value below it.
    """
    lines = text.splitlines()
    path: list[str] = []
    for number, line in enumerate(lines):
        if not (key := KEY.fullmatch(line)):
            continue
        depth = len(key["indent"]) // INDENT
        path[depth:] = [key["key"]]
        if comment := COMMENT.fullmatch(lines[number - 1]):
            name = ".".join(path)
            if comment["name"] != name:
                raise ValueError(f"line {number}: '{comment['name']}' stands above {name}")
            yield Value(
                name, comment["meaning"], key["value"] or _block(lines[number + 1 :], depth)
            )


def undocumented_values(text: str) -> Iterator[str]:
    """Names of values that have neither a comment nor, if they are maps, documented parts."""
    documented = {value.name for value in documented_values(text)}
    path: list[str] = []
    for line in text.splitlines():
        if key := KEY.fullmatch(line):
            path[len(key["indent"]) // INDENT :] = [key["key"]]
            name = ".".join(path)
            above = {".".join(path[:depth]) for depth in range(1, len(path) + 1)}
            has_parts = any(other.startswith(name + ".") for other in documented)
            if not has_parts and not above & documented:
                yield name


def values_table(text: str) -> str:
    """The Markdown table of the chart's README."""
    rows = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
    for value in documented_values(text):
        meaning = value.meaning.replace("|", "\\|")
        rows.append(f"| `{value.name}` | `{value.default}` | {meaning} |")
    return "\n".join(rows) + "\n"


def settings_schema() -> dict[str, Any]:
    """The schema of the value ``settings``: the program's settings that the chart leaves to it."""
    properties = Settings.model_json_schema()["properties"]
    free = {name: setting for name, setting in properties.items() if name not in OWNED_SETTINGS}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _checked(setting) for name, setting in sorted(free.items())},
    }


def with_table(markdown: str, table: str) -> str:
    """The README with its table replaced; raises ValueError if its markers are missing."""
    between = re.compile(r"(<!-- values:begin -->\n).*?(<!-- values:end -->)", re.DOTALL)
    markdown, count = between.subn(lambda found: found[1] + table + found[2], markdown)
    if count != 1:
        raise ValueError(f"{count} places with the markers of values")
    return markdown


def with_settings(schema: bytes) -> bytes:
    """The chart's schema with its part for ``settings`` replaced."""
    whole = orjson.loads(schema)
    whole["properties"]["settings"] = settings_schema()
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _block(below: list[str], depth: int) -> str:
    """A default of several lines on one: the keys and items that are indented deeper."""
    inner = []
    for line in below:
        if len(line) - len(line.lstrip()) <= depth * INDENT:
            break
        inner.append(line.strip())
    return " ".join(inner)


def _checked(setting: dict[str, Any]) -> dict[str, Any]:
    """The setting's schema in draft-07; null takes a default of the chart back."""
    choices = [
        {key: choice[key] for key in CHECKED if key in choice}
        for choice in setting.get("anyOf", [setting])
    ]
    kinds = [choice for choice in choices if choice and choice.get("type") != "null"]
    if len(kinds) != 1:
        return {"type": ["string", "number", "integer", "boolean", "null"]}
    kind = kinds[0]
    if "enum" in kind:
        return {"enum": [*kind["enum"], None]}
    return {**kind, "type": [kind["type"], "null"]}


def write() -> None:
    """Bring both files up to date."""
    README.write_text(with_table(README.read_text(), values_table(VALUES.read_text())))
    SCHEMA.write_bytes(with_settings(SCHEMA.read_bytes()))


if __name__ == "__main__":
    write()
