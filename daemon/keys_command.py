"""``quietscope keys``: who may connect from other computers."""

from pathlib import Path
from typing import Annotated

import typer

from quietscope.config import SettingsError

__all__ = ["keys_app"]

keys_app = typer.Typer(help="Make keys for viewers and senders on other computers.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of keys.", metavar="FOLDER")]


@keys_app.command()
def new(folder: Folder) -> None:
    """Make the keys of this computer."""
    from quietscope.adapters.keyring import make_keys

    make_keys(folder)
    typer.echo(
        f"keys made in {folder.resolve()}\n"
        f'use them with: --set "security.keys={folder.resolve()}" --set publish.endpoint=tcp://0.0.0.0:5555\n'
        f"let somebody connect with: quietscope keys add {folder} NAME"
    )


@keys_app.command()
def add(
    folder: Folder, name: Annotated[str, typer.Argument(help="Who: letters, digits, dots, hyphens.")]
) -> None:
    """Let somebody connect: makes a pair and puts its public half on the allow-list."""
    from quietscope.adapters.keyring import add_client

    made = add_client(folder, name)
    typer.echo(
        f"{name} may connect. Hand over the folder {made} by a safe way, then delete it here.\n"
        f"To withdraw the permission, delete {folder / 'clients' / f'{name}.key'}."
    )


@keys_app.command(name="list")
def show(folder: Folder) -> None:
    """List who may connect."""
    from quietscope.adapters.keyring import allowed_clients

    if not (folder / "server.key").exists():
        msg = f"there are no keys in {folder}; make them with: quietscope keys new {folder}"
        raise SettingsError(msg)
    for key, name in allowed_clients(folder).items():
        typer.echo(f"{key.decode()}  {name}")
