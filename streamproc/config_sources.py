"""Where the values of the settings come from, and which of several wins.

The command line wins over ``STREAMPROC_*`` environment variables, these win over the TOML file,
and that wins over the default. Law of the file: a name or value that is not understood stops the
program with one message that says where it was written; nothing is ignored in silence, and no
secret is ever shown.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from streamproc.config import SECRETS, SHIPPED_RULES, Settings, secret_of
from streamproc.errors import ConfigError

PREFIX = "STREAMPROC_"
CONFIG_VARIABLE = "STREAMPROC_CONFIG"
FILE_SUFFIX = "_file"
MASK = "********"
SHOWN_LENGTH_MAX = 80  # characters of a wrong value in a message
PATH_SETTINGS = frozenset({"rules", "ssl_ca_file", "ssl_certificate_file", "ssl_key_file"})
SECRET_FILE_SETTINGS = frozenset(name + FILE_SUFFIX for name in SECRETS)

# Kubernetes gives every container of a namespace such variables for each Service in it, so for
# one named "streamproc-metrics" STREAMPROC_METRICS_PORT=tcp://10.0.0.1:9464: not meant for us.
KUBERNETES_VARIABLE = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)
KUBERNETES_VALUE = re.compile(r"(tcp|udp|sctp)://")
# The test suite's own variables (which broker to test against).
TEST_PREFIX = "STREAMPROC_TEST_"


@dataclass(frozen=True)
class EffectiveSettings:
    """The settings in force, and where each came from.

    Attributes:
        settings: The values.
        origins: Setting name -> ``default``, the variable, ``file:line`` or the option.
    """

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True)
class Given:
    """A value as somebody gave it, before it is understood."""

    value: Any
    origin: str
    secret_file: Path | None = None


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    config_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> EffectiveSettings:
    """Read all sources and check what they say.

    Args:
        overrides: Setting name -> value from the command line; None values were not given.
        config_path: The TOML file; None takes the one that ``STREAMPROC_CONFIG`` names, if any.
        environ: Environment variables; None takes the process's.

    Raises:
        ConfigError: A name is unknown or a value is wrong. All problems found, one a line.
    """
    environ = os.environ if environ is None else environ
    if config_path is None and environ.get(CONFIG_VARIABLE):
        config_path = Path(environ[CONFIG_VARIABLE])
    # Weakest first: a later source replaces what an earlier one gave.
    sources = [
        _from_file(config_path) if config_path is not None else {},
        _from_environment(environ),
        _from_command_line(overrides or {}),
    ]
    given: dict[str, Given] = {}
    for source in sources:
        given.update(_with_secrets_read(source))
    settings = _validated(given)
    for name, entry in given.items():
        if entry.secret_file is not None:
            settings.secret_files[name] = entry.secret_file
    origins = {
        name: given[name].origin if name in given else "default" for name in Settings.model_fields
    }
    if problems := settings.problems():
        raise ConfigError(
            "\n".join(
                f"{name} (from {origins[name]}): {reason}"
                if origins[name] != "default"
                else f"{name}: {reason}"
                for name, reason in problems
            )
        )
    return EffectiveSettings(settings, origins)


def allowed_values(name: str) -> str:
    """What a value of the setting must be, in words: ``1 to 100000 records``."""
    field = Settings.model_fields[name]
    if choices := _choices(field.annotation):
        return f"one of {', '.join(choices)}"
    low, high = _bound(field, "ge"), _bound(field, "le")
    unit = setting_unit(name)
    if low is not None and high is not None:
        return f"{low} to {high} {unit}".rstrip()
    return _kind(field.annotation)


def setting_unit(name: str) -> str:
    """Unit of the setting's value; "" if it has none."""
    extra = Settings.model_fields[name].json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def variable_name(setting: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + setting.upper()


def _from_file(path: Path) -> dict[str, Given]:
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    lines = _lines_of_keys(text)
    origins = {key: f"{path}:{lines.get(key, 1)}" for key in table}
    _refuse_unknown((key, key, origins[key]) for key in table)
    folder = path.parent
    return {
        key: Given(_relative_to(folder, value) if _is_path(key) else value, origins[key])
        for key, value in table.items()
    }


def _is_path(name: str) -> bool:
    return name in PATH_SETTINGS or name in SECRET_FILE_SETTINGS


def _relative_to(folder: Path, value: Any) -> Any:
    """Paths in a file are meant from the file's own folder, wherever the program is started."""
    if isinstance(value, list):
        return [_relative_to(folder, item) for item in value]
    return str(folder / value) if isinstance(value, str) and value != SHIPPED_RULES else value


def _lines_of_keys(text: str) -> dict[str, int]:
    """Line, counted from 1, of each top-level key or table; a guess in odd TOML."""
    lines: dict[str, int] = {}
    in_table = False
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r'\s*\[+\s*"?([\w-]+)', line)
        in_table = in_table or header is not None
        key = header or (None if in_table else re.match(r'\s*["\']?([\w-]+)["\']?\s*[.=]', line))
        if key:
            lines.setdefault(key.group(1), number)
    return lines


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    # An empty variable is one not given: templates of containers and charts leave such behind.
    ours = {
        variable: value
        for variable, value in environ.items()
        if variable.startswith(PREFIX) and value and not _is_foreign(variable, value)
    }
    names = {variable: variable.removeprefix(PREFIX).lower() for variable in ours}
    _refuse_unknown((variable, names[variable], "the environment") for variable in sorted(ours))
    return {
        names[variable]: Given(_parsed(names[variable], value, variable), variable)
        for variable, value in ours.items()
    }


