"""``streamproc topics``: make the Kafka topics of a deployment."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from streamproc.cli.config_path import config_option
from streamproc.cli.console import Column, print_table, say
from streamproc.config_sources import load_settings
from streamproc.topics import HOUR_MS, TopicOptions, TopicOutcome, create_topics

EPILOG = """\b
Examples:
  streamproc topics create --dry-run
  streamproc topics create --partitions 48 --replication 3 --retention-hours 72
"""


@click.group()
def topics() -> None:
    """Create the Kafka topics."""


@topics.command(epilog=EPILOG)
@config_option
@click.option(
    "--partitions",
    default=12,
    show_default=True,
    help="Partitions of the events topic: the most workers that can share it.",
)
@click.option(
    "--output-partitions", default=12, show_default=True, help="Partitions of the other topics."
)
@click.option("--replication", default=3, show_default=True, help="Copies of each partition.")
@click.option(
    "--min-insync-replicas",
    type=int,
    help="Copies that must have a record before it counts as written.  [default: replication - 1]",
)
@click.option(
    "--retention-hours", default=72, show_default=True, help="How long events are kept, hours."
)
@click.option(
    "--output-retention-hours",
    default=14 * 24,
    show_default=True,
    help="How long alerts, context requests and dead letters are kept, hours.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done and do nothing.")
def create(
    config_path: Path | None,
    partitions: int,
    output_partitions: int,
    replication: int,
    min_insync_replicas: int | None,
    retention_hours: int,
    output_retention_hours: int,
    dry_run: bool,
) -> None:
    """Create the topics that are missing; safe to repeat.

    Topics that exist are compared with what was asked for and never changed. Exits with 1 if one
    differs or could not be made.
    """
    options = TopicOptions(
        events_partitions=partitions,
        outputs_partitions=output_partitions,
        replication=replication,
        min_insync_replicas=min_insync_replicas,
        events_retention_ms=retention_hours * HOUR_MS,
        outputs_retention_ms=output_retention_hours * HOUR_MS,
    )
    settings = load_settings(config_path=config_path).settings
    say(f"Asking Kafka at {settings.bootstrap_servers} ...")
    outcomes = create_topics(settings, options, dry_run=dry_run)
    _print_outcomes(outcomes)
    if any(outcome.action in ("differs", "failed") for outcome in outcomes):
        sys.exit(1)


def _print_outcomes(outcomes: list[TopicOutcome]) -> None:
    columns = [
        Column("TOPIC"),
        Column("ACTION"),
        Column("PARTITIONS", is_number=True),
        Column("REPLICATION", is_number=True),
        Column("CONFIG", is_elastic=True),
        Column("DETAIL", is_elastic=True),
    ]
    rows = [
        [
            outcome.topic,
            outcome.action,
            str(outcome.partitions),
            str(outcome.replication),
            " ".join(f"{name}={value}" for name, value in sorted(outcome.config.items())),
            outcome.detail,
        ]
        for outcome in outcomes
    ]
    print_table(columns, rows)
