"""``streamproc plan``: how many workers, partitions and bytes a stream of events asks for."""

from __future__ import annotations

from dataclasses import asdict

import click
import orjson

from streamproc.capacity import LAG_S, UTILISATION, Load, Plan, plan
from streamproc.cli.console import Column, print_table, size
from streamproc.cli.format_option import format_option
from streamproc.measured import EVENT_BYTES, RULE_SETS, RUN, Measured

EPILOG = """\b
Examples:
  streamproc plan --events-per-second 100000
  streamproc plan --events-per-second 20000 --event-bytes 1500 --rules corpus
  streamproc plan --events-per-second 20000 --events-per-core 9000 --format json
"""


@click.command("plan", epilog=EPILOG, short_help="Size workers and partitions for N events/s.")
@click.option("--events-per-second", type=float, required=True, help="Events at the peak.")
@click.option(
    "--event-bytes", default=EVENT_BYTES, show_default=True, help="Mean size of an event."
)
@click.option(
    "--rules",
    "rule_set",
    type=click.Choice(list(RULE_SETS)),
    default="shipped",
    show_default=True,
    help="Whose measured cost to plan with: the two shipped rules, or all rules of a"
    " detection-rules checkout.",
)
@click.option(
    "--events-per-core",
    type=int,
    help="Plan with this rate instead: your own measurement, on your machine and rules.",
)
@click.option(
    "--outage-minutes", default=10.0, show_default=True, help="Backlog that is to be worked off."
)
@click.option(
    "--retention-hours", default=72.0, show_default=True, help="How long events are kept."
)
@click.option("--replication", default=3, show_default=True, help="Copies of each partition.")
@format_option
def plan_command(
    events_per_second: float,
    event_bytes: int,
    rule_set: str,
    events_per_core: int | None,
    outage_minutes: float,
    retention_hours: float,
    replication: int,
    form: str,
) -> None:
    """Size workers, partitions, memory and storage for a stream, from measured rates.

    An estimate to begin with: measure with your events and rules, then plan again with
    --events-per-core. A single host's events are one partition's, and so one worker's: no
    number of workers makes that faster.
    """
    measured = RULE_SETS[rule_set]
    if events_per_core is not None:
        measured = Measured(events_per_core, measured.peak_bytes)
    load = Load(events_per_second, event_bytes, outage_minutes * 60, retention_hours, replication)
    found = plan(load, measured)
    if form == "json":
        click.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2))
        return
    source = f"{RUN}, {rule_set} rules" if events_per_core is None else "--events-per-core"
    columns = [Column("What"), Column("Plan", is_number=True), Column("Why", is_elastic=True)]
    print_table(columns, _rows(load, found, source))


def _rows(load: Load, found: Plan, source: str) -> list[list[str]]:
    return [
        ["events per core", f"{found.events_per_core_s:,.0f}/s", f"{source}; to this event size"],
        [
            "workers",
            f"{found.workers:,}",
            f"one core each, {found.busy_share:.0%} busy at the peak"
            f" (at most {UTILISATION:.0%}); one may be lost",
        ],
        ["partitions", f"{found.partitions:,}", "of the events topic: room to grow threefold"],
        [
            "memory limit",
            f"{found.memory_limit_bytes >> 20} MiB",
            "per worker: half above what it held",
        ],
        [
            "catching up",
            f"{found.catch_up_s / 60:,.1f} min",
            f"after {load.outage_s / 60:g} minutes of outage, while the peak goes on",
        ],
        ["lag threshold", f"{found.lag_threshold:,}", f"KEDA: {LAG_S} s of one worker's records"],
        ["input", f"{size(round(found.input_bytes_per_s))}/s", "before compression"],
        [
            "storage",
            size(round(found.stored_bytes)),
            f"events of {load.retention_h:g} hours, {load.replication} copies, uncompressed",
        ],
    ]