def _is_foreign(variable: str, value: str) -> bool:
    if variable == CONFIG_VARIABLE or variable.startswith(TEST_PREFIX):
        return True
    if KUBERNETES_VARIABLE.search(variable):
        return True
    return variable.endswith("_PORT") and KUBERNETES_VALUE.match(value) is not None


def _parsed(name: str, text: str, variable: str) -> Any:
    """The value in a variable's text; numbers and the like are left to the validation."""
    if name == "rules":
        return [path.strip() for path in text.split(",") if path.strip()]
    if name == "kafka_options":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            # Without the value: it may hold a password.
            raise ConfigError(
                f"kafka_options (from {variable}): must be a JSON object: {error.msg}"
                f" at character {error.pos + 1}"
            ) from None
    return text


def _from_command_line(overrides: Mapping[str, Any]) -> dict[str, Given]:
    _refuse_unknown((name, name, "the command line") for name in overrides)
    return {
        name: Given(value, f"--{name.replace('_', '-')}")
        for name, value in overrides.items()
        if value is not None and value != ()
    }


def _refuse_unknown(names: Iterable[tuple[str, str, str]]) -> None:
    """Raise for names that no setting has: (as written, as a setting's name, origin) each."""
    valid = [*Settings.model_fields, *sorted(SECRET_FILE_SETTINGS)]
    problems = []
    for written, name, origin in names:
        if name in valid:
            continue
        nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
        hint = "'streamproc config' lists all settings"
        if nearest:
            meant = variable_name(nearest[0]) if written.startswith(PREFIX) else nearest[0]
            hint = f"did you mean {meant}?"
        problems.append(f"{written} (from {origin}): there is no such setting; {hint}")
    if problems:
        raise ConfigError("\n".join(problems))


def _with_secrets_read(source: Mapping[str, Given]) -> dict[str, Given]:
    """The source, its ``<secret>_file`` entries replaced by what the files hold."""
    result = dict(source)
    for name in SECRETS:
        named = result.pop(name + FILE_SUFFIX, None)
        if named is None:
            continue
        if name in result:
            raise ConfigError(
                f"{name}: given twice, by {result[name].origin} and by {named.origin}"
            )
        try:
            path = Path(named.value)
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, TypeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text file"
            raise ConfigError(
                f"{name}{FILE_SUFFIX} = {named.value} (from {named.origin}):"
                f" cannot be read: {reason}"
            ) from None
        result[name] = Given(secret_of(text), f"{named.origin} ({named.value})", path)
    return result


def _validated(given: Mapping[str, Given]) -> Settings:
    try:
        return Settings.model_validate({name: entry.value for name, entry in given.items()})
    except ValidationError as error:
        # Several faults inside one value are one problem of one setting.
        faults = {str(fault["loc"][0]): fault["msg"] for fault in reversed(error.errors())}
        raise ConfigError(
            "\n".join(_wrong_value(name, given[name], faults[name]) for name in sorted(faults))
        ) from None


def _wrong_value(name: str, entry: Given, fault: str) -> str:
    shown = MASK if name in SECRETS or name == "kafka_options" else str(entry.value)
    if len(shown) > SHOWN_LENGTH_MAX:
        shown = shown[:SHOWN_LENGTH_MAX] + "..."
    expected = allowed_values(name) or fault
    return f"{name} = {shown} (from {entry.origin}): must be {expected}"


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(str(choice) for choice in get_args(annotation))
    return ("true", "false") if annotation is bool else ()


def _bound(field: FieldInfo, kind: str) -> Any:
    for limit in field.metadata:
        value = getattr(limit, kind, None)
        if value is not None:
            return value
    return None


def _kind(annotation: Any) -> str:
    """What a setting without choices and bounds takes, in words."""
    text = str(annotation)
    if "dict" in text:
        return "a table of option names and their text, number or boolean values"
    if "tuple" in text:
        return "one or more paths"
    if "Path" in text:
        return "a path"
    return "text that is not empty"
