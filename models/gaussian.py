"""Gaussian blur: the classical denoiser that every model must beat, and the preview before there is one."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["blur"]

Float32 = NDArray[np.float32]


def blur(image: Float32, sigma: float) -> Float32:
    """Blur with a Gaussian cut off at four standard deviations; edges are mirrored (half-sample symmetric).

    Parameters
    ----------
    image
        Shape (Y, X), float32.
    sigma
        Standard deviation, pixels; 0 gives a copy.

    Returns
    -------
    numpy.ndarray
        float32, same shape.
    """
    weights = _weights(sigma)
    return _along_rows(_along_rows(image, weights).T, weights).T


@lru_cache(maxsize=32)
def _weights(sigma: float) -> tuple[float, ...]:
    """Weights of the pixels 0, 1, … away from the centre."""
    distance = np.arange(int(4 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (distance / max(sigma, 1e-6)) ** 2)
    weights /= weights[0] + 2 * weights[1:].sum()
    return tuple(float(w) for w in weights)


def _along_rows(image: Float32, weights: tuple[float, ...]) -> Float32:
    """Filter the first axis, whose shifted views are contiguous."""
    radius, height = len(weights) - 1, len(image)
    padded = np.pad(image, ((radius, radius), (0, 0)), mode="symmetric")
    result = padded[radius : radius + height] * np.float32(weights[0])
    pair = np.empty_like(result)
    for distance, weight in enumerate(weights[1:], start=1):
        np.add(
            padded[radius - distance : radius - distance + height],
            padded[radius + distance : radius + distance + height],
            out=pair,
        )
        pair *= np.float32(weight)
        result += pair
    return result
