"""What a denoised frame looks like as a whole: brightness, sharpness, and where the bright places are.

Cheap figures that tell whether frames are still like those a model was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.noise import clean
from quietscope.models.residual import NoiseModel

__all__ = ["APART", "Scene", "describe"]

GRID = 16
"""Number of rows and columns that a frame is looked at by to tell one field from another."""


APART = 4
"""Distance of the rows that are compared for sharpness, pixels: about what a well sampled microscope resolves.

Between adjacent rows structure differs too little against the noise that is left.
"""


@dataclass(frozen=True)
class Scene:
    """Appearance of a frame.

    Parameters
    ----------
    brightness
        Mean light, grey levels above that without light.
    sharpness
        Root mean square difference of rows 4 pixels apart over the standard deviation of all pixels: large where
        details are fine, and the same however bright they are. The noise that is left is taken out.
    sharpness_range
        What it may be at least and at most, if that noise is unknown by as much as there is of it.
    grid
        Mean grey levels of 16×16 parts, row by row.
    """

    brightness: float
    sharpness: float
    sharpness_range: tuple[float, float]
    grid: tuple[float, ...]

    @classmethod
    def mean(cls, scenes: Sequence["Scene"]) -> "Scene":
        """Average over frames."""
        return cls(
            float(np.mean([scene.brightness for scene in scenes])),
            float(np.mean([scene.sharpness for scene in scenes])),
            (
                float(np.mean([scene.sharpness_range[0] for scene in scenes])),
                float(np.mean([scene.sharpness_range[1] for scene in scenes])),
            ),
            tuple(float(v) for v in np.mean([scene.grid for scene in scenes], axis=0)),
        )

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> "Scene":
        """Take a scene from what `dataclasses.asdict` and JSON have made of it."""
        least, most = figures["sharpness_range"]
        return cls(figures["brightness"], figures["sharpness"], (least, most), tuple(figures["grid"]))

    def likeness(self, other: "Scene") -> float:
        """Correlation of where the bright places are, 1 for the same field; 0 where there are none."""
        a, b = (np.asarray(grid) - np.mean(grid) for grid in (self.grid, other.grid))
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / size if size > 0 else 0.0


def describe(denoised: NDArray[Any], noise: NoiseModel, *, passed: float, rough: float) -> Scene:
    """Describe a denoised frame.

    Parameters
    ----------
    denoised
        Shape (Y, X), real dtype, grey levels.
    noise
        For the level without light, and the strength of the noise.
    passed, rough
        Noise that the model lets through, which is no structure: its variance, and the mean square difference of it in
        rows `APART` pixels apart, in units of the noise variance.
    """
    image = clean(denoised)
    # One pair of rows out of every eight says as much as all rows do.
    upper, lower = image[:-APART:8], image[APART::8]
    steps, variance = [0.0, 0.0, 0.0], 0.0
    if upper.size:
        power = float(noise.variance(upper).mean(dtype=np.float64))
        step = float(np.mean(np.square(lower - upper), dtype=np.float64))
        steps = [max(step - times * rough * power, 0.0) for times in (2, 1, 0)]
        variance = float(upper.var(dtype=np.float64)) - passed * power
    least, likely, most = ((step / variance) ** 0.5 if variance > 0 else 0.0 for step in steps)
    rows = np.array_split(np.arange(image.shape[0]), min(GRID, image.shape[0]))
    columns = np.linspace(0, image.shape[1], min(GRID, image.shape[1]), endpoint=False).astype(int)
    strips = np.stack([image[part[0] : part[-1] + 1].mean(axis=0) for part in rows])
    widths = np.diff([*columns, image.shape[1]])
    grid = np.add.reduceat(strips, columns, axis=1) / widths
    return Scene(
        brightness=noise.light(image),
        sharpness=likely,
        sharpness_range=(least, most),
        grid=tuple(float(v) for v in grid.ravel()),
    )
