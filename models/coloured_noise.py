"""Gaussian noise that correlates over a few pixels as measured."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["coloured_noise"]

_WHITE = 0.05
"""Correlations below count as none."""


def coloured_noise(
    shape: tuple[int, ...], lag_correlations: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw Gaussian noise of unit variance with given correlations along the radius.

    Parameters
    ----------
    shape
        (..., Y, X).
    lag_correlations
        Correlation of pixels 1, 2, 3, … apart; it ends one pixel further.
    rng
        Source of chance.

    Returns
    -------
    numpy.ndarray
        float32. Where no noise can have such correlations, the nearest spectrum that is nowhere negative is taken.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    if all(abs(value) < _WHITE for value in lag_correlations):
        return white
    rows, columns = shape[-2:]
    down = np.minimum(np.arange(rows), rows - np.arange(rows))[:, None]
    across = np.minimum(np.arange(columns), columns - np.arange(columns))[None, :]
    lags = [1.0, *lag_correlations, 0.0]
    covariance = np.interp(np.hypot(down, across), np.arange(len(lags)), lags)
    spectrum = np.maximum(np.fft.rfft2(covariance).real, 0.0)
    transfer = np.sqrt(spectrum / max(float(np.fft.irfft2(spectrum, s=(rows, columns))[0, 0]), 1e-12))
    coloured = np.fft.irfft2(np.fft.rfft2(white) * transfer, s=(rows, columns))
    return np.asarray(coloured, dtype=np.float32)
