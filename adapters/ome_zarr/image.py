"""One image of a store: both arrays with their pyramids, their growth and their metadata."""

import threading
from pathlib import Path

import numpy as np
import tensorstore as ts

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.ome_zarr.arrays import create_array, open_array, store_errors
from quietscope.adapters.ome_zarr.layout import KINDS, Kind, level_sizes
from quietscope.adapters.ome_zarr.metadata import fill_names, group_document, root_document, write_json
from quietscope.adapters.ome_zarr.pyramid import pyramid
from quietscope.config.system import StoreSettings

__all__ = ["Image"]

_BLOCK = 64
"""T grows by so many time points at once, so that growing costs nothing per frame."""


class Image:
    """The image of one stage position, open for writing.

    Parameters
    ----------
    path
        Folder ``….ome.zarr``.
    series
        What its frames share.
    settings
        Chunks, codec, durability.
    names
        Channel names known so far.
    position
        Stage position.
    context
        From `store_context`.
    resume
        Open what is there instead of creating it.
    """

    def __init__(
        self,
        path: Path,
        series: Series,
        settings: StoreSettings,
        *,
        names: tuple[str, ...],
        position: int,
        context: ts.Context,
        resume: bool = False,
    ) -> None:
        self.path = path
        self._series = series
        self._sync = settings.sync
        self._position = position
        self._sizes = level_sizes(series.height, series.width)
        self._lock = threading.Lock()
        self._windows: dict[int, tuple[float, float]] = {}
        self._interval_s: float | None = None
        self._arrays: dict[Kind, list[ts.TensorStore]] = {}
        with store_errors("open the image" if resume else "create the image", path):
            if resume:
                for kind in KINDS:
                    self._arrays[kind] = [
                        open_array(path / kind / str(level), context) for level in range(len(self._sizes))
                    ]
                channels = max(int(arrays[0].shape[1]) for arrays in self._arrays.values())
            else:
                channels = max(len(names), series.planned.get("c", 0), 1)
                self._create(settings, channels, context)
            self._names = fill_names(names, channels)
            self._write_root(complete=False)

    def _create(self, settings: StoreSettings, channels: int, context: ts.Context) -> None:
        self.path.mkdir(parents=True)
        first = (self._blocks(0), channels, max(self._series.planned.get("z", 1), 1))
        for kind in KINDS:
            (self.path / kind).mkdir()
            write_json(self.path / kind / "zarr.json", group_document(), sync=self._sync)
            self._arrays[kind] = [
                create_array(
                    self.path / kind / str(level), (*first, *size), self._series.dtype, settings, context
                )
                for level, size in enumerate(self._sizes)
            ]

    def write(self, kind: Kind, key: FrameKey, pixels: Pixels) -> None:
        """Store a plane; returns when it is durable. Threads may call at the same time.

        Parameters
        ----------
        kind
            ``raw`` or ``denoised``.
        key
            Place of the plane; its position must be this image's.
        pixels
            Shape and dtype of the series.

        Raises
        ------
        quietscope.config.StoreError
            If the disk fails.
        """
        with store_errors(f"write {kind} {key}", self.path):
            arrays = self._grown(kind, key)
            if kind == "raw" and key.c not in self._windows:
                self._set_window(key.c, pixels)
            planes = pyramid(pixels, len(arrays))
            # Coarse levels first: a viewer that finds level 0 finds the others as well.
            pending = [
                array[key.t, key.c, key.z].write(plane)
                for array, plane in zip(arrays[1:], planes[1:], strict=True)
            ]
            for future in pending:
                future.result()
            arrays[0][key.t, key.c, key.z].write(pixels).result()

    def set_channels(self, names: tuple[str, ...]) -> None:
        """Write channel names into the metadata; missing ones become ``Channel N``."""
        with self._lock, store_errors("write the channel names", self.path):
            self._names = fill_names(names, self._channels())
            self._write_root(complete=False)

    def finish(self, committed_t: int, interval_s: float | None) -> None:
        """Give both images the length `committed_t` + 1 and write the final metadata.

        Only metadata changes: a plane beyond the end stays on disk.
        """
        with self._lock, store_errors("finish the image", self.path):
            self._interval_s = interval_s
            channels = self._channels()
            planes = max(int(arrays[0].shape[2]) for arrays in self._arrays.values())
            for kind in KINDS:
                self._resize(kind, (committed_t + 1, channels, planes))
            self._write_root(complete=True)

    def _grown(self, kind: Kind, key: FrameKey) -> list[ts.TensorStore]:
        """Arrays of `kind`, large enough for `key`."""
        with self._lock:
            length, channels, planes = (int(n) for n in self._arrays[kind][0].shape[:3])
            if key.t >= length or key.c >= channels or key.z >= planes:
                wanted = (
                    max(length, self._blocks(key.t)) if key.t >= length else length,
                    max(channels, key.c + 1),
                    max(planes, key.z + 1),
                )
                self._resize(kind, wanted)
                if len(self._names) < wanted[1]:
                    self._names = fill_names(self._names, wanted[1])
                    self._write_root(complete=False)
            return self._arrays[kind]

    def _resize(self, kind: Kind, shape: tuple[int, int, int]) -> None:
        arrays = list(self._arrays[kind])
        for level in reversed(range(len(arrays))):
            arrays[level] = (
                arrays[level]
                .resize(exclusive_max=[*shape, *self._sizes[level]], resize_metadata_only=True)
                .result()
            )
        # A new list: other threads still write through the one they took.
        self._arrays[kind] = arrays

    def _blocks(self, t: int) -> int:
        length = (t // _BLOCK + 1) * _BLOCK
        planned = self._series.planned.get("t", 0)
        return min(length, planned) if t < planned else length

    def _channels(self) -> int:
        return max(int(arrays[0].shape[1]) for arrays in self._arrays.values())

    def _set_window(self, channel: int, pixels: Pixels) -> None:
        """Display range from the first frame of a channel: 0.1 % to 99.9 % of its finite pixels."""
        sample = pixels[::2, ::2]
        finite = sample[np.isfinite(sample)]
        low, high = (float(v) for v in np.percentile(finite, (0.1, 99.9))) if finite.size else (0.0, 1.0)
        with self._lock:
            self._windows[channel] = (low, high if high > low else low + 1.0)
            self._write_root(complete=False)

    def _write_root(self, *, complete: bool) -> None:
        document = root_document(
            self._series,
            self._names,
            windows=self._windows,
            interval_s=self._interval_s,
            position=self._position,
            complete=complete,
        )
        write_json(self.path / "zarr.json", document, sync=self._sync)
