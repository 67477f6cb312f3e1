"""The command line: `hearthwatch`, also `python -m hearthwatch`."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer
from rich.console import Console

from hearthwatch import __version__
from hearthwatch.cli import export, models
from hearthwatch.cli.analyze import analyze
from hearthwatch.cli.assess import assess
from hearthwatch.cli.convert import convert_command
from hearthwatch.cli.demo import demo
from hearthwatch.cli.serve import serve
from hearthwatch.cli.terminal import say
from hearthwatch.errors import HearthwatchError

#: DESIGN.md: 0 done, 1 some inputs failed, 2 wrong usage, 3 no usable weights.
EXIT_SOME_FAILED = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Turn a home camera's picture into an assessed event, on this machine.",
)
app.command()(analyze)
app.command()(assess)
app.command()(serve)
app.command()(demo)
models.app.command("convert")(convert_command)
app.add_typer(models.app, name="models")
app.add_typer(export.app, name="export")


def _tell_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"hearthwatch {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="More log lines (-v, -vv).")] = 0,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    levels = (logging.ERROR, logging.INFO, logging.DEBUG)
    logging.basicConfig(level=levels[min(verbose, 2)], stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def main() -> None:
    """Run the command line; an error of ours is one sentence on stderr, never a traceback."""
    try:
        app()
    except HearthwatchError as error:
        say(Console(stderr=True), f"error: {error}")
        sys.exit(EXIT_SOME_FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
