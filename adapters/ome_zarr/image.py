"""One image of a store: both arrays with their pyramids, their growth and their metadata."""

import json
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorstore as ts

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.ome_zarr.arrays import create_array, open_array, store_errors
from quietscope.adapters.ome_zarr.durability import sync_folders, write_json
from quietscope.adapters.ome_zarr.layout import KINDS, Kind, dtype_of, level_sizes
from quietscope.adapters.ome_zarr.metadata import fill_names, image_documents
from quietscope.adapters.ome_zarr.pyramid import pyramid
from quietscope.config.faultpoints import reach
from quietscope.config.system import StoreSettings

__all__ = ["Image"]

_BLOCK = 64
"""T grows by so many time points at once, so that growing costs next to nothing per frame."""


class _Lengths(NamedTuple):
    """Lengths of the axes that grow."""

    t: int
    c: int
    z: int


class Image:
    """The image of one stage position, open for writing.

    All its arrays always have the same lengths. Trust comes with the first plane of it.

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

    Raises
    ------
    quietscope.config.StoreError
        If the disk fails.
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
        self._settings = settings
        self._context = context
        self._sync = settings.sync
        self._position = position
        self._sizes = level_sizes(series.height, series.width)
        self._lock = threading.Lock()
        self._names = names
        self._windows: dict[int, tuple[float, float]] = {}
        self._interval_s: float | None = None
        self._arrays: dict[Kind, list[ts.TensorStore]] = {}
        with store_errors("open the image" if resume else "create the image", path):
            if not resume:
                self._create()
            self._lengths = self._open()
            self._names = fill_names(self._names, self._lengths.c)
            self._write_metadata(self.path, complete=False)

    def write(self, kind: Kind, key: FrameKey, pixels: Pixels) -> None:
        """Store a plane; returns when it is durable. Threads may call at the same time.

        Parameters
        ----------
        kind
            ``raw``, ``denoised`` or ``trust``.
        key
            Place of the plane; its position must be this image's.
        pixels
            Shape and dtype of the series; uint8 for ``trust``.

        Raises
        ------
        quietscope.config.StoreError
            If the disk fails.
        """
        with store_errors(f"write {kind} {key}", self.path):
            reach("store.write")
            arrays = self._prepared(kind, key, pixels)
            # All levels at once, the large one first, so that its encoding and its way to the disk hide what the others
            # take. tensorstore syncs each file and its folder; journalling file systems then have the folders above,
            # too. Syncing those by hand costs a disk flush each (measured: 20 ms a plane instead of 5).
            pending = []
            try:
                for array, plane in zip(arrays, pyramid(pixels, len(arrays)), strict=True):
                    place = array[key.t, key.c, key.z]
                    # no copy: nobody changes the pixels before the write has ended
                    pending.append(place.write(plane, can_reference_source_data_indefinitely=True))
            finally:
                # whoever tries again must not meet a level that is still being written
                failed = [error for error in [future.exception() for future in pending] if error is not None]
            if failed:
                raise failed[0]
            reach("store.sync")

    def set_channels(self, names: tuple[str, ...]) -> None:
        """Write channel names into the metadata; missing ones become ``Channel N``."""
        with self._lock, store_errors("write the channel names", self.path):
            self._resize(self._lengths._replace(c=max(self._lengths.c, len(names))))
            self._names = fill_names(names, self._lengths.c)
            self._write_metadata(self.path, complete=False)

    def finish(self, length: int, interval_s: float | None) -> None:
        """Give all images `length` time points and write the final metadata.

        Only metadata changes: a plane beyond the end stays on disk.
        """
        with self._lock, store_errors("finish the image", self.path):
            self._interval_s = interval_s
            self._resize(self._lengths._replace(t=length))
            self._write_metadata(self.path, complete=True)

    def _create(self) -> None:
        """Make an empty image, which appears under its name only when it is complete."""
        planned = self._series.planned
        channels = max(len(self._names), planned.get("c", 1), 1)
        lengths = _Lengths(self._block_end(0), channels, max(planned.get("z", 1), 1))
        self._names = fill_names(self._names, channels)
        partial = self.path.with_name(f".{self.path.name}.partial")
        # What a crash has left there holds no frame yet.
        shutil.rmtree(partial, ignore_errors=True)
        for kind in KINDS:
            self._create_arrays(partial / kind, kind, lengths)
        self._write_metadata(partial, complete=False)
        partial.rename(self.path)
        if self._sync:
            sync_folders([self.path.parent])

    def _create_arrays(self, folder: Path, kind: Kind, lengths: _Lengths) -> None:
        folder.mkdir(parents=True)
        dtype = dtype_of(kind, self._series.dtype)
        for level, size in enumerate(self._sizes):
            create_array(folder / str(level), (*lengths, *size), dtype, self._settings, self._context)

    def _open_arrays(self, kind: Kind) -> None:
        folder = self.path / kind
        self._arrays[kind] = [
            open_array(folder / str(level), self._context) for level in range(len(self._sizes))
        ]

    def _add_trust(self) -> None:
        """Make the image of trust maps, which appears under its name only when it is complete."""
        folder, partial = self.path / "trust", self.path / ".trust.partial"
        shutil.rmtree(partial, ignore_errors=True)
        self._create_arrays(partial, "trust", self._lengths)
        partial.rename(folder)
        self._open_arrays("trust")

    def _open(self) -> _Lengths:
        attributes = json.loads((self.path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        labels = [channel["label"] for channel in attributes["ome"]["omero"]["channels"]]
        self._names += tuple(labels[len(self._names) :])
        ranges = attributes["quietscope"]["display_ranges"]
        self._windows = {int(channel): (low, high) for channel, (low, high) in ranges.items()}
        for kind in (*KINDS, "trust") if (self.path / "trust").is_dir() else KINDS:
            self._open_arrays(kind)
        # A crash may have come between the growth of two arrays.
        first = [arrays[0].shape[:3] for arrays in self._arrays.values()]
        self._lengths = _Lengths(*(int(max(lengths)) for lengths in zip(*first, strict=True)))
        self._resize(self._lengths)
        return self._lengths

    def _prepared(self, kind: Kind, key: FrameKey, pixels: Pixels) -> list[ts.TensorStore]:
        """Arrays of `kind`, large enough for `key`, with metadata that fits."""
        with self._lock:
            has = self._lengths
            wanted = _Lengths(
                has.t if key.t < has.t else self._block_end(key.t),
                max(has.c, key.c + 1),
                max(has.z, key.z + 1),
            )
            news = wanted.c != has.c
            if wanted != has:
                self._resize(wanted)
                self._names = fill_names(self._names, wanted.c)
            if kind == "raw" and key.c not in self._windows:
                self._windows[key.c] = _display_range(pixels)
                news = True
            if kind not in self._arrays:
                self._add_trust()
                news = True
            if news:
                self._write_metadata(self.path, complete=False)
            return self._arrays[kind]

    def _resize(self, lengths: _Lengths) -> None:
        for kind, held in self._arrays.items():
            arrays = list(held)
            for level in reversed(range(len(arrays))):
                shape = [*lengths, *self._sizes[level]]
                arrays[level] = arrays[level].resize(exclusive_max=shape, resize_metadata_only=True).result()
            # A new list: other threads still write through the one they took.
            self._arrays[kind] = arrays
        self._lengths = lengths

    def _block_end(self, t: int) -> int:
        """Length of a T that holds time point `t`: whole blocks, but not more than planned."""
        length = (t // _BLOCK + 1) * _BLOCK
        planned = self._series.planned.get("t", 0)
        return min(length, planned) if t < planned else length

    def _write_metadata(self, image: Path, *, complete: bool) -> None:
        documents = image_documents(
            self._series,
            self._names,
            windows=self._windows,
            interval_s=self._interval_s,
            position=self._position,
            complete=complete,
            kinds=tuple(self._arrays) or KINDS,
        )
        for folder, document in documents.items():
            write_json(image / folder / "zarr.json", document, sync=self._sync)


def _display_range(pixels: Pixels) -> tuple[float, float]:
    """Grey levels to show a channel with: 0.1 % to 99.9 % of the finite pixels of its first frame."""
    sample = pixels[::2, ::2]
    finite = sample[np.isfinite(sample)]
    low, high = (float(v) for v in np.percentile(finite, (0.1, 99.9))) if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0
