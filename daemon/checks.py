"""What must hold before a recording begins: measured on this machine, with these settings, in plain words."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config import ModelError, QuietscopeError, Settings
from quietscope.config.quoting import quoted
from quietscope.config.sources import (
    FolderSettings,
    RunSourceSettings,
    SimulatorSettings,
    WireSourceSettings,
)
from quietscope.daemon.check import Check
from quietscope.daemon.machine_checks import existing, machine_probes

__all__ = ["run_checks"]

_WRITTEN = 20
_FREE_MARGIN = 1.2
_EVENT_S = 2.0


def run_checks(settings: Settings, *, quick: bool = False, source: bool = True) -> Iterator[Check]:
    """Check this machine for a run with these settings.

    Parameters
    ----------
    settings
        Effective settings; size and rate of the frames are the simulator's, else 512×512 uint16 is assumed.
    quick
        Only what takes no noticeable time: for the pre-flight of every run. The disk is not timed, the network not run.
    source
        Also whether the machine is up to the settings' source; else whatever they say of it is passed over.

    Yields
    ------
    Check
        In the order of a pre-flight list.
    """
    if not source:
        settings = settings.model_copy(update={"source": WireSourceSettings()})
    series = _series(settings)
    probes: list[tuple[str, Callable[[], Check]]] = [
        *machine_probes(settings, quick=quick),
        ("free disk", lambda: _free_disk(settings, series)),
    ]
    if source:
        probes.append(("source", lambda: _source(settings)))
    if settings.training.model is not None:
        probes.append(("model", lambda: _model(settings)))
    if not quick:
        probes.append(("write rate", lambda: _write_rate(settings, series)))
        if source:
            probes.append(("folder events", lambda: _folder_events(settings)))
        probes.append(("network", lambda: _network(settings, series)))
    for name, probe in probes:
        try:
            yield probe()
        except (QuietscopeError, OSError) as error:
            yield Check(name, "no-go", str(error))


def _series(settings: Settings) -> Series:
    source = settings.source
    if isinstance(source, SimulatorSettings):
        return Series(source.height, source.width, "uint16", source.channels, "the settings")
    return Series(512, 512, "uint16", ("channel 0",), "an assumption")


def _free_disk(settings: Settings, series: Series) -> Check:
    free = shutil.disk_usage(existing(settings.out)).free
    frames = settings.stop.frames
    if frames is None and isinstance(settings.source, SimulatorSettings):
        frames = settings.source.frames * len(settings.source.channels)
    if frames is None:
        hours = free / (2 * series.frame_nbytes) / 3600
        words = f"{free / 1e9:.1f} GB free: {hours:.1f} hours at one 512×512 frame per second (length not planned)"
        return Check("free disk", "go" if free > 10e9 else "caution", words)
    needed = 2 * frames * series.frame_nbytes * _FREE_MARGIN
    words = (
        f"{free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed at most for {frames} frames raw and denoised"
    )
    if needed > free:
        return Check("free disk", "no-go", f"{words}; free some space or choose another --out")
    return Check("free disk", "go", words)


def _source(settings: Settings) -> Check:
    source = settings.source
    if isinstance(source, FolderSettings):
        folder = source.path.expanduser()
        try:
            with os.scandir(folder) as entries:
                count = sum(1 for _ in entries)
        except NotADirectoryError:
            words = f"{folder} is a file; give the folder that holds it, or use: quietscope denoise {quoted(folder)}"
            return Check("source", "no-go", words)
        except OSError as error:
            return Check(
                "source", "no-go", f"the folder {folder} cannot be read ({error.strerror}); correct its path"
            )
        return Check("source", "go", f"the folder {folder} can be read, {count} entries")
    return Check("source", "go", f"{source.kind}")


def _model(settings: Settings) -> Check:
    from quietscope.models.model_file import ModelFile

    named = settings.training.model
    assert named is not None
    # what is being acquired must be recorded in any case; what is stored already loses nothing by a refusal
    refusal: Literal["caution", "no-go"] = "no-go" if _is_stored(settings) else "caution"
    files = [named] if named.is_file() else sorted(named.glob("c*.onnx"))
    if not files:
        words = (
            f"there is no model at {named}: frames would be recorded and not denoised; give an ONNX file or a folder "
            "with c0.onnx"
        )
        return Check("model", refusal, words)
    try:
        for file in files:
            ModelFile.read(file)
    except ModelError as error:
        return Check("model", refusal, str(error))
    return Check("model", "go", f"{named} is there")


def _is_stored(settings: Settings) -> bool:
    source = settings.source
    return isinstance(source, RunSourceSettings) or (isinstance(source, FolderSettings) and not source.follow)


def _write_rate(settings: Settings, series: Series) -> Check:
    rng = np.random.default_rng(0)
    pixels = rng.poisson(200, (series.height, series.width)).astype(series.dtype)
    with tempfile.TemporaryDirectory(dir=existing(settings.out), prefix=".quietscope-doctor-") as folder:
        store = StoreWriter(Path(folder), series, settings.store)
        store.write("raw", FrameKey(0), pixels)
        started = time.perf_counter()
        for t in range(1, _WRITTEN + 1):
            store.write("raw", FrameKey(t), pixels)
        rate = _WRITTEN / (time.perf_counter() - started)
    size = f"{series.width}×{series.height}"
    words = f"{rate:.0f} frames of {size} per second, synced, {rate * series.frame_nbytes / 1e6:.0f} MB/s"
    if isinstance(settings.source, SimulatorSettings) and settings.source.rate_hz > 0:
        wanted = settings.source.rate_hz * len(settings.source.channels)
        if rate < wanted:
            words += f"; the camera makes {wanted:g}: frames will be spooled. Use a faster disk"
            return Check("write rate", "caution", words)
        words += f"; the camera makes {wanted:g}"
    return Check("write rate", "go", words)


def _folder_events(settings: Settings) -> Check:
    source = settings.source
    if not isinstance(source, FolderSettings) or not source.follow:
        return Check("folder events", "go", "not needed")
    if source.polling:
        return Check("folder events", "go", f"not used: the folder is scanned every {source.poll_s:g} s")
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    seen = threading.Event()

    class Seen(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - that one came is enough
            seen.set()

    # Nothing is ever written into a watched folder, so events are tried where the system has them at all.
    with tempfile.TemporaryDirectory(dir=existing(settings.out), prefix=".quietscope-doctor-") as folder:
        observer = Observer()
        observer.schedule(Seen(), folder)
        observer.start()
        try:
            (Path(folder) / "probe").write_bytes(b"")
            came = seen.wait(_EVENT_S)
        finally:
            observer.stop()
            observer.join()
    if not came:
        words = f"no events here: new files are found by scanning every {source.poll_s:g} s; set source.polling=true"
        return Check("folder events", "caution", words)
    return Check(
        "folder events", "go", "the system sends events; a share may not (then set source.polling=true)"
    )


def _network(settings: Settings, series: Series) -> Check:
    from quietscope.daemon.trial_network import trial

    found = trial(settings, (series.height, series.width))
    size = f"{series.width}×{series.height}"
    times = f"{found.frame_ms:.0f} ms for a frame of {size} (ready after {found.ready_ms:.0f} ms)"
    words = f"runs on {found.provider}, {times}"
    source = settings.source
    if (
        isinstance(source, SimulatorSettings)
        and source.rate_hz * len(source.channels) * found.frame_ms > 1000
    ):
        words += "; slower than the camera: viewers see fewer frames, the store is filled up afterwards"
        return Check("network", "caution", words)
    return Check("network", "go", words)
