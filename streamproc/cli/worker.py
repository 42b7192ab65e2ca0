"""``streamproc worker``: the rules on a Kafka stream, until it is told to stop.

Law of the file: settings and rules are read and checked before anything is connected.
"""

from __future__ import annotations

import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streamproc.cli.config_path import config_option
from streamproc.config_sources import load_settings
from streamproc.errors import ConfigError
from streamproc.ops.logs import logging_config

EPILOG = """\b
Examples:
  STREAMPROC_BOOTSTRAP_SERVERS=kafka:9092 streamproc worker
  streamproc worker --config /etc/streamproc.toml --rules detection-rules/
  streamproc worker --profile worker.pstats     then: python -m pstats worker.pstats
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
@click.option(
    "--profile",
    "profile_path",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write where the event loop's thread spent its time to this file (pstats) at the end;"
    " the worker is slower meanwhile.",
)
def worker(config_path: Path | None, rules: tuple[Path, ...], profile_path: Path | None) -> None:
    """Run the rules on a Kafka stream.

    Consumes events, produces alerts, context requests and dead letters. See `streamproc config`
    for the settings; SIGTERM or Ctrl-C finishes the batch, commits and leaves the group.
    """
    settings = load_settings({"rules": rules or None}, config_path).settings
    logging.config.dictConfig(logging_config(settings.log_level, settings.log_format))
    # Imported late: a wrong setting is told without waiting for Faust.
    from streamproc.transport.app import build_app, load_worker_rules, run_app
    from streamproc.transport.preflight import check_start

    app = build_app(settings, load_worker_rules(settings))
    check_start(app, settings)
    with profiled(profile_path):
        run_app(app)


@contextmanager
def profiled(path: Path | None) -> Iterator[None]:
    """Profile this thread, which is the event loop's, if there is a file for it.

    Raises:
        ConfigError: The file cannot be written; told before the worker starts.
    """
    if path is None:
        yield
        return
    try:
        path.open("ab").close()
    except OSError as error:
        raise ConfigError(f"--profile {path}: {error.strerror}") from error
    import cProfile  # here: a worker that is not profiled does not load it

    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)
