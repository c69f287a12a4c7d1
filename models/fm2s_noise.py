"""Noise that FM2S adds to median-filtered frames: with the paper's factors, or as strong as the frames' own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.models.calibration import Calibration
from quietscope.models.normalisation import StreamScale

__all__ = ["BlockNoise", "MeasuredNoise"]

Float32 = NDArray[np.float32]

_BLOCK = 75
"""Side of the blocks that share a noise level, pixels."""


@dataclass(frozen=True)
class BlockNoise:
    """The paper's noise: block by block after its level, then shot noise of the whole.

    Parameters
    ----------
    gaussian
        Standard deviation of the Gaussian noise at a block's level of 1, 8-bit grey levels.
    poisson
        Photo-electrons at the block's level.
    photons
        Photo-electrons at 1 of the noise that the whole image gets in the end.
    levels
        Bounds of a block's level.
    limits
        What the camera's smallest and largest value become, normalised.
    """

    gaussian: float
    poisson: float
    photons: float
    levels: tuple[float, float]
    limits: tuple[float, float]

    def add(self, image: Float32, rng: np.random.Generator) -> Float32:
        """Give every channel of (c, Y, X), normalised, noise of its own."""
        noisy = np.empty_like(image)
        for top in range(0, image.shape[1], _BLOCK):
            for left in range(0, image.shape[2], _BLOCK):
                block = image[:, top : top + _BLOCK, left : left + _BLOCK]
                level = float(np.clip(block.mean(), *self.levels))
                noise = rng.normal(0, self.gaussian / 255 * level, block.shape)
                noisy[:, top : top + _BLOCK, left : left + _BLOCK] = (
                    _shot(block, self.poisson / level, rng) + noise
                )
        noisy = _shot(np.clip(noisy, *self.limits), self.photons, rng)
        return np.clip(noisy, *self.limits).astype(np.float32)


@dataclass(frozen=True)
class MeasuredNoise:
    """Noise whose variance grows with the brightness as that of the frames does.

    Parameters
    ----------
    slope, intercept
        Variance = slope · value + intercept, normalised.
    limits
        What the camera's smallest and largest value become, normalised.
    """

    slope: float
    intercept: float
    limits: tuple[float, float]

    @classmethod
    def of(
        cls, calibration: Calibration, stream: StreamScale, limits: tuple[float, float]
    ) -> "MeasuredNoise":
        """Noise of a calibrated series, at the scale of its frames."""
        slope = max(calibration.variance_slope, 0.0)
        at_zero = slope * stream.offset + calibration.variance_intercept
        if slope == 0:
            at_zero = max(at_zero, calibration.noise.std**2)
        return cls(slope / stream.scale, at_zero / stream.scale**2, limits)

    def add(self, image: Float32, rng: np.random.Generator) -> Float32:
        """Give every channel of (c, Y, X), normalised, noise of its own."""
        if self.slope > 0:
            # a Poisson number shifted to where the variance vanishes has this variance everywhere
            dark = np.float32(-self.intercept / self.slope)
            noisy = _shot(image - dark, 1 / self.slope, rng) + dark
        else:
            noisy = (image + rng.normal(0, self.intercept**0.5, image.shape)).astype(np.float32)
        bounded: Float32 = np.clip(noisy, *self.limits).astype(np.float32)
        return bounded


def _shot(image: Float32, photons: float, rng: np.random.Generator) -> Float32:
    """Shot noise of an image whose 1 is `photons`; what lies below 0 has none."""
    electrons = rng.poisson(np.maximum(image, 0) * photons)
    return (electrons / photons + np.minimum(image, 0)).astype(np.float32)
