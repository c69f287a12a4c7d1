"""Reading a frame that Micro-Manager has just saved, without the stale pixels of `ndstorage`.

`ndstorage` keeps buffered files open while they grow, and serves zeros that were read ahead: 123 to 183 of 200 frames
were measured wrong. So frames on disk are read here, unbuffered, from where the index entry says they are.
"""

import json
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.adapters.frame import Pixels
from quietscope.config.errors import SourceError

__all__ = ["read_saved"]

_EIGHT_BIT, _RGB = 0, 2


def read_saved(dataset: Any, axes: Mapping[str, int | str]) -> tuple[Pixels, dict[str, Any]]:
    """Read pixels and metadata of a saved frame.

    Parameters
    ----------
    dataset
        Data set of a running pycromanager acquisition: NDTiff on disk, or in memory.
    axes
        Its axes, as ``image_saved_fn`` gets them.

    Returns
    -------
    Pixels
        Shape (Y, X), or (Y, X, 3) in the order red, green, blue.
    dict
        Metadata.

    Raises
    ------
    quietscope.config.SourceError
        If the file is shorter than its index says.
    """
    key = frozenset(axes.items())
    entry = (getattr(dataset, "index", None) or {}).get(key)
    if entry is None:
        pending = (getattr(dataset, "_write_pending_images", None) or {}).get(key)
        if pending is not None:
            return np.asarray(pending[0]), dict(pending[1])
        return dataset.read_image(**axes), dict(dataset.read_metadata(**axes))
    planes = 3 if entry.pixel_type == _RGB else 1
    dtype = np.dtype("u1" if entry.pixel_type in {_EIGHT_BIT, _RGB} else "<u2")
    shape = (entry.image_height, entry.image_width, *((3,) if planes == 3 else ()))
    path = Path(dataset.path) / entry.filename
    with path.open("rb", buffering=0) as file:
        data = _read(file, entry.pix_offset, int(np.prod(shape)) * dtype.itemsize, path)
        text = _read(file, entry.metadata_offset, entry.metadata_length, path)
    pixels = np.frombuffer(data, dtype).reshape(shape)
    return pixels.astype(dtype.newbyteorder("="), copy=False), json.loads(bytes(text))


def _read(file: FileIO, offset: int, length: int, path: Path) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    file.seek(offset)
    while view:
        count = file.readinto(view)
        if not count:
            msg = f"{path} ends before byte {offset + length}, where its index promises a frame; is the disk full?"
            raise SourceError(msg)
        view = view[count:]
    return data
