"""Commands that look at the computer."""

from pathlib import Path
from typing import Annotated

import typer

from quietscope.daemon.cli_options import (
    Frames,
    Json,
    Out,
    Profile,
    Set,
    settings_of,
)

__all__ = ["machine_app"]

machine_app = typer.Typer()


@machine_app.command()
def doctor(
    file: Annotated[Path | None, typer.Argument(metavar="[SETTINGS.toml]", help="Settings file.")] = None,
    *,
    folder: Annotated[
        Path | None, typer.Option("--watch", help="Check for a run that watches this folder.", metavar="DIR")
    ] = None,
    out: Out = None,
    profile: Profile = None,
    changes: Set = None,
    frames: Frames = None,
    json_file: Json = None,
) -> None:
    """Check this machine, and whether a recording would go well on it if one is named; say go or no-go."""
    from quietscope.daemon.doctor_command import doctor as check

    base = None if folder is None else {"source": {"kind": "folder", "path": str(folder.absolute())}}
    settings = settings_of(file, profile, changes, base, out=out, frames=frames)
    named = file or folder or profile or any(change.startswith("source.") for change in changes or ())
    raise typer.Exit(check(settings, json_file, source=bool(named)))


@machine_app.command()
def bench(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small frames, few rounds: under a minute on a free machine.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Also 4096² frames, a series of 20,000, training time to quality: half an hour."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for bench.md and bench.json.", metavar="DIR")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="With --full: folder of real images.", metavar="DIR", envvar="QUIETSCOPE_DATA"
        ),
    ] = None,
    profile: Profile = None,
    changes: Set = None,
    json_file: Json = None,
) -> None:
    """Measure what this machine does per frame, on every runtime, beside others and beside its limits."""
    from quietscope.daemon.bench.command import bench as measure

    settings = settings_of(None, profile, changes)
    raise typer.Exit(measure(settings, quick=quick, full=full, out=out, json_file=json_file, data=data))
