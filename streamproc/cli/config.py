"""``streamproc config``: the settings in force and where each comes from."""

from __future__ import annotations

from pathlib import Path

import click

from streamproc.cli.config_path import config_option
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
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of the output.",
)
@click.option("--reference", is_flag=True, help="Print every setting with its meaning (Markdown).")
def config(config_path: Path | None, output_format: str, reference: bool) -> None:
    """Show the settings in force and where each comes from; secrets are masked."""
    if reference:
        click.echo(render_reference())
        return
    effective = load_settings(config_path=config_path)
    if output_format == "json":
        click.echo(render_settings_json(effective))
    else:
        click.echo(render_settings_table(effective))
