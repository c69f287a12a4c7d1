"""A source that is read again after a crash: what the ledger has is passed over, the rest keeps its place."""

import zlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.protocols import Sink

__all__ = ["Continuation"]


class Continuation:
    """Sink between a source that begins anew and the run it began before.

    Files are known by name and page. A file that is not known keeps the key it is given now if that is free;
    otherwise (names that mean nothing are counted in order of arrival, and the order was another one) it gets the
    next free time point, all planes of one of its time points the same. Channels are known by their names.

    Parameters
    ----------
    sink
        Takes what is missing.
    series
        The series as it was recorded.
    known
        Frames that are in the ledger.
    pages
        Name and page → CRC-32 → key of those that came out of files; None for a source whose keys are always the same.
    rejections
        Name and reason of what was rejected before.
    """

    def __init__(
        self,
        sink: Sink,
        series: Series,
        known: frozenset[FrameKey],
        pages: Mapping[tuple[str, int], Mapping[int, FrameKey]] | None,
        rejections: set[tuple[str, str]],
    ) -> None:
        self._sink = sink
        self._series = series
        self._channels: tuple[str, ...] = ()
        self._taken = set(known)
        self._pages = pages
        self._rejections = rejections
        self._times: dict[tuple[str, int], int] = {}
        self.checksums: set[int] = set()

    @property
    def taken(self) -> frozenset[FrameKey]:
        """Keys of all frames that are known or have been handed over."""
        return frozenset(self._taken)

    def start(self, series: Series) -> None:
        """Learn the channels of the source; size and pixel type stay those of the run."""
        self._channels = series.channels
        new = tuple(name for name in series.channels if name not in self._series.channels)
        if new:
            self._series = replace(self._series, channels=self._series.channels + new)
            self._sink.start(self._series)

    def submit(self, frame: Frame) -> bool:
        """Hand over a frame unless the ledger has it."""
        checksum = zlib.crc32(np.ascontiguousarray(frame.pixels).data)
        key = frame.key._replace(c=self._channel(frame.key.c))
        if self._pages is not None:
            name, page = str(frame.metadata["name"]), int(frame.metadata["page"])
            before = self._pages.get((name, page), {}).get(checksum)
            if before is not None:
                self._times[name, key.t] = before.t
                return False
            key = key._replace(t=self._time(name, key))
        elif key in self._taken:
            return False
        if not self._sink.submit(replace(frame, key=key)):
            return False
        self._taken.add(key)
        self.checksums.add(checksum)
        return True

    def reject(self, name: str, reason: str, detail: str) -> None:
        """Name something that is no valid frame, unless it was named before."""
        if (name, reason) not in self._rejections:
            self._sink.reject(name, reason, detail)

    def _channel(self, channel: int) -> int:
        if channel >= len(self._channels) or self._channels[channel] not in self._series.channels:
            return channel
        return self._series.channels.index(self._channels[channel])

    def _time(self, name: str, key: FrameKey) -> int:
        if (name, key.t) not in self._times:
            t = key.t if key not in self._taken else max(taken.t for taken in self._taken) + 1
            self._times[name, key.t] = t
        return self._times[name, key.t]
