"""A specimen that a simple filter denoises well, that filter as a model, and what a shelf remembers of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from quietscope.config import Settings
from quietscope.models.calibration import calibrate
from quietscope.models.denoiser import Denoiser
from quietscope.models.trust_reference import measure_reference

SIDE = 160


def kernel(sigma: float) -> np.ndarray:
    """A smoothing filter that leaves slopes and curvatures as they are: for smooth blobs better than any Gaussian."""
    point = np.zeros((31, 31))
    point[15, 15] = 1
    return 2 * gaussian_filter(point, sigma) - gaussian_filter(point, 2**0.5 * sigma)


def specimen(seed: int = 0, size: float = 6.0) -> np.ndarray:
    """Smooth blobs, photons."""
    rng = np.random.default_rng(seed)
    points = np.zeros((SIDE, SIDE))
    points[rng.integers(15, SIDE - 15, 30), rng.integers(15, SIDE - 15, 30)] = 1
    light = gaussian_filter(points, size)
    return 1 + 25 * light / light.max()


def expose(photons: np.ndarray, seed: int, gain: float = 2.2) -> np.ndarray:
    """A frame of it, uint16."""
    rng = np.random.default_rng(seed)
    levels = 100 + gain * (rng.poisson(photons) + 1.6 * rng.standard_normal(photons.shape))
    return np.rint(levels).astype(np.uint16)


def series(photons: np.ndarray, first: int, **camera: float) -> list[np.ndarray]:
    """Six frames."""
    return [expose(photons, seed, **camera) for seed in range(first, first + 6)]


def remembered(path: Path, frames: list[np.ndarray]) -> Mapping[str, Any]:
    """What a run writes about an accepted model: here only what its frames look like."""
    denoiser = Denoiser(path, Settings().tiling, Settings().runtime)
    denoise: Callable = lambda frame: denoiser.cast(denoiser.denoise(frame), frame.dtype)  # noqa: E731
    reference = measure_reference(denoise, frames, calibrate(frames), max_twin_correlation=0.3)
    return {"trust": reference.figures}
