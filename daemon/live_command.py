"""What every live command does: run, show, reconcile, write the summary, and say the truth in its exit status."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quietscope.adapters.protocols import TruthSource
from quietscope.adapters.simulator import Simulator
from quietscope.config import QuietscopeError, RunError, Settings
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.child import Event
from quietscope.daemon.display import Display
from quietscope.daemon.doctor_command import preflight
from quietscope.daemon.ending import Ending
from quietscope.daemon.engine import Engine
from quietscope.daemon.metrics import Metrics
from quietscope.daemon.metrics_server import MetricsServer
from quietscope.daemon.picture import write_panel
from quietscope.daemon.reasons import REJECTED, SKIPPED, in_words
from quietscope.daemon.run_lock import RunLock
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.summary import Summary, summarise
from quietscope.daemon.view_command import ViewerProcess

__all__ = ["run_live"]


def run_live(
    settings: Settings,
    *,
    json_file: Path | None,
    picture: Path | None = None,
    resume: RunFolder | None = None,
    follow: bool = False,
    until_eof: bool = False,
    view: bool = False,
) -> int:
    """Run to the end and report.

    Parameters
    ----------
    settings
        Effective settings.
    json_file
        Where the summary for machines goes.
    picture
        Where the before/after picture of a simulated run goes.
    resume
        An existing run to be finished; none starts a new one.
    follow
        With `resume`: go on watching the run's folder.
    until_eof
        Stop when standard input ends, since the program that started the run has gone.
    view
        Open the viewer beside the run; on a terminal it stays open afterwards, until Ctrl-C.

    Returns
    -------
    int
        0 only if received = stored = denoised + skipped and nothing went wrong.
    """
    console = Console()
    if json_file is not None and not json_file.resolve().parent.is_dir():
        msg = f"the folder of --json {json_file} does not exist; make it first"
        raise RunError(msg)
    if resume is None:
        preflight(settings, console)
    with ExitStack() as stack:
        with Display(console) as display:
            metrics = Metrics()

            def on_event(event: Event) -> None:
                metrics.event(event)
                display.event(event)

            engine = Engine(settings, on_event=on_event, resume=resume, follow=follow)
            stack.enter_context(RunLock(engine.run_folder))
            console.print(f"run folder: {engine.run_folder.root}", highlight=False, soft_wrap=True)
            if resume is None and settings.training.model is None:
                first = settings.training.frames
                console.print(
                    f"models are trained on the first {first} frames of each channel", soft_wrap=True
                )
            viewer = stack.enter_context(ViewerProcess(engine.run_folder, console)) if view else None
            if until_eof:
                threading.Thread(target=_stop_at_eof, args=(engine,), name="eof", daemon=True).start()
            with _interrupts(engine), _served(metrics, settings, console):
                ending = engine.run()
        summary = _report(
            console,
            engine.run_folder,
            settings,
            ending,
            display.peak_mb,
            json_file=json_file,
            picture=picture,
        )
        _write_report(console, engine.run_folder)
        if viewer is not None:
            viewer.stay()
    return 0 if summary.is_good else 1


def _report(
    console: Console,
    run: RunFolder,
    settings: Settings,
    ending: Ending,
    peak_mb: dict[str, float],
    *,
    json_file: Path | None,
    picture: Path | None,
) -> Summary:
    """Print and write what became of a run; printed first, since on a full disk nothing can be written."""
    truth: TruthSource | None = (
        Simulator(settings.source) if isinstance(settings.source, SimulatorSettings) else None
    )
    summary = summarise(run, ending, truth)
    _print_summary(console, summary, peak_mb)
    if picture is not None and truth is not None and write_panel(run, truth, picture):
        console.print(f"picture: {picture.resolve()}", highlight=False, soft_wrap=True)
    if summary.advice:
        console.print(Text(summary.advice, style="yellow"), soft_wrap=True)
    for fault in summary.faults:
        console.print(f"[bold red]fault:[/] {escape(fault)}", highlight=False, soft_wrap=True)
    text = json.dumps(summary.figures, indent=1)
    if json_file is not None:
        _write(json_file, text, "choose another place with --json")
    _write(run.summary, text, f"when that is mended, finish the run with: quietscope resume {run.quoted}")
    return summary


def _write_report(console: Console, run: RunFolder) -> None:
    """Write the report for people; a good run stays good without one."""
    try:
        from quietscope.daemon.report.writing import write_report

        console.print(f"report: {write_report(run)}", highlight=False, soft_wrap=True)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here, the run has ended and is told
        text = escape(
            f"the report could not be written ({error}); try again with: quietscope report {run.quoted}"
        )
        console.print(f"[yellow]{text}[/]", highlight=False, soft_wrap=True)


@contextmanager
def _served(metrics: Metrics, settings: Settings, console: Console) -> Iterator[None]:
    """Serve the figures while the run goes on, if the settings ask for it."""
    if settings.monitoring.port is None:
        yield
        return
    with MetricsServer(metrics, settings.monitoring.port) as server:
        console.print(f"figures: {server.address}", highlight=False, soft_wrap=True)
        yield


@contextmanager
def _interrupts(engine: Engine) -> Iterator[None]:
    """Ctrl-C and a polite kill end the run in order; outside the main thread signals are not ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        engine.stop("stopped by Ctrl-C" if number == signal.SIGINT else "stopped by the system")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_at_eof(engine: Engine) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    engine.stop("the program that delivered the frames has ended")


