"""The light of a structured-illumination microscope: stripes in three directions, three positions each."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXPOSURES", "Illumination"]

FIRST_ANGLE = math.radians(10)
"""Direction of the first pattern: no direction lies along the rows or columns of the camera."""
ANGLES, PHASES = 3, 3
EXPOSURES = ANGLES * PHASES
"""Exposures that make a frame."""
MODULATION = 0.8
"""Depth of the stripes, which perfect interference would make 1."""


class Illumination:
    """Nine sinusoidal patterns of mean 1: 3 angles 60° apart × 3 phases 120° apart, the phases of an angle in turn.

    The stripes repeat a whole number of times along each axis of the grid, so that their wave vectors are points of
    its Fourier transform; that moves the asked-for vector by at most half a period per grid.

    Parameters
    ----------
    shape
        Grid, pixels (Y, X).
    frequency
        Of the stripes, cycles per pixel.
    """

    def __init__(self, shape: tuple[int, int], frequency: float) -> None:
        self.shape = shape
        """Grid, pixels (Y, X)."""
        self.modulation = MODULATION
        """Depth of the stripes: 1 would make the dark ones black."""
        angles = [FIRST_ANGLE + k * math.pi / ANGLES for k in range(ANGLES)]
        self.vectors = tuple(
            (round(frequency * math.sin(a) * shape[0]), round(frequency * math.cos(a) * shape[1]))
            for a in angles
        )
        """Wave vector (y, x) of each angle, periods per grid."""
        self.phases = tuple(2 * math.pi * k / PHASES for k in range(PHASES))
        """Phase of each exposure of an angle, radians."""

    def patterns(self) -> Iterator[NDArray[np.float32]]:
        """Brightness of each exposure: 1 + modulation · cos(2π vector · place + phase), float32, shape (Y, X)."""
        for wave_y, wave_x in self.vectors:
            along_y = 2 * math.pi * wave_y / self.shape[0] * np.arange(self.shape[0])
            along_x = 2 * math.pi * wave_x / self.shape[1] * np.arange(self.shape[1])
            for phase in self.phases:
                stripes = np.outer(np.cos(along_y + phase), np.cos(along_x))
                stripes -= np.outer(np.sin(along_y + phase), np.sin(along_x))
                yield (1 + self.modulation * stripes).astype(np.float32)
