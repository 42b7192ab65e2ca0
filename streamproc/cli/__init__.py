"""The command ``streamproc``: which commands there are, and how each of them may end.

Law of the file: a command's module is imported when that command is run, so that ``--help``,
``rules check`` and a shell's completion never pay for Faust or Kafka. Errors that we raise on
purpose end here as one message; everything else is a bug and keeps its traceback.

Exit codes: 0 done, 1 done but something is wrong with what was read, 2 wrong usage or settings
(nothing was done), 130 interrupted, 141 the reader of our output went away.
"""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches
from typing import Any, NamedTuple, NoReturn

import click

from streamproc import __version__
from streamproc.errors import StreamprocError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell expects
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


class Lazy(NamedTuple):
    """Where a command lives, and the line that the overview says of it."""

    place: str
    summary: str


COMMANDS = {
    "demo": Lazy("streamproc.cli.demo:demo", "See rules fire on a made-up live stream (no Kafka)."),
    "replay": Lazy("streamproc.cli.replay:replay", "Run the rules over NDJSON files (no Kafka)."),
    "query": Lazy("streamproc.cli.query:query", "Search NDJSON files with one EQL query."),
    "rules": Lazy("streamproc.cli.rules:rules", "Check rules, explain them, rank them by cost."),
    "worker": Lazy("streamproc.cli.worker:worker", "Run the rules on a Kafka stream."),
    "topics": Lazy("streamproc.cli.topics:topics", "Create the Kafka topics."),
    "plan": Lazy("streamproc.cli.plan:plan_command", "Size workers and partitions for a stream."),
    "config": Lazy("streamproc.cli.config:config", "Show the settings and where each comes from."),
}

EPILOG = """\b
First steps:
  streamproc demo                          watch alerts appear, nothing to set up
  streamproc replay events.ndjson          alerts of your own events, on standard output
  streamproc rules check my-rules/         which rules load, and why the others do not
  streamproc query 'process where process.name : "w3wp.exe"' events.ndjson.gz
"""


class CommandLine(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module, _, attribute = lazy.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to run; a word that is none gets the nearest one suggested."""
        if args and args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what we raise on purpose into one message and an exit code."""
        try:
            return super().invoke(ctx)
        except StreamprocError as error:
            failure = click.ClickException(str(error))
            failure.exit_code = EXIT_USAGE
            raise failure from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            sys.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            _leave_broken_pipe()


def _leave_broken_pipe() -> NoReturn:
    # ``streamproc query ... | head``: the interpreter would flush standard output once more at
    # exit and complain about the pipe; there is nobody left to write to.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(EXIT_BROKEN_PIPE)


@click.command(
    cls=CommandLine,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="streamproc", message="%(prog)s %(version)s")
def main() -> None:
    """Run Elastic EQL detection rules on a stream of process events.

    Alerts and enrichment context requests come out, on Kafka topics or in files. Every command
    says more with --help.
    """
