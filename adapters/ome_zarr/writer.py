"""Writing the store of a run."""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.ome_zarr.arrays import store_context
from quietscope.adapters.ome_zarr.image import Image
from quietscope.adapters.ome_zarr.layout import KINDS, Kind, dtype_of, image_path, positions_in
from quietscope.config.errors import FrameError, StoreError
from quietscope.config.system import StoreSettings

__all__ = ["StoreWriter"]


class StoreWriter:
    """The store of a run, open for writing by this process alone.

    Parameters
    ----------
    run
        The run folder; ``image.ome.zarr`` is created in it, and ``image_p001.ome.zarr`` and so on with
        the first frame of a further position.
    series
        What the frames share.
    settings
        Chunks, codec, durability.
    resume
        Go on with the store of an earlier run instead of creating one.

    Raises
    ------
    quietscope.config.StoreError
        If there is a store already (or none, with `resume`), or the disk fails.
    """

    def __init__(self, run: Path, series: Series, settings: StoreSettings, *, resume: bool = False) -> None:
        self._run = run
        self._series = series
        self._settings = settings
        self._resume = resume
        self._names = series.channels
        self._context = store_context(sync=settings.sync)
        self._lock = threading.Lock()
        self._images: dict[int, Image] = {}
        if resume and not (self.path / "zarr.json").is_file():
            msg = f"There is no image store at {self.path}. Name the folder of a run that has one."
            raise StoreError(msg)
        for position in positions_in(run) if resume else (0,):
            self._image(position)

    @property
    def path(self) -> Path:
        """Folder of the first position's image."""
        return image_path(self._run)

    def write(self, kind: Kind, key: FrameKey, pixels: Pixels) -> None:
        """Store a plane; returns when it is durable. Threads may call at the same time with different keys.

        Parameters
        ----------
        kind
            ``raw``, ``denoised`` or ``trust``.
        key
            Place of the plane. The images grow as needed.
        pixels
            Shape (Y, X) and dtype of the series; uint8 for ``trust``.

        Raises
        ------
        quietscope.config.FrameError
            If shape or dtype is not the series'.
        quietscope.config.StoreError
            If the disk fails or is full (``errno`` is then ``ENOSPC``).
        """
        self._check(kind, key, pixels)
        self._image(key.p).write(kind, key, pixels)

    def set_channels(self, names: tuple[str, ...]) -> None:
        """Write channel names into the metadata of all positions; missing ones become ``Channel N``."""
        with self._lock:
            self._names = names
            images = list(self._images.values())
        for image in images:
            image.set_channels(names)

    def finish(self, committed_t: int | Mapping[int, int], *, interval_s: float | None = None) -> None:
        """Trim T to the last committed time point and write the final metadata.

        Parameters
        ----------
        committed_t
            Last committed time point of every position, or by position (missing ones: none, −1).
        interval_s
            Time between two time points, seconds, where known.

        Raises
        ------
        quietscope.config.StoreError
            If the disk fails.
        """
        for position, image in self._images.items():
            last = committed_t if isinstance(committed_t, int) else committed_t.get(position, -1)
            image.finish(last + 1, interval_s)

    def _image(self, position: int) -> Image:
        with self._lock:
            image = self._images.get(position)
            if image is None:
                path = image_path(self._run, position)
                resume = self._resume and path.exists()
                if path.exists() and not resume:
                    msg = (
                        f"{path} exists already and is never overwritten. "
                        "Choose another run name with --name, or another folder with --out."
                    )
                    raise StoreError(msg)
                image = Image(
                    path,
                    self._series,
                    self._settings,
                    names=self._names,
                    position=position,
                    context=self._context,
                    resume=resume,
                )
                self._images[position] = image
            return image

    def _check(self, kind: Kind, key: FrameKey, pixels: Pixels) -> None:
        if kind not in (*KINDS, "trust"):
            msg = f"A store holds {', '.join(KINDS)} and trust, not {kind!r}"
            raise StoreError(msg)
        if min(key) < 0:
            msg = f"The key {key} of a plane must not be negative"
            raise StoreError(msg)
        wanted = (self._series.height, self._series.width)
        if pixels.shape != wanted:
            msg = (
                f"{kind} {key} has shape {pixels.shape}, and the series has {wanted}; start a new run for it"
            )
            raise FrameError("shape", msg)
        dtype = dtype_of(kind, self._series.dtype)
        if pixels.dtype != np.dtype(dtype):
            msg = f"{kind} {key} is {pixels.dtype}, and the image is {dtype}; convert it"
            raise FrameError("dtype", msg)
