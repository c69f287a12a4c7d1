"""What a denoised frame looks like as a whole: brightness, sharpness, and where the bright places are.

Cheap figures that tell whether frames are still like those a model was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.noise import clean
from quietscope.models.residual import NoiseModel

__all__ = ["Scene", "describe"]

GRID = 16
"""Number of rows and columns that a frame is looked at by to tell one field from another."""


@dataclass(frozen=True)
class Scene:
    """Appearance of a frame.

    Parameters
    ----------
    brightness
        Mean light, grey levels above that without light.
    sharpness
        Root mean square difference of neighbouring rows over the standard deviation of all pixels: large where details
        are fine, and the same however bright they are.
    grid
        Mean grey levels of 16×16 parts, row by row.
    """

    brightness: float
    sharpness: float
    grid: tuple[float, ...]

    @classmethod
    def mean(cls, scenes: Sequence["Scene"]) -> "Scene":
        """Average over frames."""
        return cls(
            float(np.mean([scene.brightness for scene in scenes])),
            float(np.mean([scene.sharpness for scene in scenes])),
            tuple(float(v) for v in np.mean([scene.grid for scene in scenes], axis=0)),
        )

    def likeness(self, other: "Scene") -> float:
        """Correlation of where the bright places are, 1 for the same field; 0 where there are none."""
        a, b = (np.asarray(grid) - np.mean(grid) for grid in (self.grid, other.grid))
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / size if size > 0 else 0.0


def describe(denoised: NDArray[Any], noise: NoiseModel) -> Scene:
    """Describe a denoised frame.

    Parameters
    ----------
    denoised
        Shape (Y, X), real dtype, grey levels.
    noise
        For the level without light.
    """
    image = clean(denoised)
    # Pairs of rows out of every eight say as much as all rows do.
    upper, lower = image[:-1:8], image[1::8][: len(image[:-1:8])]
    step = float(np.mean(np.square(lower - upper), dtype=np.float64)) if upper.size else 0.0
    variance = float(upper.var(dtype=np.float64)) if upper.size else 0.0
    rows = np.array_split(np.arange(image.shape[0]), min(GRID, image.shape[0]))
    columns = np.linspace(0, image.shape[1], min(GRID, image.shape[1]), endpoint=False).astype(int)
    strips = np.stack([image[part[0] : part[-1] + 1].mean(axis=0) for part in rows])
    widths = np.diff([*columns, image.shape[1]])
    grid = np.add.reduceat(strips, columns, axis=1) / widths
    return Scene(
        brightness=noise.light(image),
        sharpness=(step / variance) ** 0.5 if variance > 0 else 0.0,
        grid=tuple(float(v) for v in grid.ravel()),
    )
