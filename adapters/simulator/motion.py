"""Movements in closed form: the state at any time point follows from the time point alone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Events", "Waves"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Waves:
    """Smooth displacement fields: each body is bent by a few plane waves that travel through it.

    Neighbouring points of a body move alike, so that tubules bend and slide and stay whole.

    Parameters
    ----------
    amplitude_y, amplitude_x
        Amplitudes, pixels, shape (bodies, waves).
    wave_y, wave_x
        Wave vectors, radians per pixel, shape (bodies, waves); 0 moves the body as a whole.
    speed
        Radians per time point, shape (bodies, waves).
    phase
        Radians, shape (bodies, waves).
    """

    amplitude_y: Floats
    amplitude_x: Floats
    wave_y: Floats
    wave_x: Floats
    speed: Floats
    phase: Floats

    @classmethod
    def random(
        cls,
        rng: np.random.Generator,
        amplitude: Floats,
        *,
        wavelength: tuple[float, float],
        period: tuple[float, float],
        waves: int = 3,
    ) -> "Waves":
        """Draw fields; one wave of each body has no wave vector and carries it as a whole.

        Parameters
        ----------
        rng
            Source of the fields.
        amplitude
            Typical displacement of each body, pixels, shape (bodies,).
        wavelength
            Range of wavelengths, pixels.
        period
            Range of periods, time points.
        waves
            Waves per body.
        """
        shape = (amplitude.size, waves)
        heading = rng.uniform(0, 2 * math.pi, shape)
        size = amplitude[:, None] * rng.uniform(0.6, 1.4, shape) / math.sqrt(waves)
        along = rng.uniform(0, 2 * math.pi, shape)
        number = 2 * math.pi / rng.uniform(*wavelength, shape)
        number[:, 0] = 0.0
        return cls(
            amplitude_y=size * np.sin(heading),
            amplitude_x=size * np.cos(heading),
            wave_y=number * np.sin(along),
            wave_x=number * np.cos(along),
            speed=2 * math.pi / rng.uniform(*period, shape) * rng.choice([-1.0, 1.0], shape),
            phase=rng.uniform(0, 2 * math.pi, shape),
        )

    def moved(self, y: Floats, x: Floats, body: Ints, t: float) -> tuple[Floats, Floats]:
        """Where points at rest at (y, x) of bodies ``body`` are at time point ``t``; pixels, shape (points,)."""
        angle = self.phase + self.speed * t
        new_y, new_x = y.copy(), x.copy()
        for k in range(self.phase.shape[1]):
            pull = np.sin(self.wave_y[body, k] * y + self.wave_x[body, k] * x + angle[body, k])
            new_y += self.amplitude_y[body, k] * pull
            new_x += self.amplitude_x[body, k] * pull
        return new_y, new_x


@dataclass(frozen=True, eq=False)
class Events:
    """Things that open and close again, such as the gap of a divided mitochondrion.

    Time is cut into cycles of a period of its own for each site; a hash of site and cycle decides whether
    anything happens in the cycle, so that no two cycles are alike and none needs the ones before it.

    Parameters
    ----------
    period
        Length of a cycle, time points, shape (sites,).
    phase
        Share of a cycle that lies before time point 0, shape (sites,).
    likely
        Probability that a cycle has its event.
    salt
        Makes the hashes of two sets of sites differ.
    """

    period: Floats
    phase: Floats
    likely: float
    salt: int

    @classmethod
    def random(
        cls, rng: np.random.Generator, sites: int, *, period: tuple[float, float], likely: float
    ) -> "Events":
        """Draw periods and phases of ``sites`` sites."""
        return cls(rng.uniform(*period, sites), rng.uniform(0, 1, sites), likely, int(rng.integers(0, 2**62)))

    def open(self, t: float) -> Floats:
        """How far each site is open at time point ``t``: 0 closed … 1 open, shape (sites,)."""
        cycles = t / self.period + self.phase
        cycle = np.floor(cycles)
        part = cycles - cycle
        start = 0.1 + 0.3 * self._chance(cycle, 1)
        end = start + 0.15 + 0.35 * self._chance(cycle, 2)
        ramp = np.minimum(0.09, 6.0 / self.period)
        rising = np.clip((part - start) / ramp, 0, 1)
        falling = np.clip((end - part) / ramp, 0, 1)
        level = np.minimum(rising, falling)
        return np.where(self._chance(cycle, 0) < self.likely, level * level * (3 - 2 * level), 0.0)

    def _chance(self, cycle: Floats, what: int) -> Floats:
        """Uniform numbers in [0, 1) by site and cycle (splitmix64's finaliser as the hash)."""
        site = np.arange(self.period.size, dtype=np.uint64)
        value = site * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self.salt)
        value += (cycle.astype(np.int64).astype(np.uint64) * np.uint64(3) + np.uint64(what)) * np.uint64(
            0xD1B54A32D192ED03
        )
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value ^= value >> np.uint64(31)
        return (value >> np.uint64(11)).astype(np.float64) / float(2**53)
