"""Which rules a command works with: the option, the loading, and what is said about losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from streamproc.cli.console import count, counting_bar, warn
from streamproc.config import rules_path, shipped_rules_path
from streamproc.errors import ConfigError, InputError
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.ruleset import RuleSet

# A checkout in which everything is rejected has one cause; a screen full of it is enough.
_WARNINGS_MAX = 10

_Command = TypeVar("_Command", bound=Callable[..., Any])


def rules_option(command: _Command) -> _Command:
    """Add ``--rules PATH``, which may be repeated, as ``rules_paths``."""
    return click.option(
        "--rules",
        "rules_paths",
        multiple=True,
        metavar="PATH",
        help="A rule file, a folder of them, a detection-rules checkout or 'shipped'; may be"
        " repeated.  [default: the shipped rules]",
    )(command)


def load(paths: Sequence[str]) -> RuleSet:
    """Load the rules of all paths (the shipped ones if there are none), with a progress bar.

    Args:
        paths: As the user names them; ``shipped`` for the shipped rules.

    Raises:
        InputError: A path does not exist; nothing was loaded.
    """
    chosen = [rules_path(path) for path in paths] or [shipped_rules_path()]
    for path in chosen:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder of rules")
    with counting_bar("Loading rules") as progress:
        return load_rules(chosen, progress=progress)


def load_for_running(paths: Sequence[str]) -> RuleSet:
    """Load rules to run them: broken ones are warned about and left out.

    Raises:
        InputError: A path does not exist.
        ConfigError: There is no rule to run.
    """
    ruleset = load(paths)
    for error in ruleset.rejected[:_WARNINGS_MAX]:
        warn(f"rule left out: {error}")
    more = len(ruleset.rejected) - _WARNINGS_MAX
    if more > 0:
        warn(f"{count(more, 'further rule')} left out; see: streamproc rules check")
    if not ruleset.rules:
        where = ", ".join(paths) or "the shipped rules"
        raise ConfigError(f"no rule could be loaded from {where}; see: streamproc rules check")
    return ruleset
