"""Looks at the run once for all browsers, in a thread of its own."""

import threading
import time
from collections.abc import Callable

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.viewer.archive import Archive, Snapshot
from quietscope.adapters.viewer.light import LightMeter
from quietscope.config.errors import QuietscopeError, StoreError

__all__ = ["Watch"]

_EVERY_S = 1.0
_PATIENCE = 4.0
"""A look that takes long is followed by a pause of so many times its duration."""


class Watch:
    """Keeps a `Snapshot` of the run up to date.

    Parameters
    ----------
    archive
        The run.
    on_look
        Called from this thread after every look; must return at once.
    """

    def __init__(self, archive: Archive, on_look: Callable[[Snapshot], None]) -> None:
        self._archive = archive
        self._on_look = on_look
        self._stop = threading.Event()
        self.light = LightMeter()
        self.snapshot = Snapshot("")
        self._thread = threading.Thread(target=self._run, name="viewer-watch")
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            started = time.monotonic()
            try:
                self.snapshot = self._archive.look()
                self._measure_light()
                self._on_look(self.snapshot)
            except QuietscopeError:
                pass  # the run is being made, or its disk is away for a moment: look again
            pause = max(_EVERY_S, _PATIENCE * (time.monotonic() - started))
        self._archive.close()

    def _measure_light(self) -> None:
        lengths = self.snapshot.lengths
        for channel in range(lengths.c):
            t = self.light.wanted(channel, lengths.t)
            if t is None:
                continue
            try:
                self.light.add(channel, t, self._archive.read("raw", FrameKey(t, channel)))
            except StoreError:
                self.light.miss(channel, t)
