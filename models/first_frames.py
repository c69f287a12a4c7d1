"""Enough of the first frames of a series to measure on: few frames, and of large ones bands of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.blocks import pixels_around
from quietscope.models.noise import LARGEST, clean

__all__ = ["FirstFrames", "first_frames"]

MAX_FRAMES = 4
"""Frames that are looked at: all of them, or else the first two and the last two."""

MAX_PIXELS = 1 << 19
"""Pixels of a frame that are looked at; larger frames are thinned out to bands of rows."""

BAND = 32
"""Rows of a band; the patches of `quietscope.models.noise` are as high, so none lies across two bands."""

EMPTY = 16
"""Side of a block that holds nothing ever, pixels."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FirstFrames:
    """Frames that were picked out of the first frames of a series.

    Parameters
    ----------
    native
        Frames (Y, X), or bands of their rows one below the other, in their own dtype.
    places
        Their places in the series.
    rows
        Rows that belong together: those of a band, or all.
    share
        Pixels that are looked at, share of a frame.
    """

    native: tuple[NDArray[Any], ...]
    places: tuple[int, ...]
    rows: int
    share: float

    @cached_property
    def planes(self) -> list[NDArray[np.float32]]:
        """The frames as float32, finite: what is no number is bridged."""
        return [clean(frame) for frame in self.native]

    @cached_property
    def unusable(self) -> list[Mask]:
        """Where the frames hold no numbers, or nothing ever: padding, or what was masked out.

        That is blocks of 16×16 pixels of one value in all frames, and what is around them.
        """
        height, width = self.planes[0].shape
        rows, columns = -(-height // EMPTY), -(-width // EMPTY)
        beyond = ((0, rows * EMPTY - height), (0, columns * EMPTY - width))
        tiles = [
            np.pad(plane, beyond, mode="edge").reshape(rows, EMPTY, columns, EMPTY) for plane in self.planes
        ]
        # a few pixels of each block tell of nearly all blocks that they hold something
        few = tiles[0][:, ::5, :, ::5]
        still = few.max((1, 3)) == few.min((1, 3))
        inside = np.stack([tile.swapaxes(1, 2)[still] for tile in tiles])
        still[still] = inside.max((0, 2, 3)) == inside.min((0, 2, 3))
        empty = pixels_around(still, EMPTY, (height, width))
        return [
            empty | ~(np.abs(frame.astype(np.float64)) <= LARGEST) if frame.dtype.kind == "f" else empty
            for frame in self.native
        ]

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end of the grey scale, infinite where no pixel has reached it.

        Of integers the ends of the dtype and 2ⁿ − 1 at the top; of all types a plateau: an extreme value that more
        than three times as many pixels have as have the value next to it.
        """
        values = np.concatenate([frame.ravel() for frame in self.native])
        if values.dtype.kind == "f":
            values = values.astype(np.float64)
            values = values[np.abs(values) <= LARGEST]
        if values.size == 0:
            return -np.inf, np.inf
        bottom, top = values.min(), values.max()
        floor, ceiling = (_is_plateau(values, end) for end in (bottom, top))
        if values.dtype.kind in "iu":
            limits = np.iinfo(values.dtype)
            floor |= int(bottom) == limits.min
            ceiling |= int(top) in {limits.max, *(2**bits - 1 for bits in range(8, limits.bits))}
        return (float(bottom) if floor else -np.inf), (float(top) if ceiling else np.inf)

    def stack(self, planes: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Planes like these as a stack (N, `rows`, X) of what belongs together."""
        return np.concatenate([plane.reshape(-1, self.rows, plane.shape[1]) for plane in planes])


def first_frames(frames: Sequence[NDArray[Any]]) -> FirstFrames:
    """Pick frames, and rows of large ones.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel in time order, real dtype, of one shape, none empty; at least one.

    Returns
    -------
    FirstFrames
        At most 4 frames of about 2¹⁹ pixels.
    """
    count = len(frames)
    places = tuple(range(count))
    if count > MAX_FRAMES:
        places = (0, 1, count - 2, count - 1)
    height, width = frames[0].shape
    bands = max(1, MAX_PIXELS // (BAND * width))
    if height <= (bands + 1) * BAND:
        return FirstFrames(tuple(frames[place] for place in places), places, height, 1.0)
    starts = [(2 * k + 1) * (height - BAND) // (2 * bands) for k in range(bands)]
    native = tuple(
        np.concatenate([frames[place][start : start + BAND] for start in starts]) for place in places
    )
    return FirstFrames(native, places, BAND, bands * BAND / height)


def _is_plateau(values: NDArray[Any], end: Any) -> bool:
    rest = values[values != end]
    if rest.size == 0:
        return False
    count = values.size - rest.size
    following = np.count_nonzero(rest == (rest.max() if rest[0] < end else rest.min()))
    return bool(count > 10 and count > 3 * following)
