"""Pictures: the planes of one place in the series that are looked at together, and how they travel to a browser."""

import json
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quietscope.adapters.frame import FrameKey, Pixels

__all__ = ["Picture", "binned", "encode_picture", "plane_nbytes"]

_ALIGNMENT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Planes that belong together.

    Parameters
    ----------
    key
        Place in the series.
    planes
        By stream (``raw``, ``denoised``, ``preview`` or whatever else is published about a frame), shape (Y, X) each.
    live
        Whether it came over the wire; else it was read from the store.
    received_ns, published_ns
        Arrival of the raw frame and publication of the newest plane, nanoseconds since the epoch; 0 from the store.
    model
        Model that made the denoised plane.
    note
        Why a plane is missing, in words; empty if none is.
    quality
        What viewers get of the frame while it is new; below ``full`` the machine is behind.
    light, reason
        Traffic light of the denoised plane (``green``, ``yellow``, ``red``), and why, in words; None if unknown.
    """

    key: FrameKey
    planes: Mapping[str, Pixels]
    live: bool = False
    received_ns: int = 0
    published_ns: int = 0
    model: str | None = None
    note: str = ""
    quality: str = "full"
    light: str | None = None
    reason: str = ""

    def only(self, streams: Collection[str]) -> "Picture":
        """The same picture with the wanted planes."""
        return replace(self, planes={name: p for name, p in self.planes.items() if name in streams})


def binned(pixels: Pixels, factor: int) -> Pixels:
    """Mean over blocks of `factor` × `factor` pixels, in the same dtype.

    Parameters
    ----------
    pixels
        Shape (Y, X).
    factor
        Side of the blocks; 1 changes nothing. Blocks at the right and lower edge are continued by their last pixels.

    Returns
    -------
    Pixels
        Shape (⌈Y / factor⌉, ⌈X / factor⌉); integers are rounded.

    Examples
    --------
    >>> binned(np.array([[0, 2, 4], [2, 4, 4]], "uint16"), 2).tolist()
    [[2, 4]]
    """
    if factor == 1:
        return pixels
    height, width = pixels.shape
    pad = ((0, -height % factor), (0, -width % factor))
    whole = np.pad(pixels, pad, mode="edge") if any(after for _, after in pad) else pixels
    rows, columns = whole.shape[0] // factor, whole.shape[1] // factor
    mean = whole.reshape(rows, factor, columns, factor).mean(axis=(1, 3), dtype=np.float32)
    rounded: Pixels = np.rint(mean) if pixels.dtype.kind in "ui" else mean
    return rounded.astype(pixels.dtype)


def plane_nbytes(picture: Picture, factor: int = 1) -> int:
    """Bytes of all planes of a picture when they are binned by `factor`."""
    return sum(
        -(-plane.shape[0] // factor) * -(-plane.shape[1] // factor) * plane.itemsize
        for plane in picture.planes.values()
    )


def encode_picture(picture: Picture, number: int, factor: int = 1, *, adds: bool = False) -> bytes:
    """Bytes for a browser: header length (uint32), JSON header, then the planes, little-endian, aligned to 8 bytes.

    Parameters
    ----------
    picture
        What to send.
    number
        The message's number, which the browser acknowledges.
    factor
        Binning.
    adds
        The planes come in addition to those that the browser has of this place.
    """
    parts: list[bytes] = []
    planes: list[dict[str, Any]] = []
    offset = 0
    for name, pixels in picture.planes.items():
        plane = binned(pixels, factor)
        data = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<")).tobytes()
        planes.append(
            {
                "stream": name,
                "type": plane.dtype.name,
                "shape": plane.shape,
                "full": pixels.shape,
                "bin": factor,
                "offset": offset,
            }
        )
        padding = -len(data) % _ALIGNMENT
        parts += [data, b"\0" * padding]
        offset += len(data) + padding
    header = {
        "type": "picture",
        "number": number,
        "key": picture.key._asdict(),
        "live": picture.live,
        "received_ms": picture.received_ns / 1e6,
        "published_ms": picture.published_ns / 1e6,
        "model": picture.model,
        "note": picture.note,
        "quality": picture.quality,
        "light": picture.light,
        "reason": picture.reason,
        "adds": adds,
        "planes": planes,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(4 + len(text)) % _ALIGNMENT)
    return b"".join([struct.pack("<I", len(text)), text, *parts])
