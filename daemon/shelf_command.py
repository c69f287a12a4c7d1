"""``quietscope shelf``: the models that earlier runs have left for later ones."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from quietscope.config import RunError
from quietscope.config.shelf import ModelsSettings
from quietscope.daemon.shelf import Shelf, ShelvedModel

__all__ = ["shelf_app"]

shelf_app = typer.Typer(
    help="Models that the gate has accepted, kept for later runs with the same microscope settings.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path, typer.Option("--shelf", help="Folder of the shelf, as models.shelf names it.", metavar="DIR")
]
Model = Annotated[str, typer.Argument(help="Beginning of the model's name, see `list`.", metavar="MODEL")]

_AUTO = Path("auto")


@shelf_app.command(name="list")
def list_models(*, folder: Folder = _AUTO) -> None:
    """List the models, newest first."""
    shelf = _shelf(folder)
    console = Console()
    table = Table("model", "kept", "run", "recorded with", "MB")
    models = shelf.models()
    for model in models:
        table.add_row(
            model.model_id,
            model.kept[:16].replace("T", " "),
            Path(model.run).name,
            model.fingerprint.words,
            f"{model.size / 1e6:.1f}",
        )
    if models:
        console.print(table)
    console.print(f"{len(models)} models in {shelf.folder}", highlight=False, soft_wrap=True)


@shelf_app.command()
def show(model: Model, *, folder: Folder = _AUTO) -> None:
    """Show what is known of a model: how its frames were recorded, and what the gate measured."""
    found = _find(_shelf(folder), model)
    figures = {
        name: value
        for name, value in found.figures.items()
        if not isinstance(value, dict | list) or not value
    }
    content = {
        "model": found.model_id,
        "kept": found.kept,
        "run": found.run,
        "bytes": found.size,
        "sha256": found.sha256,
        "fingerprint": found.fingerprint.digest,
        "recorded with": dict(found.fingerprint.facts),
        "figures": figures,
    }
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


@shelf_app.command()
def remove(
    models: Annotated[
        list[str] | None, typer.Argument(help="Beginnings of the models' names.", metavar="[MODEL]...")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    folder: Folder = _AUTO,
) -> None:
    """Take models off the shelf; the runs that made them keep theirs."""
    shelf = _shelf(folder)
    if not everything and not models:
        raise RunError("say which models: quietscope shelf remove MODEL, or --all; see quietscope shelf list")
    chosen = shelf.models() if everything else [_find(shelf, model) for model in models or ()]
    for model in chosen:
        shelf.remove(model)
    typer.echo(f"{len(chosen)} models taken off the shelf {shelf.folder}")


def _shelf(folder: Path) -> Shelf:
    shelf = Shelf.of(ModelsSettings(shelf=folder))
    if shelf is None:
        raise RunError("there is no shelf, since QUIETSCOPE_SHELF is off; name its folder with --shelf")
    return shelf


def _find(shelf: Shelf, beginning: str) -> ShelvedModel:
    found = [model for model in shelf.models() if model.model_id.startswith(beginning)]
    if len(found) != 1:
        count = "no model begins" if not found else f"{len(found)} models begin"
        msg = f"{count} with {beginning!r} on the shelf {shelf.folder}; see quietscope shelf list"
        raise RunError(msg)
    return found[0]
