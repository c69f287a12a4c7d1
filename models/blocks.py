"""Between the pixels of a plane and its blocks."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["blocks_of", "pixels_around"]


def blocks_of(pixels: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Mark the blocks that hold a marked pixel.

    Parameters
    ----------
    pixels
        Shape (Y, X).
    side
        Side of a block, pixels.

    Returns
    -------
    numpy.ndarray
        bool, shape (⌈Y / side⌉, ⌈X / side⌉).
    """
    rows, columns = (-(-length // side) for length in pixels.shape)
    beyond = [(0, count * side - length) for count, length in zip((rows, columns), pixels.shape, strict=True)]
    tiles = np.pad(pixels, beyond).reshape(rows, side, columns, side)
    return np.asarray(tiles.any(axis=(1, 3)), dtype=np.bool_)


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
