"""Fourier interpolation x2 of twins, on the grid of the frame they came from.

The picture is continued by its mirror image (half-sample symmetric, so that nothing jumps at the edges), its
spectrum is extended with zeros, the highest frequency of an even length is split between both signs, and a
phase puts sample ``j`` at ``j / 2 - 1 / 4``: the pixel grid of the frame whose 2x2 blocks the twins stand
for. Nothing is clipped, since dark pixels are rightly negative after the camera's offset is removed.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["upsample2"]


@lru_cache(maxsize=64)
def _matrix(length: int) -> NDArray[np.float32]:
    """Interpolation of one axis as a matrix (2 length, length): it is linear, and a product is fast."""
    period = 2 * length
    mirrored = np.concatenate((np.eye(length), np.eye(length)[::-1]))
    spectrum = np.fft.rfft(mirrored, axis=0)
    spectrum[-1] *= 0.5
    wave_numbers = np.arange(len(spectrum))[:, None]
    spectrum *= np.exp(2j * np.pi * wave_numbers * -0.25 / period)
    extended = np.zeros((period + 1, length), dtype=np.complex128)
    extended[: len(spectrum)] = spectrum
    fine = np.fft.irfft(extended, n=2 * period, axis=0) * 2
    matrix = np.ascontiguousarray(fine[:period], dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


def upsample2(planes: NDArray[Any]) -> NDArray[np.float32]:
    """Interpolate planes to twice their height and width.

    Parameters
    ----------
    planes
        Plane (h, w) or stack (..., h, w), any real dtype, grey levels.

    Returns
    -------
    ndarray
        (..., 2 h, 2 w), float32; sample ``j`` of an axis lies at ``j / 2 - 1 / 4`` input pixels.

    Raises
    ------
    ModelError
        If a plane is empty.
    """
    if planes.ndim < 2 or 0 in planes.shape:
        msg = (
            f"interpolation needs planes with pixels, and the shape is {planes.shape}; give non-empty frames"
        )
        raise ModelError(msg)
    height, width = planes.shape[-2:]
    rows: NDArray[np.float32] = np.matmul(_matrix(height), planes.astype(np.float32, copy=False))
    fine: NDArray[np.float32] = np.matmul(rows, _matrix(width).T)
    return fine
