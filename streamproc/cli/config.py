"""``streamproc config``: the settings in force and where each comes from."""

from __future__ import annotations

from pathlib import Path

import click

from streamproc.cli.config_path import config_option
from streamproc.cli.format_option import format_option
from streamproc.config_sources import load_settings
from streamproc.config_tables import render_reference, render_settings_json, render_settings_table

EPILOG = """\b
Examples:
  streamproc config
  STREAMPROC_BATCH_RECORDS=1000 streamproc config --config streamproc.toml
  streamproc config --reference
"""


@click.command(epilog=EPILOG)
@config_option
@format_option
@click.option("--reference", is_flag=True, help="Print every setting with its meaning (Markdown).")
def config(config_path: Path | None, form: str, reference: bool) -> None:
    """Show the settings in force and where each comes from; secrets are masked."""
    if reference:
        click.echo(render_reference())
        return
    effective = load_settings(config_path=config_path)
    if form == "json":
        click.echo(render_settings_json(effective))
    else:
        click.echo(render_settings_table(effective))
