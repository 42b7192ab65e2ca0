"""The settings shown: in force now (table or JSON), and as a reference (Markdown).

Law of the file: everything is drawn from ``Settings`` and ``EffectiveSettings``, so that no list
of settings is ever kept by hand, and secrets are masked in all of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from streamproc.config import Settings
from streamproc.config_sources import (
    MASK,
    EffectiveSettings,
    allowed_values,
    setting_unit,
    variable_name,
)

# An option of librdkafka with one of these in its name may hold a secret.
SECRET_WORDS = ("password", "secret", "key.pem", "token", "jaas", "oauthbearer.config")


class SettingRow(NamedTuple):
    """One setting as it is in force."""

    name: str
    value: Any
    unit: str
    origin: str
    meaning: str


def setting_rows(effective: EffectiveSettings) -> list[SettingRow]:
    """All settings in the order of ``Settings``; values fit for JSON, secrets masked."""
    return [
        SettingRow(
            name,
            _plain(getattr(effective.settings, name)),
            setting_unit(name),
            effective.origins[name],
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def plain_settings(settings: Settings) -> dict[str, Any]:
    """Setting to value as JSON can hold it, secrets masked."""
    return {name: _plain(getattr(settings, name)) for name in Settings.model_fields}


def render_settings_table(effective: EffectiveSettings) -> str:
    """Aligned columns for a terminal: setting, value with unit, origin, meaning."""
    lines = [("SETTING", "VALUE", "ORIGIN", "MEANING")]
    for row in setting_rows(effective):
        value = _text(row.value)
        lines.append((row.name, f"{value} {row.unit}".rstrip(), row.origin, row.meaning))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join([*(line[i].ljust(widths[i]) for i in range(3)), line[3]]) for line in lines
    )


def render_settings_json(effective: EffectiveSettings) -> str:
    """An object, setting name -> value, unit, origin, meaning."""
    rows = {
        row.name: {
            "value": row.value,
            "unit": row.unit,
            "origin": row.origin,
            "meaning": row.meaning,
        }
        for row in setting_rows(effective)
    }
    return json.dumps(rows, indent=2)


def render_reference() -> str:
    """A Markdown table of all settings: variable, default, allowed values, meaning."""
    lines = [
        "| Setting (TOML) | Environment variable | Default | Allowed | Meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        cells = [f"`{name}`", f"`{variable_name(name)}`", _default(name)]
        cells += [allowed_values(name), field.description or ""]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra.get("default_text"):
        return str(extra["default_text"])
    if field.default is None:
        return "none"
    return f"`{_text(field.default)}`"


def _plain(value: Any) -> Any:
    """The value as JSON can hold it, secrets masked."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {
            name: MASK if any(word in name for word in SECRET_WORDS) else option
            for name, option in value.items()
        }
    return value


def _text(value: Any) -> str:
    if value is None or value == {}:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
