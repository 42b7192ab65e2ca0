"""The option that names the file with the settings, the same for every command that has one."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="TOML file with settings; STREAMPROC_* variables win over it.",
)
"""Gives the command a parameter ``config_path``; None when it was not used."""
