"""Live denoising of whatever Micro-Manager acquires: one line in a script."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from quietscope.adapters.micromanager.handover import HandOver
from quietscope.adapters.micromanager.newest import NewestFrames
from quietscope.adapters.micromanager.own_run import OwnRun
from quietscope.adapters.micromanager.pycromanager_faces import (
    ImageProcessFn,
    ImageSavedFn,
    PycromanagerFaces,
)
from quietscope.adapters.micromanager.pymmcore_plus_face import PymmcorePlusFace, listening
from quietscope.adapters.micromanager.report import Journal, Report
from quietscope.adapters.micromanager.running import RunningRun, find_running, open_running
from quietscope.adapters.micromanager.sender import Sender
from quietscope.adapters.micromanager.sink import FrameSink
from quietscope.config.errors import RunError

__all__ = ["Live", "Store", "live_denoising"]

_LOG = logging.getLogger("quietscope.micromanager")
_FLUSH_S = 120.0

Store = Literal["micro-manager", "quietscope"]
"""Who stores the raw frames."""


class Live:
    """The ways into a run. A session uses one of them; several acquisitions one after the other may use it.

    Time points of a further acquisition follow on those of the former one.

    Parameters
    ----------
    run
        The run.
    store
        Who stores the raw frames that come through `hook`.
    memory_mb
        Bound of the frames on their way to the recorder, megabytes (10⁶ bytes).
    spill_mb
        Bound of the frames that wait on disk, megabytes.
    own
        The run's process, if it is our child.
    """

    def __init__(
        self,
        run: RunningRun,
        *,
        store: Store = "micro-manager",
        memory_mb: float = 512.0,
        spill_mb: float = 100_000.0,
        own: OwnRun | None = None,
    ) -> None:
        self.run = run
        self._own = own
        self._journal = Journal()
        self._handover = HandOver(int(memory_mb * 1e6))
        self._sink = FrameSink(self._handover, self._journal)
        self._store = store
        self._plus = PymmcorePlusFace(self._sink)
        self._sender = Sender(
            run,
            self._handover,
            self._journal,
            sink=self._sink,
            why_gone=self._why_gone,
            spill_bytes=int(spill_mb * 1e6),
        )
        self._way: str | None = None
        self._sender.start()

    @property
    def hook(self) -> ImageProcessFn:
        """For ``Acquisition(image_process_fn=live.hook)``: every frame on its way from the camera to the storage."""
        self._choose("hook")
        return PycromanagerFaces(self._sink, store=self._store).image_process_fn

    @property
    def saved(self) -> ImageSavedFn:
        """For ``Acquisition(image_saved_fn=live.saved)``: every frame, read back once Micro-Manager has saved it."""
        self._choose("saved")
        return PycromanagerFaces(self._sink, store=self._store).image_saved_fn

    @property
    def output(self) -> PymmcorePlusFace:
        """For ``core.run_mda(sequence, output=[live.output, "raw.ome.zarr"])`` of pymmcore-plus."""
        self._choose("output")
        return self._plus

    @property
    def report(self) -> Report:
        """What has become of the frames so far."""
        return self._journal.report

    @property
    def peak_memory_mb(self) -> float:
        """Most that ever waited for the sending thread, megabytes."""
        return self._handover.peak_nbytes / 1e6

    @contextmanager
    def listen(self, events: Any) -> Iterator[None]:
        """Take the frames of every acquisition that anything in this process starts, while the context is open.

        Parameters
        ----------
        events
            ``CMMCorePlus.instance().mda.events`` of pymmcore-plus, also under napari-micromanager and pymmcore-gui.
        """
        self._choose("listen")
        with listening(events, self._plus):
            yield

    @contextmanager
    def poll(self, core: Any, *, interval_s: float = 0.005) -> Iterator[None]:
        """Take the newest frame of Live mode again and again, while the context is open. NOT lossless.

        Parameters
        ----------
        core
            Core of pycromanager (either back-end), pymmcore or pymmcore-plus.
        interval_s
            Time between two looks, seconds.
        """
        self._choose("poll")
        newest = NewestFrames(core, self._sink, self._journal, interval_s=interval_s)
        newest.start()
        try:
            yield
        finally:
            newest.stop()

    def close(self, *, end_run: bool, finish_s: float = 0.0) -> None:
        """Send what is there, and let go of the run. Raises nothing.

        Parameters
        ----------
        end_run
            Tell the run that nothing more will come.
        finish_s
            Longest wait for a run of our own to finish training and denoising, seconds; then it goes on by itself.
        """
        own = self._own
        self._sender.finish(end_run=end_run, timeout_s=_FLUSH_S)
        if own is not None:
            if finish_s > 0 and own.status is None:
                _LOG.info("quietscope is finishing %s", own.root)
            status = own.wait(finish_s)
            if status is None:
                _LOG.info("quietscope goes on finishing %s by itself", own.root)
            elif status:
                self._journal.fault("gone", f"quietscope ended with status {status}: {own.words()}")
        _LOG.info("quietscope: %s", self.report)

    def _choose(self, way: str) -> None:
        if self._way not in {None, way}:
            msg = (
                f"this session takes frames through live.{self._way} already, and through live.{way} each would come"
                " twice; use one of them"
            )
            raise RunError(msg)
        self._way = way

    def _why_gone(self) -> str | None:
        """Words for the end of the run; None while it goes on."""
        if self._own is not None:
            status = self._own.status
            return None if status is None else f"quietscope ended with status {status}: {self._own.words()}"
        if self.run.root is not None and not self.run.is_alive:
            return f"the run {self.run.root} is no longer going on"
        return None


@contextmanager
def live_denoising(
    *,
    out: str | Path = "quietscope-runs",
    name: str | None = None,
    profile: str | None = None,
    settings: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    attach: str | Path | bool = True,
    keys: str | Path | None = None,
    store: Store = "micro-manager",
    memory_mb: float = 512.0,
    spill_mb: float = 100_000.0,
    finish_s: float = 3600.0,
) -> Iterator[Live]:
    """Denoise what Micro-Manager acquires while the context is open.

    Hands frames to a run that is going on below `out`, or starts one in a process of its own. A fault of quietscope
    never reaches the acquisition: it goes on, and the fault is logged once and kept in ``live.report``.

    Parameters
    ----------
    out
        Folder that holds the run folders.
    name
        Name of the new run; None takes date and time.
    profile, settings
        Shipped profile and settings file of the new run.
    changes
        Settings of the new run by dotted key, for example ``{"training.frames": 20}``.
    attach
        True hands frames to a run that is going on, if there is one and neither name, profile, settings nor changes
        ask for a new one; False always starts one; a run folder or an ingest address names the run.
    keys
        Folder of keys for an ingest address that demands them; a run folder's own settings name them.
    store
        Who stores the raw frames that come through ``live.hook``. ``quietscope`` spares Micro-Manager disk and memory.
    memory_mb
        Bound of the frames in this process that wait for the recorder, megabytes (10⁶ bytes).
    spill_mb
        Bound of the frames that wait on disk, in the run folder, while the recorder takes none, megabytes.
    finish_s
        Longest wait at the end for the new run to finish training and denoising, seconds.

    Yields
    ------
    Live
        ``hook``, ``saved``, ``output``, ``listen`` and ``poll`` are the ways in.

    Raises
    ------
    quietscope.config.RunError
        Before anything is acquired, if the run cannot be started or is not going on.

    Examples
    --------
    ::

        with live_denoising(profile="sd_sim") as live:
            with Acquisition("D:/data", "cells", image_process_fn=live.hook) as acquisition:
                acquisition.acquire(events)
    """
    below = Path(out).expanduser()
    wants_new = any(value is not None for value in (name, profile, settings, changes))
    run: RunningRun | None = None
    if not isinstance(attach, bool):
        run = open_running(attach, keys=None if keys is None else Path(keys).expanduser())
    elif attach and not wants_new:
        run = find_running(below)
    with ExitStack() as stack:
        own: OwnRun | None = None
        if run is None:
            file = None if settings is None else Path(settings).expanduser().absolute()
            own = stack.enter_context(
                OwnRun(out=below, name=name, settings=file, profile=profile, changes=changes)
            )
            run = own.run
        else:
            _LOG.warning("quietscope: frames go to the run that is going on at %s", run.root or run.ingest)
        live = Live(run, store=store, memory_mb=memory_mb, spill_mb=spill_mb, own=own)
        try:
            yield live
        except BaseException:
            live.close(end_run=own is not None)
            raise
        live.close(end_run=own is not None, finish_s=finish_s)
