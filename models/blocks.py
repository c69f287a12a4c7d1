"""From blocks of a plane to its pixels."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pixels_around"]


def pixels_around(blocks: NDArray[np.bool_], side: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the pixels of blocks and of the eight blocks around each of them.

    Parameters
    ----------
    blocks
        Shape (rows, columns).
    side
        Side of a block, pixels.
    shape
        Shape (Y, X) of the plane, at most `side` times that of `blocks`.

    Returns
    -------
    numpy.ndarray
        bool, of shape `shape`.
    """
    around = np.pad(blocks, 1)
    rows, columns = blocks.shape
    grown = np.zeros_like(blocks)
    for i in range(3):
        for j in range(3):
            grown |= around[i : i + rows, j : j + columns]
    pixels = np.repeat(np.repeat(grown, side, axis=0), side, axis=1)
    return pixels[: shape[0], : shape[1]]
