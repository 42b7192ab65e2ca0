"""``streamproc worker``: the rules on a Kafka stream, until it is told to stop.

Law of the file: settings and rules are read and checked before anything is connected.
"""

from __future__ import annotations

import logging.config
from pathlib import Path

import click

from streamproc.cli.config_path import config_option
from streamproc.config_sources import load_settings
from streamproc.ops.logs import logging_config

EPILOG = """\b
Examples:
  STREAMPROC_BOOTSTRAP_SERVERS=kafka:9092 streamproc worker
  streamproc worker --config /etc/streamproc.toml --rules detection-rules/
"""


@click.command(epilog=EPILOG)
@config_option
@click.option(
    "--rules",
    "rules",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Rule file, folder or detection-rules checkout; may be repeated.",
)
def worker(config_path: Path | None, rules: tuple[Path, ...]) -> None:
    """Run the rules on a Kafka stream.

    Consumes events, produces alerts, context requests and dead letters. See `streamproc config`
    for the settings; SIGTERM or Ctrl-C finishes the batch, commits and leaves the group.
    """
    settings = load_settings({"rules": rules or None}, config_path).settings
    logging.config.dictConfig(logging_config(settings.log_level, settings.log_format))
    # Imported late: a wrong setting is told without waiting for Faust.
    from streamproc.transport.app import build_app, load_worker_rules, run_app

    run_app(build_app(settings, load_worker_rules(settings)))
