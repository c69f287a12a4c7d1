"""What travels: one frame is one plane of pixels with a key; a series says what its frames have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SUPPORTED_DTYPES", "Frame", "FrameKey", "Pixels", "Series", "channel_name"]

Pixels = NDArray[Any]
"""A two-dimensional plane (Y, X) of one of `SUPPORTED_DTYPES`."""

SUPPORTED_DTYPES = ("uint8", "uint16", "int16", "float32")
"""Pixel types that the whole chain carries without loss."""


class FrameKey(NamedTuple):
    """Place of a frame in its series: time point, channel, z plane and position, all from 0."""

    t: int
    c: int = 0
    z: int = 0
    p: int = 0

    def __str__(self) -> str:
        return f"t{self.t} c{self.c} z{self.z} p{self.p}"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One plane as it came from the camera.

    Parameters
    ----------
    pixels
        Array of shape (Y, X), native dtype. The frame owns it: a source hands over a copy that nobody
        changes.
    key
        Place in the series.
    received_ns
        Time of arrival, nanoseconds since the epoch.
    exposure_ms
        Exposure, milliseconds, where the source knows it.
    metadata
        What else the source knows; JSON-able.
    """

    pixels: Pixels
    key: FrameKey
    received_ns: int
    exposure_ms: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of the pixels in bytes."""
        return int(self.pixels.nbytes)


@dataclass(frozen=True, slots=True)
class Series:
    """What all frames of a series share.

    Parameters
    ----------
    height, width
        Frame size, pixels.
    dtype
        One of `SUPPORTED_DTYPES`.
    channels
        Channel names; frames may bring further channels later.
    source
        Words for where the frames come from.
    pixel_size_um
        Pixel size, micrometres, or None where unknown.
    planned
        Planned lengths by axis (``t``, ``c``, ``z``, ``p``), where known.
    """

    height: int
    width: int
    dtype: str
    channels: tuple[str, ...]
    source: str
    pixel_size_um: float | None = None
    planned: Mapping[str, int] = field(default_factory=dict)

    @property
    def frame_nbytes(self) -> int:
        """Size of one frame in bytes."""
        return self.height * self.width * np.dtype(self.dtype).itemsize


def channel_name(names: Sequence[str], channel: int) -> str:
    """Name of a channel, by its number from 0, also where none was given."""
    return names[channel] if channel < len(names) else f"channel {channel}"
