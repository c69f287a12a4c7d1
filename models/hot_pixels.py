"""Hot pixels of a camera: single pixels that stand far above their neighbours in every frame.

Left alone, one of them sits in one twin only, dominates the squared loss, and teaches the network nothing. A
point of light is wider than a pixel (the microscope blurs it), which is how the two are told apart.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_hot_pixels", "repair"]

_NOISE_MULTIPLE = 8.0
"""Least height over the neighbours' median, in noise standard deviations of the mean of the frames."""

_NEIGHBOUR_SHARE = 0.3
"""A neighbour as high as this share of the pixel's height is what a blurred point of light would show."""


def _neighbours(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 8 neighbours of every pixel, sorted upwards, (8, Y, X); edges are mirrored."""
    padded = np.pad(image, 1, mode="reflect")
    height, width = image.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.sort(np.stack([padded[i : i + height, j : j + width] for i, j in shifts]), axis=0)


def find_hot_pixels(frames: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Find pixels that stand out alone in the mean of the frames.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel, real dtype, grey levels.

    Returns
    -------
    ndarray
        (Y, X), True where the pixel is hot.
    """
    mean: NDArray[np.float32] = np.zeros(frames[0].shape, dtype=np.float32)
    for frame in frames:
        mean += np.asarray(frame, dtype=np.float32) / np.float32(len(frames))
    around = _neighbours(mean)
    middle = (around[3] + around[4]) / 2
    height = mean - middle
    spread = np.float32(1.4826) * np.median(np.abs(height - np.median(height)))
    # signal-dependent noise: where the neighbours scatter more than elsewhere, more is asked of the pixel
    local = np.maximum(spread, (around[5] - around[2]) / np.float32(1.2))
    alone = around[7] - middle < _NEIGHBOUR_SHARE * height
    hot: NDArray[np.bool_] = (height > _NOISE_MULTIPLE * local) & (height > 0) & alone
    return hot


def repair(frame: NDArray[Any], hot: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace hot pixels by the median of their 8 neighbours.

    Parameters
    ----------
    frame
        (Y, X), real dtype, grey levels.
    hot
        (Y, X), as `find_hot_pixels` returns it.

    Returns
    -------
    ndarray
        (Y, X), float32; `frame` itself is left alone.
    """
    repaired = np.array(frame, dtype=np.float32)
    padded = np.pad(repaired, 1, mode="reflect")
    for y, x in np.argwhere(hot):
        window = padded[y : y + 3, x : x + 3].ravel()
        repaired[y, x] = np.median(np.delete(window, 4))
    return repaired
