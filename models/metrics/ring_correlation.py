"""Fourier ring correlation: down to which size two independent captures show the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["RingCorrelation", "ring_correlation"]

_THRESHOLD = 1 / 7


@dataclass(frozen=True)
class RingCorrelation:
    """Correlation of two spectra, ring by ring.

    Parameters
    ----------
    frequency
        Mean frequency of each ring, cycles per pixel, up to 0.5.
    correlation
        Correlation on it, −1 … 1.
    resolution
        Size at which it falls below 1/7 for the first time, pixels; 2 where it never does.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    resolution: float


def ring_correlation(first: NDArray[Any], second: NDArray[Any]) -> RingCorrelation:
    """Correlate two independent captures of one scene in rings of their spectra.

    Parameters
    ----------
    first, second
        Shape (Y, X), at least 16×16, real dtypes, grey levels.

    Returns
    -------
    RingCorrelation

    Raises
    ------
    quietscope.config.ModelError
        If the shapes differ or the images are too small.

    Notes
    -----
    Nieuwenhuizen et al., Nature Methods 10, 557 (2013): threshold 1/7, here of the mean of three neighbouring rings; a
    Hann window keeps the edges of the frame out. Where one model has denoised both captures, what it makes of any noise
    counts as shown by both: for denoised images the figure is a bound.
    """
    if first.shape != second.shape or min(first.shape) < 16:
        msg = f"ring correlation: shapes {first.shape} and {second.shape}; give two captures of at least 16×16 pixels"
        raise ModelError(msg)
    height, width = first.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    a, b = (np.fft.rfft2((image - np.mean(image, dtype=np.float64)) * window) for image in (first, second))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    rings = min(height, width) // 2
    ring = np.minimum((radius * 2 * rings).astype(np.intp), rings).ravel()

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(ring, values.ravel(), rings + 1).astype(np.float64)
        return sums[1:rings]

    shared, power = total((a * b.conj()).real), np.sqrt(total(np.abs(a) ** 2) * total(np.abs(b) ** 2))
    correlation = np.divide(shared, power, out=np.zeros_like(shared), where=power > 0)
    frequency = total(radius) / total(np.ones_like(radius))
    smooth = np.convolve(np.pad(correlation, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    below = np.flatnonzero(smooth < _THRESHOLD)
    return RingCorrelation(frequency, correlation, float(1 / frequency[below[0]]) if below.size else 2.0)
