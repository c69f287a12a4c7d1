"""``quietscope config``: look at settings and check them before a run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quietscope.config.loader import describe, load_settings, profile_names, settings_to_toml

__all__ = ["config_app"]

config_app = typer.Typer(help="Show and check settings.", no_args_is_help=True)

Profile = Annotated[str | None, typer.Option("--profile", help="Shipped settings.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change a setting.", metavar="KEY=VALUE")]


@config_app.command()
def show(
    file: Annotated[Path | None, typer.Argument(metavar="[SETTINGS.toml]")] = None,
    *,
    profile: Profile = None,
    changes: Set = None,
) -> None:
    """Print the effective settings as TOML, ready to be saved and edited."""
    typer.echo(settings_to_toml(load_settings(file, profile, changes or ())), nl=False)


@config_app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="SETTINGS.toml")],
    *,
    profile: Profile = None,
    changes: Set = None,
) -> None:
    """Say whether a settings file is right, and what is wrong with it."""
    load_settings(file, profile, changes or ())
    typer.echo(f"{file}: all settings are valid")


@config_app.command()
def keys() -> None:
    """List every setting with its default, range and meaning."""
    table = Table(show_lines=False)
    for column in ("key", "default", "allowed", "meaning"):
        table.add_column(column, overflow="fold")
    for key in describe():
        default = "" if key.default is None else str(key.default)
        table.add_row(*map(escape, (key.key, default, key.allowed, key.meaning)))
    Console().print(table)


@config_app.command()
def profiles() -> None:
    """List the shipped profiles."""
    for name in profile_names():
        typer.echo(name)
