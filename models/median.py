"""Median filter: the classical answer to strong noise, and what FM2S learns from."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["median"]

Float32 = NDArray[np.float32]

_MOST = 1 << 24
"""Values sorted at a time: 64 MiB."""


def median(image: Float32, size: int = 3) -> Float32:
    """Replace each pixel by the median of the square window around it; edges are mirrored (half-sample symmetric).

    Parameters
    ----------
    image
        Shape (Y, X), float32, finite.
    size
        Side of the window, pixels; odd.

    Returns
    -------
    numpy.ndarray
        float32, same shape; every value occurs in its window.
    """
    height, width = image.shape
    padded = np.pad(image, size // 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    middle = size * size // 2
    rows = max(1, _MOST // max(1, width * size * size))
    result = np.empty((height, width), np.float32)
    for first in range(0, height, rows):
        values = windows[first : first + rows].reshape(-1, width, size * size)
        result[first : first + rows] = np.partition(values, middle, axis=-1)[..., middle]
    return result
