"""Layers that show the newest frame of a run."""

from typing import Any

from quietscope.adapters.frame import Series, channel_name
from quietscope.adapters.napari_plugin.appearance import DOUBTS, colormap, limits
from quietscope.adapters.ome_zarr.metadata import channel_colour
from quietscope.adapters.subscriber import ReceivedFrame
from quietscope.adapters.wire_headers import FrameKind

__all__ = ["LiveLayers"]

_TITLES: dict[FrameKind, str] = {
    "raw": "live raw",
    "preview": "live preview (blurred, no model yet)",
    "denoised": "live denoised",
    "trust": "live doubts",
}


class LiveLayers:
    """Adds one layer for each kind and channel and gives it every newer frame.

    A layer that the user has removed does not come back. Contrast is set with the first frame and is the user's
    from then on.

    Parameters
    ----------
    viewer
        napari's viewer, ``napari.Viewer`` or ``napari.components.ViewerModel``.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layers: dict[tuple[FrameKind, int], Any] = {}

    def show(self, frame: ReceivedFrame, series: Series | None) -> None:
        """Put a frame into its layer, which is added if there is none.

        Parameters
        ----------
        frame
            From the wire.
        series
            What the frames share, for names and pixel size, where known.
        """
        place = frame.kind, frame.key.c
        layer = self._layers.get(place)
        if layer is None:
            self._layers[place] = self._added(frame, series)
            self._make_room(frame.key.c)
        elif layer in self._viewer.layers:
            layer.data = frame.pixels

    def _added(self, frame: ReceivedFrame, series: Series | None) -> Any:
        channel = frame.key.c
        names = () if series is None else series.channels
        size = frame.header.pixel_size_um
        doubts = frame.kind == "trust"
        return self._viewer.add_image(
            frame.pixels,
            name=f"{_TITLES[frame.kind]}: {channel_name(names, channel)}",
            contrast_limits=(0, 255) if doubts else limits(frame.pixels),
            colormap=dict(DOUBTS) if doubts else colormap(channel_colour(channel, max(1, len(names)))),
            visible=not doubts,
            blending="additive",
            scale=(size or 1.0,) * 2,
            units=("micrometer" if size else "pixel",) * 2,
            axis_labels=("y", "x"),
            metadata={"quietscope": {"kind": frame.kind, "channel": channel}},
        )

    def _make_room(self, channel: int) -> None:
        """Leave one layer of a channel in sight when another one comes: denoised before preview before raw."""
        raw, preview = self._there("raw", channel), self._there("preview", channel)
        denoised = self._there("denoised", channel)
        if denoised is not None and preview is not None:
            self._viewer.layers.remove(preview)
        if raw is not None and (denoised is not None or preview is not None):
            raw.visible = False

    def _there(self, kind: FrameKind, channel: int) -> Any | None:
        layer = self._layers.get((kind, channel))
        return layer if layer is not None and layer in self._viewer.layers else None
