"""Hands the frames of one series to a sink: begins the series with the first frame, and tells when it grows."""

from collections.abc import Mapping
from dataclasses import replace

from quietscope.adapters.frame import Frame, Series
from quietscope.adapters.protocols import Sink
from quietscope.adapters.timeline import Timeline

__all__ = ["Delivery"]


class Delivery:
    """What the readers of one source share.

    Parameters
    ----------
    sink
        Takes the frames.
    source
        Words for where they come from.
    channels
        Channel names so far; readers append to this list.
    timeline
        The count of time points.
    pixel_size_um
        Pixel size, micrometres, where the frames do not say it.
    series
        What an earlier run, which is continued, had told of the series.
    """

    def __init__(
        self,
        sink: Sink,
        source: str,
        channels: list[str],
        timeline: Timeline,
        *,
        pixel_size_um: float | None = None,
        series: Series | None = None,
    ) -> None:
        self.channels = channels
        self.timeline = timeline
        self._sink = sink
        self._source = source
        self._pixel_size_um = pixel_size_um
        self._series = series
        self._told = series is None

    def submit(
        self, frame: Frame, *, pixel_size_um: float | None = None, planned: Mapping[str, int] | None = None
    ) -> bool:
        """Hand over a frame; False if it was rejected.

        Parameters
        ----------
        frame
            The frame.
        pixel_size_um, planned
            Pixel size and lengths by axis, where the frame's origin knows them; only the first frame's count.
        """
        channels = tuple(self.channels)
        if self._series is None:
            height, width = frame.pixels.shape
            self._series = Series(
                height=height,
                width=width,
                dtype=frame.pixels.dtype.name,
                channels=channels,
                source=self._source,
                pixel_size_um=pixel_size_um or self._pixel_size_um,
                planned=dict(planned or {}),
            )
            self._sink.start(self._series)
        elif channels != self._series.channels or not self._told:
            self._series = replace(self._series, channels=channels)
            self._sink.start(self._series)
        self._told = True
        return self._sink.submit(frame)

    def reject(self, name: str, reason: str, detail: str) -> None:
        """Name and count something that is no valid frame."""
        self._sink.reject(name, reason, detail)
