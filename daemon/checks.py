"""What must hold before a recording begins: measured on this machine, with these settings, in plain words."""

import importlib.metadata
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config import QuietscopeError, Settings
from quietscope.config.sources import FolderSettings, RunSourceSettings, SimulatorSettings

__all__ = ["Check", "run_checks"]

State = Literal["go", "caution", "no-go"]

_WRITTEN = 20
_FREE_MARGIN = 1.2
_EVENT_S = 2.0
_EARLIEST = 1_735_689_600  # 2025-01-01: an earlier clock was never set


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name
        What.
    state
        ``go``, ``caution`` (the run can begin, but see the words) or ``no-go``.
    words
        What was found, with figures, and the mend.
    """

    name: str
    state: State
    words: str


def run_checks(settings: Settings, *, quick: bool = False) -> Iterator[Check]:
    """Check this machine for a run with these settings.

    Parameters
    ----------
    settings
        Effective settings; size and rate of the frames are the simulator's, else 512×512 uint16 is assumed.
    quick
        Only what takes no noticeable time: for the pre-flight of every run. The disk is not timed, the network not run.

    Yields
    ------
    Check
        In the order of a pre-flight list.
    """
    series = _series(settings)
    probes: list[tuple[str, Callable[[], Check]]] = [
        ("permissions", lambda: _permissions(settings)),
        ("free disk", lambda: _free_disk(settings, series)),
        ("ports", lambda: _ports(settings)),
        ("clock", _clock),
        ("versions", _versions),
        ("source", lambda: _source(settings)),
    ]
    if settings.training.model is not None:
        probes.append(("model", lambda: _model(settings)))
    if not quick:
        probes += [
            ("write rate", lambda: _write_rate(settings, series)),
            ("folder events", lambda: _folder_events(settings)),
            ("network", lambda: _network(settings, series)),
        ]
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


def _existing(folder: Path) -> Path:
    folder = folder.expanduser().absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _permissions(settings: Settings) -> Check:
    folder = _existing(settings.out)
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(
            "permissions", "no-go", f"cannot write into {folder} ({error.strerror}); choose another --out"
        )
    return Check("permissions", "go", f"{folder} can be written")


def _free_disk(settings: Settings, series: Series) -> Check:
    free = shutil.disk_usage(_existing(settings.out)).free
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


def _ports(settings: Settings) -> Check:
    for setting, endpoint in (
        ("publish.endpoint", settings.publish.endpoint),
        ("recorder.endpoint", settings.recorder.endpoint),
        ("control.endpoint", settings.control.endpoint),
        ("monitoring.port", f"tcp://127.0.0.1:{settings.monitoring.port or 0}"),
    ):
        parts = urlsplit(endpoint)
        try:
            host, port = parts.hostname or "", parts.port or 0
        except ValueError as error:
            return Check("ports", "no-go", f"{setting} = {endpoint} is no address: {error}")
        with socket.socket() as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                words = f"{setting} = {endpoint} cannot be opened ({error.strerror}); set another port, or 0"
                return Check("ports", "no-go", words)
        open_to_all = not host.startswith("127.") and host != "localhost"
        if open_to_all and settings.security.keys is None:
            words = f"{setting} = {endpoint} can be reached by others; make keys: quietscope keys new FOLDER"
            return Check("ports", "no-go", words)
    return Check("ports", "go", "all addresses can be opened")


def _clock() -> Check:
    if time.time() < _EARLIEST:
        words = f"the clock says {time.strftime('%Y-%m-%d')}; set it, or times in the ledger will be wrong"
        return Check("clock", "caution", words)
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.05)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if drift > 0.02:
        return Check("clock", "caution", f"the clock moved by {1e3 * drift:.0f} ms while it was looked at")
    return Check("clock", "go", f"{time.strftime('%Y-%m-%d %H:%M:%S')}, runs evenly")


def _versions() -> Check:
    installed = {
        name.lower() for dist in importlib.metadata.distributions() if (name := dist.metadata["Name"])
    }
    both = sorted({"onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"} & installed)
    if len(both) > 1:
        words = f"{' and '.join(both)} overwrite each other; uninstall all of them, then install one"
        return Check("versions", "no-go", words)
    words = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "zarr", "torch", *both)
    )
    return Check("versions", "go", words)


def _source(settings: Settings) -> Check:
    source = settings.source
    if isinstance(source, FolderSettings):
        folder = source.path.expanduser()
        try:
            with os.scandir(folder) as entries:
                count = sum(1 for _ in entries)
        except NotADirectoryError:
            words = f"{folder} is a file; give the folder that holds it, or use: quietscope denoise {folder}"
            return Check("source", "no-go", words)
        except OSError as error:
            return Check(
                "source", "no-go", f"the folder {folder} cannot be read ({error.strerror}); correct its path"
            )
        return Check("source", "go", f"the folder {folder} can be read, {count} entries")
    return Check("source", "go", f"{source.kind}")


def _model(settings: Settings) -> Check:
    named = settings.training.model
    assert named is not None
    if named.is_file() or (named.is_dir() and any(named.glob("c*.onnx"))):
        return Check("model", "go", f"{named} is there")
    words = (
        f"there is no model at {named}: frames would be recorded and not denoised; give an ONNX file or a folder "
        "with c0.onnx"
    )
    # what is being acquired must be recorded in any case; what is stored already loses nothing by a refusal
    return Check("model", "no-go" if _is_stored(settings) else "caution", words)


def _is_stored(settings: Settings) -> bool:
    source = settings.source
    return isinstance(source, RunSourceSettings) or (isinstance(source, FolderSettings) and not source.follow)


def _write_rate(settings: Settings, series: Series) -> Check:
    rng = np.random.default_rng(0)
    pixels = rng.poisson(200, (series.height, series.width)).astype(series.dtype)
    with tempfile.TemporaryDirectory(dir=_existing(settings.out), prefix=".quietscope-doctor-") as folder:
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
    with tempfile.TemporaryDirectory(dir=_existing(settings.out), prefix=".quietscope-doctor-") as folder:
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
