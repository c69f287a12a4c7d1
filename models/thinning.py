"""Two frames from one: photo-electrons dealt out at random, so that the noise of both is independent.

Each photo-electron of a pixel goes to the first frame with probability p, else to the second. If their number N is
Poisson distributed, the two numbers are independent Poisson variables (Kingman, Poisson Processes, 1993, colouring
theorem), so first/p and second/(1 − p) are two unbiased views of the same scene at full resolution. N itself is
drawn from what a pixel's grey level says of it, given the camera's read noise and the light around the pixel. What
remains of the grey level is read noise, which is Gaussian and is split by adding to it √((1 − p)/p)·g in one view
and taking √(p/(1 − p))·g away in the other, g being fresh noise of the same strength (Pang, Zheng, Quan and Ji,
CVPR 2021; for the general case Neufeld et al., J. Mach. Learn. Res. 25, 2024).
"""

from dataclasses import dataclass
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.calibration import Calibration
from quietscope.models.gaussian import blur

__all__ = ["MARGIN", "Thinning"]

MARGIN = 8
"""Pixels around a patch that tell how much light there is."""

_AROUND = 1.5
"""Width of the blur that tells how much light there is, pixels."""

_SHARP = 0.3
"""Read noise below which a photo-electron shows as a step of the grey level, photo-electrons."""

_LEAST_LIGHT = 0.02
"""Least expected number of photo-electrons: a place that looks empty may still receive one."""

_MANY = 2000
"""Photo-electrons from which their Poisson distribution is taken as Gaussian."""

_LOG_FACTORIAL = np.array([lgamma(n + 1) for n in range(_MANY + 64)], dtype=np.float32)

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Thinning:
    """Splits frames of a calibrated channel.

    Parameters
    ----------
    gain
        Grey levels per photo-electron; 0 for noise that does not depend on the light.
    offset
        Grey level without light.
    read_noise
        Standard deviation without light, grey levels.
    """

    gain: float
    offset: float
    read_noise: float

    @classmethod
    def of(cls, calibration: Calibration) -> "Thinning":
        """Take the figures from a calibration; without a gain all noise counts as read noise."""
        if calibration.gain <= 0:
            return cls(0.0, calibration.offset, calibration.noise.std)
        return cls(calibration.gain, calibration.offset, calibration.read_noise)

    def split(
        self, patches: NDArray[Any], share: Float32, rng: np.random.Generator
    ) -> tuple[Float32, Float32]:
        """Deal the photo-electrons of patches out.

        Parameters
        ----------
        patches
            Shape (n, P + 2·`MARGIN`, Q + 2·`MARGIN`), grey levels.
        share
            Probability p of each patch that a photo-electron goes to the first view, shape (n, 1, 1).
        rng
            Source of chance.

        Returns
        -------
        first, second
            Shape (n, P, Q), float32, grey levels, each with the mean of the patches.
        """
        inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        level = np.asarray(patches, dtype=np.float32) - np.float32(self.offset)
        own = level[inside]
        if self.gain <= 0:
            spread = self.read_noise * rng.standard_normal(own.shape, dtype=np.float32)
            return self._views(own, own, spread, share)
        count = own / np.float32(self.gain)
        strength = self.read_noise / self.gain
        if strength < _SHARP:
            # a detector whose single photo-electrons differ in height: the height goes with them
            number = np.maximum(1, np.floor(count + rng.random(own.shape, dtype=np.float32)))
            part = self._deal(number, share, rng) / number
            return self._views(own * part / share, own * (1 - part) / (1 - share), np.zeros_like(own), share)
        light = np.stack([blur(patch, _AROUND) for patch in level])[inside] / np.float32(self.gain)
        number = _draw(count, np.maximum(light, _LEAST_LIGHT), strength, rng)
        part = self._deal(number, share, rng)
        rest = own - number * np.float32(self.gain)
        spread = self.read_noise * rng.standard_normal(own.shape, dtype=np.float32)
        first, second = (
            rest + np.float32(self.gain) * dealt for dealt in (part / share, (number - part) / (1 - share))
        )
        return self._views(first, second, spread, share)

    @staticmethod
    def _deal(number: Float32, share: Float32, rng: np.random.Generator) -> Float32:
        chance = np.broadcast_to(share, number.shape)
        return rng.binomial(number.astype(np.int64), chance).astype(np.float32)

    def _views(
        self, first: Float32, second: Float32, spread: Float32, share: Float32
    ) -> tuple[Float32, Float32]:
        """Split the Gaussian part and go back to grey levels."""
        odds = np.sqrt((1 - share) / share)
        offset = np.float32(self.offset)
        return (
            (first + odds * spread + offset).astype(np.float32),
            (second - spread / odds + offset).astype(np.float32),
        )


def _draw(count: Float32, light: Float32, strength: float, rng: np.random.Generator) -> Float32:
    """Draw the number of photo-electrons of each pixel from its distribution given the grey level.

    `count` is the grey level in photo-electrons, `light` their expected number, `strength` the read noise.
    """
    reach = int(np.ceil(3 * strength))
    least = np.maximum(np.rint(count) - reach, 0).astype(np.float32)
    weights = []
    for step in range(2 * reach + 1):
        number = least + np.float32(step)
        known = np.minimum(number, _MANY).astype(np.int64)
        expected = np.minimum(light, np.float32(_MANY))
        prior = known * np.log(expected) - _LOG_FACTORIAL[known]
        weights.append(prior - (count - number) ** 2 / np.float32(2 * strength**2))
    table = np.stack(weights)
    table = np.cumsum(np.exp(table - table.max(axis=0)), axis=0)
    chosen = (table < rng.random(count.shape, dtype=np.float32) * table[-1]).sum(axis=0)
    return np.asarray(least + chosen, dtype=np.float32)
