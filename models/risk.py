"""Risk of a patch: whether stretching it to its own range would invent structure.

A patch of empty background holds nothing but noise, and one of sparse bright signal is nearly all background:
scaled to its own minimum and maximum, noise takes the place of signal. Two rules find them.

* `classify_published`: thresholds on mean, standard deviation and skewness in units of the image's range, as in
  the released Adaptive-SN2N (2025). Noise itself moves these figures: below about 100 photons no empty patch is
  found.
* `classify_noise`: structure relative to the noise measured from the patch's own twins; the camera needs no
  calibration.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.noise import NoiseReport
from quietscope.models.row_quantiles import row_quantiles
from quietscope.models.twin_statistics import TwinStatistics, twin_statistics
from quietscope.models.twins import split_diagonal

__all__ = ["Risk", "classify", "classify_noise", "classify_published", "looks_empty", "unit_range"]

Float32 = NDArray[np.float32]

DEVIATIONS = 4.0
"""Standard deviations of F beyond which a patch holds structure."""

SPARSE_OCCUPANCY = 0.02
"""Share of bright blocks below which signal is sparse."""

SPARSE_CONTRAST = 20.0
"""Height of the brightest block above the median, in noise standard deviations, from which sparse signal
squeezes the rest."""


class Risk(IntEnum):
    """Why a patch must not take its own scale."""

    LOW = 0
    HIGH_BACKGROUND = 1
    HIGH_SPARSE = 2


def unit_range(image: NDArray[Any]) -> Float32:
    """Clip an image above its 99.99 percentile and map its range to 0–1, the units of the published rule.

    Parameters
    ----------
    image
        Shape (Y, X), finite, real dtype.

    Returns
    -------
    numpy.ndarray
        float32, same shape; zeros for a constant image.
    """
    values = np.asarray(image, dtype=np.float32)
    top, bottom = float(np.percentile(values, 99.99)), float(values.min())
    span = top - bottom
    if span <= 0:
        return np.zeros_like(values)
    return (np.minimum(values, np.float32(top)) - np.float32(bottom)) / np.float32(span)


def classify(patches: Float32, noise: NoiseReport | None = None) -> NDArray[np.uint8]:
    """Risk class of each patch: relative to `noise` where it is given, else by the published thresholds.

    Parameters
    ----------
    patches
        Shape (N, h, w), finite; grey levels with `noise`, else in units of the image's range (`unit_range`).
    noise
        What noise without structure looks like in this series.

    Returns
    -------
    numpy.ndarray
        Values of `Risk`, uint8, shape (N,).
    """
    return classify_published(patches) if noise is None else classify_noise(patches, noise)


def classify_published(patches: Float32) -> NDArray[np.uint8]:
    """Risk class of each patch by the thresholds of Adaptive-SN2N as released.

    High background: (mean ≤ 0.2 and std ≤ 0.028) or (skewness ≤ 0 and std ≤ 0.05). High sparse: mean ≤ 0.3,
    std ≥ 0.075 and skewness ≥ 3. The skewness is corrected for bias; that of a constant patch is 0.

    Parameters
    ----------
    patches
        Shape (N, h, w), in units of the image's range, see `unit_range`.

    Returns
    -------
    numpy.ndarray
        Values of `Risk`, uint8, shape (N,).
    """
    values = patches.reshape(len(patches), -1).astype(np.float64)
    count = values.shape[1]
    mean = values.mean(axis=1)
    centred = values - mean[:, None]
    std = np.sqrt(np.mean(centred**2, axis=1))
    cube = np.mean(centred**3, axis=1)
    flat = std <= 1e-9
    skewness = np.where(flat, 0.0, cube / np.where(flat, 1.0, std) ** 3)
    if count > 2:
        skewness *= (count * (count - 1)) ** 0.5 / (count - 2)
    background = ((mean <= 0.2) & (std <= 0.028)) | ((skewness <= 0.0) & (std <= 0.05))
    sparse = (mean <= 0.3) & (std >= 0.075) & (skewness >= 3.0)
    return _classes(background, sparse)


def classify_noise(
    patches: Float32, noise: NoiseReport, statistics: TwinStatistics | None = None
) -> NDArray[np.uint8]:
    """Risk class of each patch relative to the noise measured from its own twins.

    High background: neither the variance of 2×2 means nor that of 8×8 means exceeds what noise alone gives by
    four standard deviations. High sparse: fewer than 2 % of the blocks stand out of the noise, yet the
    brightest by more than 20 times it.

    Parameters
    ----------
    patches
        Shape (N, h, w), finite, grey levels.
    noise
        Null values of the series; those of independent noise are 1.
    statistics
        `twin_statistics(patches)` if the caller already has it.

    Returns
    -------
    numpy.ndarray
        Values of `Risk`, uint8, shape (N,). Patches too small to tell, and constant ones, count as
        background.
    """
    known = twin_statistics(patches) if statistics is None else statistics
    classes = np.full(len(patches), Risk.HIGH_BACKGROUND, np.uint8)
    rest = np.flatnonzero(~looks_empty(known, noise))
    if known.blocks >= 2 and rest.size:
        classes[rest] = _classify_structured(patches[rest], noise, known.variance[rest])
    return classes


def looks_empty(statistics: TwinStatistics, noise: NoiseReport) -> NDArray[np.bool_]:
    """Whether patches show no more than noise, by which most of an empty frame is settled without a look at its pixels.

    Parameters
    ----------
    statistics
        Of N patches.
    noise
        Null values of the series.

    Returns
    -------
    numpy.ndarray
        bool, shape (N,); `classify_noise` calls these high background.
    """
    fine_limit = noise.fine_null * (1 + DEVIATIONS * statistics.fine_sd)
    coarse_limit = noise.coarse_null * (1 + DEVIATIONS * statistics.coarse_sd)
    return (statistics.fine < fine_limit) & (statistics.coarse < coarse_limit)


def _classify_structured(patches: Float32, noise: NoiseReport, variance: Float32) -> NDArray[np.uint8]:
    """Risk classes of patches that hold more than noise, or nothing at all."""
    a, b = split_diagonal(patches)
    middle = ((a + b) / np.float32(2)).reshape(len(patches), a[0].size)
    median, top = row_quantiles(middle, (0.5, 1.0))
    sigma = np.sqrt(variance)
    sigma_middle = sigma * noise.fine_null**0.5 / 2
    occupancy = np.mean(middle > (median + 4 * sigma_middle)[:, None], axis=1)
    sparse = (occupancy < SPARSE_OCCUPANCY) & (top - median > SPARSE_CONTRAST * sigma)
    return _classes(np.ptp(patches, axis=(1, 2)) == 0, sparse)


def _classes(background: NDArray[np.bool_], sparse: NDArray[np.bool_]) -> NDArray[np.uint8]:
    classes = np.where(background, Risk.HIGH_BACKGROUND, np.where(sparse, Risk.HIGH_SPARSE, Risk.LOW))
    return classes.astype(np.uint8)
