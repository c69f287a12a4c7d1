"""Reads the pixels of one complete plane, and what Micro-Manager says of it.

Plain pixels are read directly; everything else through tifffile (page by page, at the directory's offset, so that a
growing file is never read as a whole) and Pillow.
"""

from typing import Any, BinaryIO

import numpy as np

from quietscope.adapters.folder.contents import Plane
from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.frame import Pixels
from quietscope.adapters.sharing import is_written, read_at
from quietscope.config.errors import FrameError

__all__ = ["read_mm_metadata", "read_plane"]


def read_plane(file: BinaryIO, plane: Plane) -> Pixels:
    """Read the pixels of a plane.

    Parameters
    ----------
    file
        The file, open for reading.
    plane
        The plane, which is complete.

    Returns
    -------
    numpy.ndarray
        Shape (Y, X), native byte order, C order, owned by the caller.

    Raises
    ------
    FrameError
        With reason ``codec`` if the compression needs imagecodecs, ``unreadable`` if the pixels cannot be decoded,
        ``unwritten`` if their place in the file is a hole.
    OSError
        If reading fails.
    """
    if plane.kind == "raw":
        pixels = _read_raw(file, plane)
    else:
        pixels = _read_png(file) if plane.kind == "png" else _read_tiff(file, plane)
    expected = np.dtype(plane.dtype).newbyteorder("=")
    if pixels.shape != (plane.height, plane.width) or pixels.dtype.newbyteorder("=") != expected:
        message = (
            f"decoded to {pixels.shape} {pixels.dtype} instead of {(plane.height, plane.width)} {expected}"
        )
        raise FrameError("unreadable", message)
    return np.ascontiguousarray(pixels, dtype=expected)


def _read_raw(file: BinaryIO, plane: Plane) -> Pixels:
    dtype = np.dtype(plane.dtype)
    count = plane.height * plane.width * dtype.itemsize
    data = bytearray(read_at(file, plane.offset, count))
    if len(data) < count:
        raise FrameError("truncated", f"{count - len(data)} bytes of its pixels are missing")
    if not np.frombuffer(data, np.uint8).any() and not is_written(file, plane.offset, count):
        raise FrameError("unwritten", "its place in the file was never written")
    return np.frombuffer(data, dtype).reshape(plane.height, plane.width)


def _read_png(file: BinaryIO) -> Pixels:
    from PIL.PngImagePlugin import PngImageFile

    file.seek(0)
    try:
        # The class itself, not Image.open(): that one warns of large images, and ours may be large.
        image = np.asarray(PngImageFile(file))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FrameError("unreadable", f"its pixels cannot be decoded ({error}); save it again") from error
    return image.astype(np.uint16) if image.dtype == np.int32 else image.copy()


def _read_tiff(file: BinaryIO, plane: Plane) -> Pixels:
    import tifffile

    try:
        file.seek(0)
        with tifffile.TiffFile(file) as tif:
            tif.filehandle.seek(plane.offset)
            page = tifffile.TiffPage(tif, index=plane.index)
            pixels: Pixels = np.squeeze(page.asarray())
    except MemoryError:
        raise
    # Decoders of damaged data raise nearly everything; whatever it is, this plane cannot be read.
    except Exception as error:
        if "imagecodecs" in str(error):
            message = f"its compression needs a further package ({error}): pip install quietscope[codecs]"
            raise FrameError("codec", message) from error
        raise FrameError("unreadable", f"its pixels cannot be decoded ({error}); save it again") from error
    return pixels.reshape(plane.height, plane.width) if pixels.size == plane.height * plane.width else pixels


def read_mm_metadata(file: BinaryIO, plane: Plane) -> dict[str, Any]:
    """Metadata that Micro-Manager stored with the plane; empty if there are none.

    Raises
    ------
    OSError
        If reading fails.
    """
    if plane.mm_metadata is None:
        return {}
    try:
        offset, count, encoding = plane.mm_metadata
        said = parse_json(read_at(file, offset, count).decode(encoding).rstrip("\0"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
