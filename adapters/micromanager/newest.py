"""Live mode without an acquisition: looks at the core's newest frame again and again. NOT lossless, and says so."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from quietscope.adapters.frame import Pixels
from quietscope.adapters.micromanager.handover import Note
from quietscope.adapters.micromanager.report import Journal
from quietscope.adapters.micromanager.sink import FrameSink

__all__ = ["NewestFrames"]

_IDLE_S = 0.1

_Newest = Callable[[], tuple[Pixels, Mapping[str, Any]]]


class NewestFrames:
    """A thread that takes the newest frame whenever it has changed.

    Frames between two looks are missed; those that the image numbers tell of are counted.

    Parameters
    ----------
    core
        Core of pycromanager (either back-end), pymmcore or pymmcore-plus.
    sink
        Takes the frames.
    journal
        Counts the missed ones.
    interval_s
        Time between two looks, seconds.
    """

    def __init__(self, core: Any, sink: FrameSink, journal: Journal, *, interval_s: float) -> None:
        self._newest, self._is_running = _ways_to_look(core)
        self._sink = sink
        self._journal = journal
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quietscope-live-mode", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._guarded(self._is_running):
                self._sink.note(
                    Note("live mode: only the newest frames are taken, NOT lossless", "warning", begins=True)
                )
                self._follow()
            self._stop.wait(_IDLE_S)

    def _follow(self) -> None:
        """Take frames until live mode is switched off."""
        last: tuple[Any, ...] | None = None
        last_number: int | None = None
        count = 0
        look_s = time.monotonic()
        while not self._stop.is_set():
            found = self._guarded(self._newest)
            if found is not None:
                pixels, tags = found
                mark = tuple(
                    str(tags.get(tag)) for tag in ("ImageNumber", "TimeReceivedByCore", "ElapsedTime-ms")
                )
                if mark != last:
                    number = _number(tags.get("ImageNumber"))
                    if number is not None and last_number is not None and number > last_number + 1:
                        self._journal.count(missed=number - last_number - 1)
                    last, last_number = mark, number
                    self._sink.take(pixels, {**tags, "Axes": {"time": count}}, owned=True)
                    count += 1
            if time.monotonic() - look_s > _IDLE_S:
                look_s = time.monotonic()
                if not self._guarded(self._is_running):
                    return
            self._stop.wait(self._interval_s)

    @staticmethod
    def _guarded(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except Exception:  # noqa: BLE001 - the core has no frame yet, or is being reconfigured
            return None


def _ways_to_look(core: Any) -> tuple[_Newest, Callable[[], bool]]:
    """How to get the newest frame from this kind of core, and how to see whether live mode is on."""
    running = core.isSequenceRunning if hasattr(core, "isSequenceRunning") else core.is_sequence_running
    if hasattr(core, "getLastImageAndMD"):  # pymmcore-plus
        return lambda: _of_plus(core), running
    if hasattr(core, "getLastImageMD"):  # pymmcore, and pycromanager's Python back-end
        return lambda: _of_pymmcore(core.getLastImageMD), running
    return lambda: _of_java(core), running


def _of_plus(core: Any) -> tuple[Pixels, Mapping[str, Any]]:
    pixels, tags = core.getLastImageAndMD()
    return pixels, dict(tags)


def _of_pymmcore(newest: Callable[[Any], Pixels]) -> tuple[Pixels, Mapping[str, Any]]:
    import pymmcore

    tags = pymmcore.Metadata()
    pixels = newest(tags)
    return pixels, {name: tags.GetSingleTag(name).GetValue() for name in tags.GetKeys()}


def _of_java(core: Any) -> tuple[Pixels, Mapping[str, Any]]:
    image = core.get_last_tagged_image()
    tags = dict(image.tags)
    shape = (int(tags["Height"]), int(tags["Width"]))
    pixels = np.asarray(image.pix)
    return pixels.reshape(shape if pixels.size == shape[0] * shape[1] else (*shape, -1)), tags


def _number(text: object) -> int | None:
    try:
        return int(str(text))
    except ValueError:
        return None
