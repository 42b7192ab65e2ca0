"""The option that says how a command prints, the same for every command that has one."""

from __future__ import annotations

import click

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of the output.",
)
"""Gives the command a parameter ``form``: ``table``, for people, or ``json``."""
