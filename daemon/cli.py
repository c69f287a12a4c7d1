"""The command line of quietscope."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from quietscope.adapters.control import Command
from quietscope.config import QuietscopeError, Settings
from quietscope.config.loader import load_settings
from quietscope.config.methods import Method as MethodName
from quietscope.config.micromanager import MicroManagerSettings
from quietscope.daemon.child_main import CHILDREN, run_child
from quietscope.daemon.config_command import config_app
from quietscope.daemon.keys_command import keys_app
from quietscope.daemon.offline import offline_source
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.shelf_command import shelf_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="quietscope",
    help="Live denoising beside a fluorescence microscope: trains on the first frames, denoises every further one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")
app.add_typer(shelf_app, name="shelf")

Out = Annotated[Path | None, typer.Option("--out", help="Folder that holds the run folders.", metavar="DIR")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the run; none takes date and time.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting, for example training.frames=20.", metavar="KEY=VALUE"),
]
Frames = Annotated[int | None, typer.Option("--frames", help="End after so many frames over all channels.")]
Idle = Annotated[float | None, typer.Option("--idle", help="End after so many seconds without a new frame.")]
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


@app.command()
def demo(
    *,
    out: Out = None,
    name: Name = None,
    profile: Profile = "demo",
    changes: Set = None,
    frames: Frames = None,
    idle: Idle = None,
    json_file: Json = None,
    view: View = False,
) -> None:
    """Try everything on an embedded simulated microscope; writes demo.png."""
    settings = _settings(None, profile, changes, out=out, name=name, frames=frames, idle=idle)
    raise typer.Exit(_run(settings, json_file, picture=Path("demo.png"), view=view))


@app.command()
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
    view: View = False,
) -> None:
    """Denoise the images that another program writes into FOLDER."""
    base = {"source": {"kind": "folder", "path": str(folder.absolute())}}
    settings = _settings(None, profile, changes, base, out=out, name=name, frames=frames, idle=idle)
    raise typer.Exit(_run(settings, json_file, view=view))


@app.command()
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
    view: View = False,
    until_eof: Annotated[
        bool,
        typer.Option("--until-eof", hidden=True, help="For programs that start runs: end with their pipe."),
    ] = False,
) -> None:
    """Run as a settings file says."""
    settings = _settings(file, profile, changes, out=out, name=name, frames=frames, idle=idle)
    raise typer.Exit(_run(settings, json_file, view=view, until_eof=until_eof))


@app.command()
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
    settings = _settings(None, profile, changes, base, out=out, name=name, frames=frames, idle=idle)
    if isinstance(settings.source, MicroManagerSettings):
        check(settings.source)
    raise typer.Exit(_run(settings, json_file, view=view))


@app.command()
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
    found = RunFolder.existing(folder)
    raise typer.Exit(_run(load_settings(found.settings), json_file, resume=found, follow=follow, view=view))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    json_file: Json = None,
) -> None:
    """Check a run: every plane against its checksum, and that ledger, store and summary agree."""
    from quietscope.daemon.integrity_command import verify_run

    raise typer.Exit(verify_run(folder, json_file))


@app.command()
def repair(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a damaged run.")],
    *,
    json_file: Json = None,
) -> None:
    """Rebuild what can be rebuilt of a damaged run, and list what cannot."""
    from quietscope.daemon.integrity_command import repair_run

    raise typer.Exit(repair_run(folder, json_file))


@app.command()
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
    """Check whether a recording would go well on this machine, and say go or no-go."""
    from quietscope.daemon.doctor_command import doctor as check

    base = None if folder is None else {"source": {"kind": "folder", "path": str(folder.absolute())}}
    settings = _settings(file, profile, changes, base, out=out, frames=frames)
    raise typer.Exit(check(settings, json_file))


@app.command()
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

    settings = _settings(None, profile, changes)
    raise typer.Exit(measure(settings, quick=quick, full=full, out=out, json_file=json_file, data=data))


@app.command()
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
    raise typer.Exit(train_offline(_settings(None, profile, changes, base, method=method), out))


@app.command()
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
    settings = _settings(None, profile, changes, base, out=out, name=name, method=method, model=chosen)
    raise typer.Exit(_run(settings, json_file))


@app.command()
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


@app.command()
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


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, going on or ended.")],
) -> None:
    """Write report.html into the run folder: pictures, figures and a text for the Methods section."""
    from quietscope.daemon.report.writing import write_report

    path = write_report(RunFolder.to_look_at(folder))
    Console().print(f"report: {path}", highlight=False, soft_wrap=True)


@app.command()
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


def _settings(
    file: Path | None,
    profile: str | None,
    changes: list[str] | None,
    base: dict[str, dict[str, Any]] | None = None,
    **options: object,
) -> Settings:
    keys = {
        "out": "out",
        "name": "name",
        "frames": "stop.frames",
        "idle": "stop.idle_s",
        "method": "method",
        "model": "training.model",
    }
    given = [f"{keys[option]}={value}" for option, value in options.items() if value is not None]
    return load_settings(file, profile, [*(changes or ()), *given], base)


def _run(settings: Settings, json_file: Path | None, **options: Any) -> int:
    from quietscope.daemon.live_command import run_live

    return run_live(settings, json_file=json_file, **options)


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
