"""Acquiring what a plan says, or following Live mode, on whichever Micro-Manager there is."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from quietscope.adapters.micromanager.live import Live
from quietscope.adapters.micromanager.plan import Plan, read_plan
from quietscope.config.errors import SourceError
from quietscope.config.micromanager import MicroManagerSettings

__all__ = ["acquire", "check"]

_EXTRA = "pip install 'quietscope[micromanager]'"
_LOOK_S = 0.2


def check(settings: MicroManagerSettings) -> None:
    """Find out before a run starts whether its acquisition can start.

    Raises
    ------
    quietscope.config.SettingsError
        If the plan cannot be used.
    quietscope.config.SourceError
        If there is no Micro-Manager, or a package is missing.
    """
    if settings.plan is not None:
        read_plan(settings.plan)
    if settings.configuration is None:
        _find_running(settings.port)
    else:
        _configuration(settings)


def acquire(settings: MicroManagerSettings, live: Live, stop: threading.Event) -> None:
    """Acquire until the plan is done or `stop` is set.

    A process can do this once: pycromanager keeps its first core for ever.

    Parameters
    ----------
    settings
        What to acquire, and on which Micro-Manager.
    live
        Takes the frames.
    stop
        Aborts the acquisition.

    Raises
    ------
    quietscope.config.SettingsError, quietscope.config.SourceError
        As `check` does.
    """
    plan = None if settings.plan is None else read_plan(settings.plan)
    if plan is not None and plan.sequence is not None and settings.configuration is not None:
        _with_pymmcore_plus(plan, settings, live, stop)
        return
    from pycromanager import Core, start_headless, stop_headless

    if settings.configuration is None:
        _find_running(settings.port)
        core = Core(port=settings.port)
    else:
        folder, file = _configuration(settings)
        start_headless(str(folder), str(file), python_backend=True, buffer_size_mb=settings.buffer_mb)
        core = Core()
    try:
        if plan is None:
            _follow(core, live, stop, switch_on=settings.configuration is not None)
        else:
            _with_pycromanager(plan, settings, live, stop)
    finally:
        if settings.configuration is not None:
            stop_headless()


def _follow(core: Any, live: Live, stop: threading.Event, *, switch_on: bool) -> None:
    """Live mode, which nobody else can switch on where Micro-Manager has no window."""
    if switch_on:
        core.start_continuous_sequence_acquisition(0)
    try:
        with live.poll(core):
            stop.wait()
    finally:
        if switch_on:
            core.stop_sequence_acquisition()


def _with_pycromanager(plan: Plan, settings: MicroManagerSettings, live: Live, stop: threading.Event) -> None:
    from pycromanager import Acquisition

    java: dict[str, Any] = (
        {"port": settings.port, "show_display": False} if settings.configuration is None else {}
    )
    if settings.save is None:
        way: dict[str, Any] = {"image_process_fn": live.hook}
    else:
        settings.save.mkdir(parents=True, exist_ok=True)
        # The Java side sends frames through image_process_fn at 60 MB/s at most; files it writes faster.
        way = {"directory": str(settings.save), "name": "raw"}
        way |= {"image_saved_fn": live.saved} if java else {"image_process_fn": live.hook}
    acquisition = Acquisition(**way, **java)
    with _aborting(acquisition.abort, stop):
        acquisition.acquire(plan.events)
        acquisition.mark_finished()
        acquisition.await_completion()
    # The Python back-end ends without a word when the last of its hardware sequences fails.
    seen = live.report.seen
    if seen < len(plan.events) and not stop.is_set():
        msg = (
            f"Micro-Manager delivered {seen} of {len(plan.events)} planned frames, and says why in logs/camera.txt of"
            " the run folder. Are the plan's presets and positions right, and was the camera's buffer large enough?"
        )
        raise SourceError(msg)


def _with_pymmcore_plus(
    plan: Plan, settings: MicroManagerSettings, live: Live, stop: threading.Event
) -> None:
    try:
        from pymmcore_plus import CMMCorePlus
    except ImportError as error:
        msg = f"useq sequences on a core without a window need pymmcore-plus; install it with: {_EXTRA}"
        raise SourceError(msg) from error
    folder, file = _configuration(settings)
    core = CMMCorePlus.instance()
    core.setDeviceAdapterSearchPaths([str(folder)])
    core.loadSystemConfiguration(str(file))
    core.setCircularBufferMemoryFootprint(settings.buffer_mb)
    outputs: list[Any] = [live.output]
    if settings.save is not None:
        settings.save.mkdir(parents=True, exist_ok=True)
        outputs.append(str(settings.save / "raw.ome.zarr"))
    with _aborting(core.mda.cancel, stop):
        core.mda.run(plan.sequence, output=outputs)
    core.unloadAllDevices()


@contextmanager
def _aborting(abort: Callable[[], Any], stop: threading.Event) -> Iterator[None]:
    """Abort the acquisition when `stop` is set."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(_LOOK_S):
                with suppress(Exception):  # it may just have ended by itself
                    abort()
                return

    watcher = threading.Thread(target=watch, name="abort", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(5.0)


def _configuration(settings: MicroManagerSettings) -> tuple[Path, Path]:
    """Folder of the device adapters and configuration file."""
    if settings.configuration == "demo":
        try:
            from mm_test_adapters import device_adapter_path
        except ImportError as error:
            msg = f"the simulated microscope needs mm-test-adapters; install it with: {_EXTRA}"
            raise SourceError(msg) from error
        folder = Path(device_adapter_path())
        return folder, folder / "MMConfig_demo.cfg"
    if settings.adapters is None:
        msg = "a core without a window needs the folder of its device adapters; set source.adapters to Micro-Manager's"
        raise SourceError(msg)
    file = Path(str(settings.configuration)).expanduser().absolute()
    for path, key in ((settings.adapters, "source.adapters"), (file, "source.configuration")):
        if not path.exists():
            msg = f"there is no {path}; correct {key}"
            raise SourceError(msg)
    return settings.adapters, file


def _find_running(port: int) -> None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2.0).close()
    except OSError as error:
        msg = (
            f"no Micro-Manager answers on port {port} of this computer; start it and switch on Tools > Options > Run"
            " server on port 4827, or name a configuration for a core without a window (--config FILE, or demo)"
        )
        raise SourceError(msg) from error
