"""Coarser levels of a plane by 2 x 2 means."""

from collections.abc import Iterator

import numpy as np

from quietscope.adapters.frame import Pixels

__all__ = ["halve", "pyramid"]

_BAND = 64
"""Rows at a time, so that sums stay in the cache: 2.3 ms instead of 3.5 (free machine) to 12 (busy) for 2048²."""


def halve(plane: Pixels) -> Pixels:
    """Mean of every 2 x 2 block.

    Parameters
    ----------
    plane
        Shape (Y, X), an integer type of at most 16 bits or a floating type.

    Returns
    -------
    Pixels
        Shape (Y // 2, X // 2), same dtype; integers are rounded half up. An odd last row or column is left
        out, so that a pixel of the result is exactly twice as wide.
    """
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    halved = np.empty((height // 2, width // 2), plane.dtype)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        halved[top // 2 : bottom // 2] = _halve_band(plane[top:bottom, :width])
    return halved


def _halve_band(band: Pixels) -> Pixels:
    """Rounded means, still in the wider type of their sums."""
    wide = np.float32 if band.dtype.kind == "f" else np.int32
    rows = np.add(band[0::2], band[1::2], dtype=wide)
    total = rows[:, 0::2] + rows[:, 1::2]
    if band.dtype.kind == "f":
        total *= np.float32(0.25)
    else:
        total += 2
        total >>= 2
    return total


def pyramid(plane: Pixels, levels: int) -> Iterator[Pixels]:
    """Yield `levels` planes, each when it is made, finest first; the first is `plane` itself."""
    yield plane
    for _ in range(levels - 1):
        plane = halve(plane)
        yield plane