def _write(path: Path, text: str, mend: str) -> None:
    new = path.with_name(path.name + ".tmp")
    try:
        new.write_text(text + "\n", encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        msg = f"cannot write the summary {path}: {error.strerror}; {mend}"
        raise QuietscopeError(msg) from error


def _print_summary(console: Console, summary: Summary, peak_mb: dict[str, float]) -> None:
    figures = summary.figures
    table = Table(title="Run summary", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")

    def measured(name: str, value: float | None, unit: str = "") -> None:
        if value is not None:
            table.add_row(name, f"{value:.1f} {unit}".rstrip())

    table.add_row(
        "received / stored / denoised",
        f"{figures['frames_received']} / {figures['raw_stored']} / {figures['denoised']}",
    )
    table.add_row("left out", in_words(figures["skipped"], SKIPPED))
    table.add_row("not taken", in_words(figures["rejected"], REJECTED))
    table.add_row("sent to viewers", str(figures["published"]))
    if below := sum(figures["shown_below_full"].values()):
        table.add_row("shown below full quality at first", str(below))
    measured("first denoised frame after", figures["time_to_first_denoised_s"], "s")
    measured("frames per second", figures["fps"])
    measured("typical delay to viewers", figures["latency_ms"]["p50"], "ms")
    measured("99 of 100 came within", figures["latency_ms"]["p99"], "ms")
    measured("training", figures["training_s"] or None, "s")
    for name, words in figures["models"].items():
        table.add_row(f"model, {name}", words)
    for name, earlier in figures["earlier_models"].items():
        table.add_row(f"start, {name}", f"{earlier['model']}: {earlier['frames']} frames")
    for name, before in figures.get("psnr_raw", {}).items():
        after = figures["psnr_denoised"][name]
        gain = f"{before:.1f} dB → {after:.1f} dB ({after - before:+.1f}), slope {figures['slope'][name]:.3f}"
        table.add_row(f"quality, {name}", gain)
    for name, words in figures["noise"].items():
        table.add_row(f"light and noise, {name}", words)
    if figures["provider"]:
        table.add_row("network ran on", figures["provider"])
    table.add_row("peak memory", ", ".join(f"{name} {mb:.0f} MB" for name, mb in sorted(peak_mb.items())))
    if figures["trust"]:
        lights = ", ".join(
            f"{figures['trust'].get(light, 0)} {light}" for light in ("green", "yellow", "red")
        )
        table.add_row("trust, frames", lights)
    table.add_row("ended because", figures["exit_reason"])
    table.add_row("store", figures["store"])
    console.print(table)
