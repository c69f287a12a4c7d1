"""The command line of quietscope."""

import importlib.metadata
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from quietscope.config import QuietscopeError
from quietscope.daemon.child_main import CHILDREN, run_child
from quietscope.daemon.cli_live import live_app
from quietscope.daemon.cli_machine import machine_app
from quietscope.daemon.cli_stored import stored_app
from quietscope.daemon.config_command import config_app
from quietscope.daemon.keys_command import keys_app
from quietscope.daemon.shelf_command import shelf_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="quietscope",
    help="Live denoising beside a fluorescence microscope: trains on the first frames, denoises every further one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer's callbacks take the value
    if asked:
        typer.echo(f"quietscope {importlib.metadata.version('quietscope')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Say the version and exit."),
    ] = False,
) -> None:
    pass


for commands in (live_app, stored_app, machine_app):
    app.add_typer(commands)
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")
app.add_typer(shelf_app, name="shelf")


def main() -> None:
    """Entry point of ``quietscope`` and of ``python -m quietscope.daemon``."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] in CHILDREN:
        sys.exit(run_child(arguments))
    try:
        app()
    except QuietscopeError as error:
        Console(stderr=True).print(
            f"[bold red]quietscope:[/] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        sys.exit(2)
