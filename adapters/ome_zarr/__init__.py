"""The OME-Zarr store of a run: the only component that knows how planes lie on disk.

Responsibilities: the layout (OME-Zarr 0.5, zarr v3, axes t c z y x, one shard = one plane), durable writing,
growth, the pyramid of large frames, and metadata that validates at every moment of a run. It knows nothing of
ledgers, rings or processes; that only one process writes is its caller's promise.

Examples
--------
>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from quietscope.adapters.frame import FrameKey, Series
>>> from quietscope.adapters.ome_zarr import StoreReader, StoreWriter
>>> from quietscope.config.system import StoreSettings
>>> folder = tempfile.TemporaryDirectory()
>>> run = Path(folder.name)
>>> writer = StoreWriter(run, Series(32, 48, "uint16", ("GFP",), "example"), StoreSettings())
>>> writer.write("raw", FrameKey(0), np.full((32, 48), 7, "uint16"))
>>> int(StoreReader(run).read("raw", FrameKey(0)).max())
7
>>> writer.finish(0)
>>> folder.cleanup()
"""

from quietscope.adapters.ome_zarr.inspection import discard_levels, litter, plane_files
from quietscope.adapters.ome_zarr.layout import KINDS, Kind, image_path
from quietscope.adapters.ome_zarr.reader import StoreReader
from quietscope.adapters.ome_zarr.writer import StoreWriter

__all__ = [
    "KINDS",
    "Kind",
    "StoreReader",
    "StoreWriter",
    "discard_levels",
    "image_path",
    "litter",
    "plane_files",
]
