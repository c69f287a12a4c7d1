"""Classical denoisers that every table of methods needs; none of them learns anything."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.gaussian import blur
from quietscope.models.median import median
from quietscope.models.noise import clean, noise_std

__all__ = ["BASELINES"]

Float32 = NDArray[np.float32]

_BM3D_BLOCK = 8


def _noisy(frame: NDArray[Any]) -> Float32:
    return clean(frame).copy()


def _median(frame: NDArray[Any]) -> Float32:
    return median(clean(frame))


def _gaussian(frame: NDArray[Any], *, sigma: float) -> Float32:
    return blur(clean(frame), sigma)


def _bm3d(frame: NDArray[Any]) -> Float32:
    """Block matching and 3-D filtering (Mäkinen, Azzari and Foi 2020) for white noise of the measured strength."""
    try:
        import bm3d
    except ImportError as error:
        raise ModelError(
            f"the baseline 'bm3d' needs the package bm3d, which cannot be imported ({error}); install it with "
            "pip install 'quietscope[peers]'. It is free for non-commercial use only"
        ) from error
    image = clean(frame)
    if min(image.shape) < _BM3D_BLOCK:
        raise ModelError(
            f"the baseline 'bm3d' compares blocks of {_BM3D_BLOCK} pixels, and this frame is {image.shape}; "
            "give a larger one or take 'median'"
        )
    sigma = noise_std([image])
    return np.asarray(bm3d.bm3d(image, sigma), dtype=np.float32) if sigma else image.copy()


BASELINES: Mapping[str, Callable[[NDArray[Any]], Float32]] = {
    "noisy": _noisy,
    "median": _median,
    "gaussian-1": partial(_gaussian, sigma=1.0),
    "gaussian-2": partial(_gaussian, sigma=2.0),
    "bm3d": _bm3d,
}
"""Name → function from a frame (Y, X), real dtype, to the denoised frame, float32, same shape, grey levels.

``noisy`` changes nothing; ``median`` has a window of 3x3 pixels; ``gaussian-1`` and ``gaussian-2`` have standard
deviations of 1 and 2 pixels; ``bm3d`` needs the extra ``[peers]`` and raises `quietscope.config.ModelError` without.
"""
