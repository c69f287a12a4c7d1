"""Reading planes of a store, also while another process writes it."""

import threading
from pathlib import Path

import numpy as np
import tensorstore as ts

from quietscope.adapters.frame import FrameKey, Pixels
from quietscope.adapters.ome_zarr.arrays import open_array, store_context, store_errors
from quietscope.adapters.ome_zarr.layout import Kind, image_path
from quietscope.config.errors import StoreError

__all__ = ["StoreReader"]


class StoreReader:
    """The store of a run, open for reading; sees what the writing process adds.

    Parameters
    ----------
    run
        The run folder.

    Raises
    ------
    quietscope.config.StoreError
        If there is no store in it.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._context = store_context(sync=False)
        self._lock = threading.Lock()
        self._arrays: dict[tuple[Kind, int, int], ts.TensorStore] = {}
        if not (self.path / "zarr.json").is_file():
            msg = f"There is no image store at {self.path}. Name the folder of a run that has one."
            raise StoreError(msg)

    @property
    def path(self) -> Path:
        """Folder of the first position's image."""
        return image_path(self._run)

    def levels(self, key: FrameKey) -> int:
        """Number of pyramid levels that the image of a plane has, full resolution included."""
        folder = image_path(self._run, key.p) / "raw"
        return sum((level / "zarr.json").is_file() for level in folder.glob("[0-9]*"))

    def read(self, kind: Kind, key: FrameKey, level: int = 0) -> Pixels:
        """Pixels of a plane. Threads may call at the same time.

        Parameters
        ----------
        kind
            ``raw``, ``denoised`` or ``trust``.
        key
            Place of the plane.
        level
            Pyramid level; 0 is full resolution.

        Returns
        -------
        Pixels
            Shape (Y, X), dtype of the series, uint8 for ``trust``; a new array.

        Raises
        ------
        quietscope.config.StoreError
            If the plane has not been written, or the disk fails.
        """
        image = image_path(self._run, key.p)
        if not image.is_dir():
            msg = f"{kind} {key} is not in the store: there is no {image}"
            raise StoreError(msg)
        with store_errors(f"read {kind} {key}", image):
            array = self._array(kind, key, level, image)
            if min(key) < 0 or not _holds(array, key):
                msg = f"{kind} {key} is not in the store: {image} has {array.shape[:3]} (t, c, z)"
                raise StoreError(msg)
            try:
                return np.asarray(array[key.t, key.c, key.z].read().result())
            except ValueError as error:
                if "NOT_FOUND" not in str(error):
                    raise
                msg = f"{kind} {key} is not in the store: it has not been written to {image}"
                raise StoreError(msg) from error

    def _array(self, kind: Kind, key: FrameKey, level: int, image: Path) -> ts.TensorStore:
        with self._lock:
            array = self._arrays.get((kind, level, key.p))
            if array is None or not _holds(array, key):
                # An open handle never sees growth.
                array = open_array(image / kind / str(level), self._context)
                self._arrays[kind, level, key.p] = array
            return array


def _holds(array: ts.TensorStore, key: FrameKey) -> bool:
    return all(i < n for i, n in zip((key.t, key.c, key.z), array.shape[:3], strict=True))
