"""The entry point: a group of commands that are imported when they are called."""

from __future__ import annotations

from importlib import import_module

import click

from tensorc import __version__
from tensorc.support import options
from tensorc.support.errors import OptionError, TensorcError

# Command -> (the module and function it is in, its line in `tensorc --help`). The line stands here
# so that the help need not import the command.
_COMMANDS = {
    "bench": ("tensorc.cli.bench:bench", "Tune the suite; print tuned, naive and peers."),
    "tune": ("tensorc.cli.tune:tune", "Search for the fastest kernel of one program."),
    "show": ("tensorc.cli.show:show", "Show sketches, schedule, IR, source and features."),
    "log": ("tensorc.cli.log:log", "Read, export and import measurement records."),
    "doctor": ("tensorc.cli.doctor:doctor", "Say what is installed, missing and measured."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use and whose errors are one sentence each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error that tensorc raised on purpose ends it with its sentence.

        With TENSORC_DEBUG the traceback is shown instead.
        """
        try:
            return super().invoke(ctx)
        except TensorcError as error:
            if _debugging():
                raise
            raise click.ClickException(str(error)) from error


def _debugging() -> bool:
    try:
        return options.DEBUG.get() > 0
    except OptionError:
        return False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="tensorc")
def main() -> None:
    """Compile tensor programs and search for their fastest kernels.

    Each command has its own help: tensorc COMMAND --help.
    """
