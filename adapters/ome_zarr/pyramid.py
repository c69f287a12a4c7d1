"""Coarser levels of a plane by 2 x 2 means."""

import numpy as np

from quietscope.adapters.frame import Pixels

__all__ = ["halve", "pyramid"]


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
    wide = np.float32 if plane.dtype.kind == "f" else np.int32
    total = np.add(plane[0:height:2, 0:width:2], plane[1:height:2, 0:width:2], dtype=wide)
    total += plane[0:height:2, 1:width:2]
    total += plane[1:height:2, 1:width:2]
    if plane.dtype.kind == "f":
        total *= np.float32(0.25)
    else:
        total += 2
        total >>= 2
    return total.astype(plane.dtype)


def pyramid(plane: Pixels, levels: int) -> list[Pixels]:
    """`levels` planes, finest first; the first is `plane` itself."""
    planes = [plane]
    while len(planes) < levels:
        planes.append(halve(planes[-1]))
    return planes
