"""Light in the darkest places of a frame: what tells read noise from background.

Variance alone cannot: a photon's shot noise and read noise of one electron look the same. But shot noise is
skewed and read noise is not: the third central moment of a pixel with b photons is gain³·b.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DarkLight", "dark_light"]

DARK_SHARE = 0.1
"""Share of the pixels, those with the darkest surroundings, that are looked at."""

MIN_SAMPLES = 1000
"""Fewest pixels that a third moment is taken of."""

WINDOW = 5
"""Side of the surroundings; their mean takes the structure out, and 1/24² of the third moment with it."""

OUTLIER = 6.0
"""Standard deviations, and photons, beyond which a pixel is no shot noise."""


@dataclass(frozen=True)
class DarkLight:
    """Light where the frames are darkest.

    Parameters
    ----------
    level
        Mean grey level there.
    photons
        Photo-electrons per pixel there.
    error
        Standard error of `photons`; infinite where nothing can be said.
    """

    level: float
    photons: float
    error: float


def dark_light(planes: NDArray[np.float32], *, gain: float, excluded: NDArray[Any]) -> DarkLight:
    """Estimate the light in the darkest tenth of the frames from the skewness of the noise.

    Parameters
    ----------
    planes
        Shape (N, H, W): single frames, grey levels.
    gain
        Grey levels per photo-electron, above 0.
    excluded
        Shape (N, H, W), bool: pixels that must not be used; whatever is at either end of the grey scale must
        be kept, or the noise is cut off on one side.

    Returns
    -------
    DarkLight
        Level and light there.
    """
    nothing = DarkLight(0.0, 0.0, float("inf"))
    if planes.size == 0 or min(planes.shape[1:]) < WINDOW:
        return nothing
    margin = WINDOW // 2
    height, width = (side - WINDOW + 1 for side in planes.shape[1:])
    rows = sum((planes[:, k : k + height] for k in range(1, WINDOW)), start=planes[:, :height])
    windows = sum((rows[:, :, k : k + width] for k in range(1, WINDOW)), start=rows[:, :, :width])
    inside = (slice(None), slice(margin, -margin), slice(margin, -margin))
    centre = planes[inside]
    # surroundings do not hold the pixel itself: to choose pixels for being dark would skew them
    around = (windows - centre) / np.float32(WINDOW**2 - 1)
    usable = ~excluded[inside]
    around, centre = around[usable], centre[usable]
    if around.size < MIN_SAMPLES:
        return nothing
    dark = around <= np.quantile(around, DARK_SHARE)
    levels = centre[dark].astype(np.float64)
    deviation = (levels - around[dark]) / gain
    spread = 1.4826 * float(np.median(np.abs(deviation - np.median(deviation))))
    usual = np.abs(deviation - np.median(deviation)) <= OUTLIER * (spread + 1)
    levels, deviation = levels[usual], deviation[usual]
    if deviation.size < MIN_SAMPLES:
        return nothing
    deviation -= deviation.mean()
    cubes = deviation**3 - 3 * np.mean(deviation**2) * deviation
    return DarkLight(float(levels.mean()), float(np.mean(cubes)), float(np.std(cubes)) / deviation.size**0.5)
