"""Commands for what is stored: images and run folders."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from quietscope.config.loader import load_settings
from quietscope.daemon.cli_options import (
    Json,
    Method,
    Name,
    Out,
    Profile,
    Set,
    run_to_end,
    settings_of,
)
from quietscope.daemon.offline import offline_source
from quietscope.daemon.runfolder import RunFolder

__all__ = ["stored_app"]

stored_app = typer.Typer()


@stored_app.command()
def denoise(
    source: Annotated[Path, typer.Argument(help="Image file, folder of images, or folder of a run.")],
    *,
    model: Annotated[
        Path | None, typer.Option("--model", help="Model to use instead of training: ONNX file or folder.")
    ] = None,
    out: Out = None,
    name: Name = None,
    profile: Profile = None,
    method: Method = None,
    changes: Set = None,
    json_file: Json = None,
) -> None:
    """Denoise stored images into a new run folder; trains first unless a model is given."""
    # nobody waits for a live picture of stored images: one model makes all of them, at full quality
    base = {
        "source": offline_source(source),
        "degrade": {"enabled": False},
        "models": {"start": False},
    }
    chosen = None if model is None else model.expanduser().absolute()
    settings = settings_of(None, profile, changes, base, out=out, name=name, method=method, model=chosen)
    raise typer.Exit(run_to_end(settings, json_file))


@stored_app.command()
def train(
    source: Annotated[Path, typer.Argument(help="Image file, folder of images, or folder of a run.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for the models.", metavar="DIR")],
    profile: Profile = None,
    method: Method = None,
    changes: Set = None,
) -> None:
    """Train models from stored images: one ONNX file for each channel, judged by the gate."""
    from quietscope.daemon.train_command import train_offline

    base = {"source": offline_source(source)}
    raise typer.Exit(train_offline(settings_of(None, profile, changes, base, method=method), out))


@stored_app.command()
def view(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, going on or ended.")],
    *,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address to listen on; 0.0.0.0 lets others look, with a token."),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the page; 0 takes a free one.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the default browser.")] = True,
) -> None:
    """Look at a run in the browser: raw beside denoised, everything recorded so far, and live."""
    from quietscope.daemon.view_command import view_run

    run_folder = RunFolder.to_look_at(folder)
    given = {"view.host": host, "view.port": port, "view.open_browser": None if browser else "false"}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    raise typer.Exit(view_run(run_folder, load_settings(run_folder.settings, None, changes)))


@stored_app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, going on or ended.")],
) -> None:
    """Write report.html into the run folder: pictures, figures and a text for the Methods section."""
    from quietscope.daemon.report.writing import write_report

    path = write_report(RunFolder.to_look_at(folder))
    Console().print(f"report: {path}", highlight=False, soft_wrap=True)


@stored_app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    json_file: Json = None,
) -> None:
    """Check a run: every plane against its checksum, and that ledger, store and summary agree."""
    from quietscope.daemon.integrity_command import verify_run

    raise typer.Exit(verify_run(folder, json_file))


@stored_app.command()
def repair(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a damaged run.")],
    *,
    json_file: Json = None,
) -> None:
    """Rebuild what can be rebuilt of a damaged run, and list what cannot."""
    from quietscope.daemon.integrity_command import repair_run

    raise typer.Exit(repair_run(folder, json_file))


@stored_app.command()
def evaluate(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SOURCE]...", help="Image files, folders of images, or folders of runs."),
    ] = None,
    *,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for table.md, table.csv, table.json, panel.png.", metavar="DIR"),
    ],
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference",
            help="Truth of a source: one image for all frames, or one for each.",
            metavar="PATH",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="Methods to compare: those of `denoise`, noise2noise, noisy, median, gaussian-1, gaussian-2, bm3d.",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="A prepared evaluation instead of SOURCE.")
    ] = None,
    empty: Annotated[
        Path | None,
        typer.Option(
            "--empty", help="Image that is not 0 where frames hold only background.", metavar="FILE"
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Train on every image alone instead of the first of a series.")
    ] = False,
    static: Annotated[
        bool, typer.Option("--static", help="Frames are independent captures of one motionless scene.")
    ] = False,
    network: Annotated[
        bool, typer.Option("--network", help="The specimen is a network: compare skeletons.")
    ] = False,
    frames: Annotated[int, typer.Option("--frames", help="Score at most so many frames.", min=1)] = 50,
    captures: Annotated[
        int, typer.Option("--captures", help="Presets: images of each configuration.", min=1)
    ] = 1,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Presets: folder of real images.", metavar="DIR", envvar="QUIETSCOPE_DATA"
        ),
    ] = None,
    profile: Profile = None,
    changes: Set = None,
) -> None:
    """Compare methods on images: one table and one picture."""
    from quietscope.daemon.evaluation.asked import Asked

    asked = Asked(
        sources=sources or (),
        references=reference or (),
        methods=method or (),
        preset=preset,
        empty=empty,
        each=each,
        static=static,
        network=network,
        frames=frames,
        captures=captures,
        data=data,
        profile=profile,
        changes=changes or (),
    )
    raise typer.Exit(asked.evaluate(out, command=shlex.join(["quietscope", *sys.argv[1:]])))
