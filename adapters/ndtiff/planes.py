"""Reads one image of an NDTiff stack, straight from the file and without a buffer.

A buffered file keeps what it has read ahead: zeros of the preallocated stack, which it then gives out as pixels.
"""

import os
from typing import Any, BinaryIO

import numpy as np

from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.frame import Pixels
from quietscope.adapters.ndtiff.index import IndexEntry
from quietscope.adapters.sharing import is_written, read_at
from quietscope.adapters.wire_headers import MAX_PIXELS_NBYTES
from quietscope.config.errors import FrameError

__all__ = ["read_image"]

_RGB = 2
_MOST_METADATA = 1 << 24
_DTYPES = {0: "u1", 1: "<u2", 3: "<u2", 4: "<u2", 5: "<u2", 6: "<u2"}


def read_image(file: BinaryIO, entry: IndexEntry) -> tuple[Pixels, dict[str, Any]]:
    """Read pixels and metadata of an image.

    Parameters
    ----------
    file
        The stack, open for reading without a buffer.
    entry
        The image.

    Returns
    -------
    pixels : numpy.ndarray
        Shape (Y, X), uint8 or uint16, owned by the caller.
    metadata : dict
        What the writer stored with it.

    Raises
    ------
    FrameError
        With reason ``unsupported`` for colour and compressed images, ``dtype`` for unknown pixels, ``truncated`` while
        something is missing, ``unwritten`` while the pixels' place in the file is a hole, and ``unreadable`` for places
        and sizes that no image has.
    OSError
        If reading fails.
    """
    if entry.pixel_type == _RGB:
        raise FrameError("unsupported", "it is a colour image (RGB); set the camera to 8 or 16 bit grey")
    if entry.compressed:
        raise FrameError("unsupported", "its pixels are compressed; switch compression off in the writer")
    if entry.pixel_type not in _DTYPES:
        message = (
            f"its pixel type has the unknown number {entry.pixel_type}; set the camera to 8 or 16 bit grey"
        )
        raise FrameError("dtype", message)
    dtype = np.dtype(_DTYPES[entry.pixel_type])
    # The metadata follow the pixels, so they are read first: once they are whole, the pixels are too.
    metadata = _metadata(file, entry)
    count = entry.height * entry.width * dtype.itemsize
    end = entry.offset + count
    if count > MAX_PIXELS_NBYTES:
        raise FrameError(
            "unreadable", f"its pixels are said to have {count} bytes, {MAX_PIXELS_NBYTES} are allowed"
        )
    if entry.offset < entry.metadata_offset + entry.metadata_length and entry.metadata_offset < end:
        raise FrameError("unreadable", "its pixels and its metadata are said to lie in the same place")
    # Asked before reading, which would first take memory for all that the entry promises.
    if (missing := end - os.fstat(file.fileno()).st_size) > 0:
        raise FrameError("truncated", f"{missing} bytes of its pixels are missing")
    data = bytearray(read_at(file, entry.offset, count))
    if len(data) < count:
        raise FrameError("truncated", f"{count - len(data)} bytes of its pixels are missing")
    pixels = np.frombuffer(data, dtype).reshape(entry.height, entry.width)
    if not pixels.any() and not is_written(file, entry.offset, count):
        raise FrameError("unwritten", "its place in the file was never written")
    return pixels.astype(dtype.newbyteorder("="), copy=False), metadata


def _metadata(file: BinaryIO, entry: IndexEntry) -> dict[str, Any]:
    if entry.metadata_length > _MOST_METADATA:
        raise FrameError("unreadable", f"its metadata are said to have {entry.metadata_length} bytes")
    text = read_at(file, entry.metadata_offset, entry.metadata_length)
    if len(text) < entry.metadata_length or b"\0" in text:
        raise FrameError("truncated", "its metadata, which follow the pixels, are missing")
    try:
        said = parse_json(text.decode("utf-8", "replace"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
