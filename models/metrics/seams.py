"""Seams: whether the errors of denoised frames repeat from tile to tile."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["LEAST_PERIODS", "seams"]

LEAST_PERIODS = 3
"""Tiles along an axis below which a period cannot be told from a slope."""

_HARMONICS = 8
"""Multiples of the tile frequency that are looked at: seams are narrow, so their spectrum is wide."""

_LOG_STD = float(np.pi / np.sqrt(6))
"""Standard deviation of the logarithm of the power of noise at one frequency."""


def seams(errors: Sequence[NDArray[Any]], pitch: tuple[float, float]) -> float:
    """Compare the power at the tiles' frequency and its multiples with that half-way between them.

    Parameters
    ----------
    errors
        Denoised minus true frames, shape (Y, X) each, of one shape; at least one.
    pitch
        Distance of neighbouring tiles along Y and X, pixels; an axis with fewer than three tiles is left out.

    Returns
    -------
    float
        Height of the peak above the noise floor in standard deviations of the floor: about 0 without seams, beyond 3
        there are seams. nan where no axis has enough tiles.

    Raises
    ------
    quietscope.config.ModelError
        If there is no frame.

    Notes
    -----
    Along each axis the differences between neighbouring pixels are squared, averaged over the other axis and over the
    frames, and the logarithm taken, so that bright structures do not outweigh the rest. Means of logarithms of the
    power are compared: their distribution does not depend on the noise's strength.
    """
    if not errors:
        raise ModelError("seams: there is no frame; give at least one")
    peaks: list[NDArray[np.float64]] = []
    floors: list[NDArray[np.float64]] = []
    for axis, period in enumerate(pitch):
        if period <= 0 or errors[0].shape[axis] / period < LEAST_PERIODS:
            continue
        energy = np.mean(
            [np.mean(np.diff(error.astype(np.float64), axis=axis) ** 2, axis=1 - axis) for error in errors],
            axis=0,
        )
        profile = np.log(np.maximum(energy, 1e-12 * max(float(energy.max()), 1e-300)))
        orders = np.arange(1, min(_HARMONICS, int(period / 2) - 1) + 1)
        peaks.append(np.log(_power(profile, orders / period)))
        floors.append(np.log(_power(profile, np.append(orders - 0.5, orders[-1] + 0.5) / period)))
    if not peaks:
        return float("nan")
    peak, floor = np.concatenate(peaks), np.concatenate(floors)
    error = _LOG_STD * np.sqrt(1 / peak.size + 1 / floor.size)
    return float((peak.mean() - floor.mean()) / error)


def _power(profile: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of a profile, without its line, at any frequencies in cycles per pixel."""
    place = np.arange(profile.size)
    level = profile - np.polyval(np.polyfit(place, profile, 1), place)
    waves = np.exp(-2j * np.pi * frequencies[:, None] * place)
    power: NDArray[np.float64] = np.abs(waves @ (level * np.hanning(profile.size))) ** 2
    return np.maximum(power, 1e-300)
