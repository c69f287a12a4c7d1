"""What the commands share: their options, and the way from them to settings and to a run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quietscope.config import Settings
from quietscope.config.loader import load_settings

__all__ = [
    "Frames",
    "Idle",
    "Json",
    "Method",
    "Name",
    "Out",
    "Profile",
    "Set",
    "View",
    "run_to_end",
    "settings_of",
]

Out = Annotated[Path | None, typer.Option("--out", help="Folder that holds the run folders.", metavar="DIR")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the run; none takes date and time.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting, for example training.frames=20.", metavar="KEY=VALUE"),
]
Frames = Annotated[int | None, typer.Option("--frames", help="End after so many frames over all channels.")]
Idle = Annotated[
    float | None,
    typer.Option("--idle", help="End after so many seconds without a new frame, once there is a first."),
]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the end-of-run summary here.", metavar="FILE")
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="Shipped settings: see `quietscope config profiles`.")
]

Method = Annotated[
    str | None, typer.Option("--method", help="Method: adaptive-sn2n, fm2s, noise2sr or poisson2void.")
]
View = Annotated[bool, typer.Option("--view", help="Open the viewer in the browser.")]


def settings_of(
    file: Path | None,
    profile: str | None,
    changes: list[str] | None,
    base: dict[str, dict[str, Any]] | None = None,
    **options: object,
) -> Settings:
    """Make settings of what a command was given: file, profile, ``--set``, what it implies itself, its options."""
    keys = {
        "out": "out",
        "name": "name",
        "frames": "stop.frames",
        "idle": "stop.idle_s",
        "method": "method",
        "model": "training.model",
    }
    given = {
        f"--{option}": f"{keys[option]}={value}" for option, value in options.items() if value is not None
    }
    return load_settings(file, profile, changes or (), base, given)


def run_to_end(settings: Settings, json_file: Path | None, **options: Any) -> int:
    """Start a run and wait for its end; the exit status."""
    from quietscope.daemon.live_command import run_live

    return run_live(settings, json_file=json_file, **options)
