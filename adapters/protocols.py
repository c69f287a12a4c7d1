"""The seams between a source of frames and whoever takes them."""

import threading
from typing import Protocol

from quietscope.adapters.frame import Frame, FrameKey, Pixels, Series

__all__ = ["Sink", "Source", "TruthSource"]


class Sink(Protocol):
    """Takes frames. No method raises for a bad frame: it is named, counted and left out."""

    def start(self, series: Series) -> None:
        """Say what the frames have in common; must come before the first `submit`.

        May be called again when the source learns more (further channels); height, width and dtype never
        change.
        """

    def submit(self, frame: Frame) -> bool:
        """Hand over a frame; False if it was rejected. May wait when the sink's policy is to block."""

    def reject(self, name: str, reason: str, detail: str) -> None:
        """Count something that came but is no valid frame.

        Parameters
        ----------
        name
            The thing (file name, key in words).
        reason
            Short key of the ``rejected`` table: ``truncated``, ``unreadable``, ``shape``, ``dtype``,
            ``duplicate``, …
        detail
            What was wrong and how to mend it.
        """


class Source(Protocol):
    """Produces frames from somewhere."""

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver frames until the series is over or `stop` is set, then what is already there, and return.

        Raises
        ------
        quietscope.config.SourceError
            If the source cannot start or go on.
        """


class TruthSource(Protocol):
    """A source whose noiseless truth is known."""

    def truth(self, key: FrameKey) -> Pixels:
        """Noiseless frame in grey levels, float32, shape (Y, X)."""
