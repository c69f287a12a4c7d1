"""Classical denoisers that every table of methods needs; none of them learns anything."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.block_matching import block_matching
from quietscope.models.gaussian import blur
from quietscope.models.median import median
from quietscope.models.noise import clean

__all__ = ["BASELINES"]

Float32 = NDArray[np.float32]


def _noisy(frame: NDArray[Any]) -> Float32:
    return clean(frame).copy()


def _median(frame: NDArray[Any]) -> Float32:
    return median(clean(frame))


def _gaussian(frame: NDArray[Any], *, sigma: float) -> Float32:
    return blur(clean(frame), sigma)


BASELINES: Mapping[str, Callable[[NDArray[Any]], Float32]] = {
    "noisy": _noisy,
    "median": _median,
    "gaussian-1": partial(_gaussian, sigma=1.0),
    "gaussian-2": partial(_gaussian, sigma=2.0),
    "bm3d": block_matching,
}
"""Name → function from a frame (Y, X), real dtype, to the denoised frame, float32, same shape, grey levels.

``noisy`` changes nothing; ``median`` has a window of 3x3 pixels; ``gaussian-1`` and ``gaussian-2`` have standard
deviations of 1 and 2 pixels; ``bm3d`` needs the extra ``[peers]`` and raises `quietscope.config.ModelError` without.
"""
