"""Puts points of light on a grid of pixels."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["splat"]

Floats = NDArray[np.float64]


def splat(y: Floats, x: Floats, weight: Floats, within: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Share each point's light among its four neighbouring pixels (bilinear).

    The bilinear kernel stands for the aperture of the pixel.

    Parameters
    ----------
    y, x
        Places on the canvas, pixels (pixel centres are whole numbers), shape (points,).
    weight
        Light of each point, shape (points,).
    within
        Canvas of pixels (Y, X): where points may lie. The light of points elsewhere, or off the canvas, is lost.

    Returns
    -------
    numpy.ndarray
        Float32, shape (Y, X).
    """
    height, width = within.shape
    on = (y >= 0) & (y < height - 1) & (x >= 0) & (x < width - 1)
    y, x, weight = y[on], x[on], weight[on]
    row, column = y.astype(np.intp), x.astype(np.intp)
    corner = row * width + column
    lit = within.ravel()[corner]
    corner, weight = corner[lit], weight[lit]
    down, right = (y - row)[lit], (x - column)[lit]
    low, high = weight * (1 - down), weight * down
    places = np.concatenate((corner, corner + 1, corner + width, corner + width + 1))
    light = np.concatenate((low * (1 - right), low * right, high * (1 - right), high * right))
    total = np.bincount(places, weights=light, minlength=height * width)
    return total.astype(np.float32).reshape(within.shape)
