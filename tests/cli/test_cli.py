"""The command itself: lazy, helpful, and never a traceback for what users do."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from streamproc import __version__, cli
from streamproc.errors import ConfigError, InputError


def run_python(*args: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=240, **options
    )


def test_help_names_every_command_and_first_steps():
    """The overview is enough to start with."""
    result = CliRunner().invoke(cli.main, ["--help"])

    assert result.exit_code == 0
    for name, lazy in cli.COMMANDS.items():
        assert f"  {name} " in result.output
        assert lazy.summary.split("(")[0].strip() in result.output
    assert "streamproc replay events.ndjson" in result.output


@pytest.mark.parametrize("name", ["replay", "query", "rules"])
def test_every_command_teaches_by_example(name: str):
    """A command's own help has the overview's line and examples that can be pasted."""
    result = CliRunner().invoke(cli.main, [name, "--help"])

    assert result.exit_code == 0, result.output
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command.short_help == cli.COMMANDS[name].summary
    if name != "rules":
        assert "  Examples:\n    streamproc" in result.output


def test_help_imports_no_engine():
    """What takes seconds to import is imported by the command that needs it."""
    code = (
        "import sys\n"
        "from streamproc.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'faust', 'hyperscan', 'confluent_kafka', 'rich', 'orjson'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    result = run_python("-c", code)

    assert result.returncode == 0, result.stderr


def test_python_module_is_the_command():
    """``python -m streamproc`` calls itself streamproc too."""
    version = run_python("-m", "streamproc", "--version")
    usage = run_python("-m", "streamproc", "replay", "--help")

    assert version.stdout == f"streamproc {__version__}\n"
    assert usage.stdout.startswith("Usage: streamproc replay [OPTIONS] FILE...")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["replya"], "Did you mean replay?"),
        (["replay"], "Missing argument 'FILE...'"),
        (["rules", "check"], "Missing argument 'PATH...'"),
        (["replay", "--bogus", "x"], "No such option: --bogus"),
    ],
)
def test_wrong_usage_ends_with_2(args: list[str], message: str):
    """One message that names the fault, and the exit code of wrong usage."""
    result = CliRunner().invoke(cli.main, args)

    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("error", "exit_code", "output"),
    [
        (
            ConfigError("setting x is 0, must be 1 to 9"),
            2,
            "Error: setting x is 0, must be 1 to 9\n",
        ),
        (InputError("a.ndjson: No such file"), 2, "Error: a.ndjson: No such file\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
    ],
)
def test_expected_errors_become_one_message(error, exit_code, output, monkeypatch):
    """What we raise on purpose ends in its message and a code; no traceback."""

    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli.CommandLine, "get_command", lambda *_: failing)
    result = CliRunner().invoke(cli.main, ["replay"])

    assert (result.exit_code, result.output) == (exit_code, output)


def test_a_bug_keeps_its_traceback(monkeypatch):
    """Only our own errors are made pretty."""

    @click.command()
    def failing() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.CommandLine, "get_command", lambda *_: failing)
    result = CliRunner().invoke(cli.main, ["replay"])

    assert isinstance(result.exception, ZeroDivisionError)
