"""The one sink behind every face: copies a frame, hands it over, counts it; never waits, never raises."""

import time

import numpy as np

from quietscope.adapters.frame import Pixels
from quietscope.adapters.micromanager.handover import Arrival, HandOver, Note, Source
from quietscope.adapters.micromanager.report import Journal

__all__ = ["FrameSink"]


class FrameSink:
    """Takes frames in the camera's thread.

    Every step is guarded: whatever goes wrong here, the acquisition goes on and the fault is said once.

    Parameters
    ----------
    handover
        Where frames go.
    journal
        Where they are counted.
    """

    def __init__(self, handover: HandOver, journal: Journal) -> None:
        self._handover = handover
        self._journal = journal
        self._closed: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether frames are still handed over."""
        return self._closed is None

    def close(self, why: str = "") -> None:
        """Hand nothing over any more; frames that come all the same are a fault named `why`, if it is not said yet."""
        if self._closed is None:
            self._closed = why

    def take(
        self,
        pixels: Pixels,
        source: Source,
        *,
        colours: tuple[str, ...] = ("red", "green", "blue"),
        owned: bool = False,
    ) -> bool:
        """Take a frame.

        Parameters
        ----------
        pixels
            Shape (Y, X), or (Y, X, 3) from a colour camera.
        source
            What says what the frame is.
        colours
            Names of the colour planes.
        owned
            Whether nobody else uses the array, which saves the copy.

        Returns
        -------
        bool
            Whether it was handed over.
        """
        try:
            self._journal.count(seen=1)
            if self._closed is not None:
                self._journal.count(late=1)
                if self._closed:
                    self._journal.fault("late", self._closed)
                return False
            array = np.asarray(pixels)
            if self._handover.has_room(array.nbytes):
                kept = array if owned and array.flags.c_contiguous else array.copy(order="C")
                if self._handover.offer(Arrival(kept, time.time_ns(), source, colours)):
                    return True
            self._journal.count(lost=1)
            self._journal.fault(
                "full",
                "the memory for frames on their way to quietscope is full, so frames are lost to it from now and then;"
                " Micro-Manager is not slowed down. Raise memory_mb, or give the run a faster disk",
            )
        except Exception as error:  # noqa: BLE001 - nothing may reach the camera's thread
            self.failed("taking a frame", error)
        return False

    def note(self, note: Note) -> None:
        """Pass on something that is no frame."""
        try:
            if self._closed is None:
                self._handover.offer(note)
        except Exception as error:  # noqa: BLE001 - as above
            self.failed("taking a note", error)

    def failed(self, doing: str, error: Exception) -> None:
        """Count a frame that was lost to a fault of ours, and say so once."""
        self._journal.count(lost=1)
        self._journal.fault(
            f"{doing} {type(error).__name__}",
            f"{doing} failed ({error!r}); Micro-Manager goes on without quietscope",
        )
