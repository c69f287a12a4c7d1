"""The camera's offset: the grey level without light, which the photon-transfer line alone does not tell.

In *gain · offset + intercept = (read noise)²* there are two unknowns: a photon's shot noise and a read noise of one
electron look the same to a variance. What is certain is a range. The read noise is not negative, so the offset is at
least −intercept / gain; light is not negative, so it is at most the darkest level of the frames.

Within the range the skewness of the noise decides: shot noise is skewed and read noise is not, so that the third
central moment of a pixel with b photons is gain³·b. Where it is too uncertain to say anything (bright backgrounds, few
pixels), what cameras are like decides: the variance in the dark is read noise up to 2 electrons, and light beyond.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.photon_transfer import PhotonTransfer

__all__ = ["CameraOffset", "camera_offset"]

READ_NOISE = 2.0
"""Photo-electrons of read noise that a camera is expected to have at most.

Scientific CMOS cameras have 0.7 to 2, EMCCDs and photon counters less.
"""

DARK_SHARE = 0.1
"""Share of the pixels, those with the darkest surroundings, whose skewness is measured."""

MIN_SAMPLES = 1000
"""Fewest pixels that a third moment is taken of."""

WINDOW = 5
"""Side of the surroundings; their mean takes the structure out, and 1/24² of the third moment with it."""

OUTLIER = 6.0
"""Standard deviations, and photons, beyond which a pixel is no shot noise."""


@dataclass(frozen=True)
class CameraOffset:
    """Grey level without light.

    Parameters
    ----------
    level
        The most likely one, grey levels.
    error
        Standard error, grey levels; what cameras are like is not counted as knowledge.
    lowest, highest
        Offset without any read noise, and offset without any light in the darkest place; grey levels.
    """

    level: float
    error: float
    lowest: float
    highest: float


def camera_offset(
    planes: NDArray[np.float32], line: PhotonTransfer, *, excluded: NDArray[np.bool_]
) -> CameraOffset:
    """Estimate the offset.

    Parameters
    ----------
    planes
        Shape (N, H, W): single frames, grey levels.
    line
        Their photon-transfer line, of a slope above 0.
    excluded
        Shape (N, H, W): pixels that must not be used. Those at the ends of the grey scale must be: to leave
        them out would cut the noise off on one side.

    Returns
    -------
    CameraOffset
        Finite for every input.
    """
    gain = line.slope
    lowest = -line.intercept / gain
    highest = max(line.dark, lowest)
    electrons = (highest - lowest) / gain
    expected = lowest + gain * min(READ_NOISE**2, electrons)
    trust = 1 / (gain * READ_NOISE**2 / 2) ** 2
    level, photons, error = _dark_light(planes, gain, excluded)
    # a relative error of the gain counts three times in gain³
    error = gain * float(np.hypot(error, 3 * line.slope_error / gain * photons))
    skewness = 1 / max(error, 1e-3 * gain) ** 2
    likely = (expected * trust + (level - gain * photons) * skewness) / (trust + skewness)
    return CameraOffset(
        min(max(likely, lowest), highest), min(error, (highest - lowest) / 2), lowest, highest
    )


def _dark_light(
    planes: NDArray[np.float32], gain: float, excluded: NDArray[Any]
) -> tuple[float, float, float]:
    """Mean level of the darkest tenth of the frames, photo-electrons there, and their standard error."""
    nothing = (0.0, 0.0, float("inf"))
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
    return (float(levels.mean()), float(np.mean(cubes)), float(np.std(cubes)) / deviation.size**0.5)
