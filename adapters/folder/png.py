"""Checks whether a PNG is complete: every chunk with its checksum, up to IEND.

Source: Portable Network Graphics specification, third edition (W3C), sections 5 and 11.2.1.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from quietscope.adapters.folder.tiff_tags import MissingBytesError
from quietscope.adapters.sharing import read_at

__all__ = ["PNG_SIGNATURE", "PngHeader", "check_png"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}


@dataclass(frozen=True, slots=True)
class PngHeader:
    """Size and pixel type of a PNG.

    Parameters
    ----------
    height, width
        Size, pixels.
    bits
        Bits per sample.
    colour
        Colour type in words; ``grey`` is the only one that is an image of one channel.
    """

    height: int
    width: int
    bits: int
    colour: str


def check_png(file: BinaryIO, size: int) -> PngHeader:
    """Walk all chunks of a PNG.

    Parameters
    ----------
    file
        The file, open for reading.
    size
        Its size in bytes.

    Raises
    ------
    MissingBytesError
        If a chunk, its checksum or the end is missing.
    """
    offset, header = len(PNG_SIGNATURE), None
    while True:
        if offset + 12 > size:
            raise MissingBytesError("the end (IEND) of the PNG is missing")
        length, kind = struct.unpack(">I4s", read_at(file, offset, 8))
        if offset + 12 + length > size:
            raise MissingBytesError(f"{offset + 12 + length - size} bytes of the PNG's pixels are missing")
        body = read_at(file, offset + 4, length + 8)
        if len(body) < length + 8 or zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "big"):
            raise MissingBytesError(f"the checksum of chunk {kind!r} is wrong or not written yet")
        if header is None:
            if kind != b"IHDR" or length != 13:
                raise MissingBytesError("the header of the PNG is missing")
            width, height, bits, colour = struct.unpack(">IIBB", body[4:14])
            header = PngHeader(height, width, bits, _COLOUR.get(colour, f"type {colour}"))
        if kind == b"IEND":
            return header
        offset += 12 + length
