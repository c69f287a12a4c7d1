"""Block matching and 3-D filtering of one frame: the strongest classical denoiser, for comparisons."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.calibration import calibrate
from quietscope.models.noise import clean
from quietscope.models.twins import split_diagonal

__all__ = ["block_matching"]

_BLOCK = 8
_LEAST_ROOT = 2 * (3 / 8) ** 0.5
"""What no photo-electrons become."""


def block_matching(frame: NDArray[Any]) -> NDArray[np.float32]:
    """Denoise a frame with BM3D, its noise made the same everywhere first.

    Parameters
    ----------
    frame
        Shape (Y, X), real dtype, grey levels, at least 8×8.

    Returns
    -------
    numpy.ndarray
        float32, same shape, grey levels.

    Raises
    ------
    quietscope.config.ModelError
        If the package bm3d is missing, or the frame is too small.

    Notes
    -----
    BM3D (Mäkinen, Azzari and Foi 2020) assumes white noise of one strength. Noise that grows with the brightness is
    stabilised by the generalised Anscombe transform with the gain that the frame itself shows, and brought back by its
    unbiased inverse (Mäkitalo and Foi 2013), as in the FMD benchmark. That noise is correlated is not known to it.
    """
    try:
        import bm3d
    except ImportError as error:
        raise ModelError(
            f"the baseline 'bm3d' needs the package bm3d, which cannot be imported ({error}); install it with "
            "pip install 'quietscope[peers]'. It is free for non-commercial use only"
        ) from error
    image = clean(frame)
    if min(image.shape) < _BLOCK:
        raise ModelError(
            f"the baseline 'bm3d' compares blocks of {_BLOCK} pixels, and this frame is {image.shape}; "
            "give a larger one or take 'median'"
        )
    calibration = calibrate([frame])
    gain, intercept = calibration.variance_slope, calibration.variance_intercept
    if gain <= 0:
        first, second = split_diagonal(image)
        sigma = float(np.sqrt(np.mean(np.square(first - second), dtype=np.float64)))
        return np.asarray(bm3d.bm3d(image, sigma), dtype=np.float32) if sigma else image.copy()
    electrons = image.astype(np.float64) / gain + intercept / gain**2
    roots = np.maximum(bm3d.bm3d(2 * np.sqrt(np.maximum(electrons + 3 / 8, 0)), 1.0), _LEAST_ROOT)
    root = 1.5**0.5
    electrons = roots**2 / 4 + root / 4 / roots - 11 / 8 / roots**2 + 5 / 8 * root / roots**3 - 1 / 8
    return np.asarray(gain * electrons - intercept / gain, dtype=np.float32)
