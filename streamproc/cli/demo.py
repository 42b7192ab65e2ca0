"""``streamproc demo``: watch two rules fire on a live stream, with nothing to set up."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click
from rich.console import Console

from streamproc.config_sources import load_settings
from streamproc.demo.run import EVENTS_PER_SECOND, SEED, DemoFailedError, DemoOptions, run_demo
from streamproc.demo.screen import open_screen
from streamproc.demo.send import send_traffic

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell expects

# Asked to end, or the terminal was closed.
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=3600),
    default=20,
    show_default=True,
    help="How long events flow, once the worker has started.",
)
@click.option(
    "--rate",
    type=click.IntRange(min=100, max=100_000),
    default=EVENTS_PER_SECOND,
    show_default=True,
    help="Events a second to aim at; never more than the worker takes in.",
)
@click.option(
    "--seed",
    type=int,
    default=SEED,
    show_default=True,
    help="Hosts and events follow from it.",
)
@click.option(
    "--to",
    "bootstrap_servers",
    metavar="HOST:PORT",
    help="Only send the events, to the events topic of this Kafka, for a worker of your own.",
)
def demo(seconds: float, rate: int, seed: int, bootstrap_servers: str | None) -> None:
    """Show the shipped rules at work on a live stream.

    An embedded Kafka broker, a real worker process, and fifty made-up Windows and Linux hosts. A
    web shell on one Exchange server and an exploit of another raise alerts; look-alikes raise
    none. Ends by itself: exit code 0 if every expected alert came, 1 if not.

    With --to nothing is started and nothing judged: the same events go to your own Kafka. Its login
    and the topic are the worker's settings.
    """
    previous = {number: signal.signal(number, _interrupt) for number in _ENDING_SIGNALS}
    options = DemoOptions(seconds, rate, seed)
    try:
        if bootstrap_servers is None:
            run_demo(options, open_screen(Console()))
        else:
            _send(bootstrap_servers, options)
    except DemoFailedError as failure:
        click.echo(f"Error: the demo failed: {failure}", err=True)
        if failure.log_tail:
            click.echo(f"The worker's last lines:\n{failure.log_tail}", err=True)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        click.echo("Stopped before the end; nothing is left running.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _send(bootstrap_servers: str, options: DemoOptions) -> None:
    settings = load_settings({"bootstrap_servers": bootstrap_servers}).settings
    topic = f"{settings.events_topic} at {bootstrap_servers}"
    click.echo(f"Sending to {topic} for {options.seconds:g} s ...", err=True)
    sent = send_traffic(settings, options)
    click.echo(
        f"Sent {sent.events:,} events of {sent.hosts} hosts to {topic}: {sent.alerts} must raise"
        f" alerts by the shipped rules, {sent.near_misses} look alike and must not."
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # The same way out as Ctrl-C: a signal's default would leave the worker behind.
    raise KeyboardInterrupt


if __name__ == "__main__":
    demo()
