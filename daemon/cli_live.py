"""Commands that record, and that talk to a run that goes on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quietscope.adapters.control import Command
from quietscope.config.methods import Method as MethodName
from quietscope.config.micromanager import MicroManagerSettings
from quietscope.daemon.cli_options import (
    Frames,
    Idle,
    Json,
    Method,
    Name,
    Out,
    Profile,
    Set,
    View,
    run_to_end,
    settings_of,
)

__all__ = ["live_app"]

live_app = typer.Typer()


@live_app.command()
def demo(
    *,
    out: Out = None,
    name: Name = None,
    profile: Profile = "demo",
    changes: Set = None,
    frames: Frames = None,
    idle: Idle = None,
    json_file: Json = None,
    method: Method = None,
    view: View = False,
) -> None:
    """Try everything on an embedded simulated microscope; writes demo.png."""
    settings = settings_of(
        None, profile, changes, out=out, name=name, frames=frames, idle=idle, method=method
    )
    raise typer.Exit(run_to_end(settings, json_file, picture=Path("demo.png"), view=view))


@live_app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="Folder into which images are written.")],
    *,
    out: Out = None,
    name: Name = None,
    profile: Profile = None,
    changes: Set = None,
    frames: Frames = None,
    idle: Idle = None,
    json_file: Json = None,
    method: Method = None,
    view: View = False,
) -> None:
    """Denoise the images that another program writes into FOLDER."""
    base = {"source": {"kind": "folder", "path": str(folder.absolute())}}
    settings = settings_of(
        None, profile, changes, base, out=out, name=name, frames=frames, idle=idle, method=method
    )
    raise typer.Exit(run_to_end(settings, json_file, view=view))


@live_app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="SETTINGS.toml", help="Settings file.")],
    *,
    out: Out = None,
    name: Name = None,
    profile: Profile = None,
    changes: Set = None,
    frames: Frames = None,
    idle: Idle = None,
    json_file: Json = None,
    method: Method = None,
    view: View = False,
    until_eof: Annotated[
        bool,
        typer.Option("--until-eof", hidden=True, help="For programs that start runs: end with their pipe."),
    ] = False,
) -> None:
    """Run as a settings file says."""
    settings = settings_of(
        file, profile, changes, out=out, name=name, frames=frames, idle=idle, method=method
    )
    raise typer.Exit(run_to_end(settings, json_file, view=view, until_eof=until_eof))


@live_app.command()
def micromanager(
    plan: Annotated[
        Path | None,
        typer.Argument(help="What to acquire, TOML or JSON; none follows Live mode (not lossless)."),
    ] = None,
    *,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Start a core without a window: .cfg file, or demo.", metavar="FILE"),
    ] = None,
    adapters: Annotated[
        Path | None, typer.Option("--adapters", help="Micro-Manager's folder, for --config.", metavar="DIR")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the running Micro-Manager.")] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", help="Let Micro-Manager store the raw frames here too.", metavar="DIR"),
    ] = None,
    out: Out = None,
    name: Name = None,
    profile: Profile = None,
    changes: Set = None,
    frames: Frames = None,
    idle: Idle = None,
    json_file: Json = None,
    view: View = False,
) -> None:
    """Acquire what PLAN says with Micro-Manager, and denoise it live."""
    from quietscope.adapters.micromanager.acquire import check

    given = {"plan": plan, "adapters": adapters, "save": save}
    source: dict[str, Any] = {k: str(v.expanduser().absolute()) for k, v in given.items() if v is not None}
    source |= {k: v for k, v in {"configuration": config, "port": port}.items() if v is not None}
    base = {"source": {"kind": "micromanager", **source}}
    settings = settings_of(None, profile, changes, base, out=out, name=name, frames=frames, idle=idle)
    if isinstance(settings.source, MicroManagerSettings):
        check(settings.source)
    raise typer.Exit(run_to_end(settings, json_file, view=view))


@live_app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that ended early.")],
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on watching the run's folder afterwards.")
    ] = False,
    json_file: Json = None,
    view: View = False,
) -> None:
    """Finish a run that was aborted or died: take what it missed in its folder, denoise what is not denoised."""
    from quietscope.daemon.resume_command import resume_run

    raise typer.Exit(resume_run(folder, json_file, follow=follow, view=view))


@live_app.command()
def control(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that is going on.")],
    command: Annotated[
        Command, typer.Argument(metavar="COMMAND", help="retrain, pause, continue (denoising) or status.")
    ],
    *,
    channel: Annotated[
        str | None, typer.Option("--channel", help="retrain: channel by name or number; none means all.")
    ] = None,
    method: Annotated[MethodName | None, typer.Option("--method", help="retrain: another method.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the answer here.", metavar="FILE")
    ] = None,
) -> None:
    """Train a running run again, pause its denoising or go on with it, or ask how it stands."""
    from quietscope.daemon.control_command import control_run

    raise typer.Exit(control_run(folder, command, channel=channel, method=method, json_file=json_file))
