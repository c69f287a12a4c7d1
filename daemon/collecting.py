"""The first usable frames of every channel of a source, in memory: what offline training needs."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.daemon.training_frames import LOOK_AT
from quietscope.models.noise import unusable_reason

__all__ = ["Collected", "Collector"]


@dataclass
class Collected:
    """Usable frames of one channel.

    Parameters
    ----------
    frames, keys
        In order of arrival.
    refused
        Reason → number of frames that cannot be trained on.
    """

    frames: list[NDArray[Any]] = field(default_factory=list)
    keys: list[FrameKey] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class Collector:
    """A `quietscope.adapters.protocols.Sink` that keeps the first `wanted` usable frames of each channel.

    Parameters
    ----------
    wanted
        Frames per channel.
    stop
        Set when every channel known has them.
    """

    def __init__(self, wanted: int, stop: threading.Event) -> None:
        self._wanted = wanted
        self._stop = stop
        self._known: set[FrameKey] = set()
        self.series: Series | None = None
        self.channels: dict[int, Collected] = {}
        self.rejected: list[str] = []

    def start(self, series: Series) -> None:
        """Learn the channels."""
        self.series = series

    def submit(self, frame: Frame) -> bool:
        """Keep the frame if it is wanted and usable."""
        series = self.series
        assert series is not None
        if frame.pixels.shape != (series.height, series.width) or frame.pixels.dtype != series.dtype:
            what = f"shape {frame.pixels.shape}, dtype {frame.pixels.dtype}"
            self.reject(str(frame.key), "shape", f"{what}; the series is {series.height}x{series.width}")
            return False
        if frame.key in self._known:
            return False
        self._known.add(frame.key)
        held = self.channels.setdefault(frame.key.c, Collected())
        if len(held.frames) < self._wanted:
            fault = unusable_reason(frame.pixels)
            if fault is None:
                held.frames.append(frame.pixels)
                held.keys.append(frame.key)
            else:
                held.refused[fault] += 1
        if all(self._is_full(c) for c in range(len(series.channels))):
            self._stop.set()
        return True

    def reject(self, name: str, reason: str, detail: str) -> None:
        """Remember what was left out."""
        self.rejected.append(f"{name} ({reason}): {detail}")

    def _is_full(self, channel: int) -> bool:
        held = self.channels.get(channel)
        return held is not None and (len(held.frames) >= self._wanted or held.refused.total() >= LOOK_AT)
