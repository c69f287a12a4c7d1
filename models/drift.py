"""Whether a series holds still, judged on all of its pixels at once.

The first half of the frames is compared with the second, and the even frames with the odd: both differences hold the
same noise, whatever its strength and correlation, but only the first holds drift, the second hardly any. Dimming
is no drift: what looks like the mean image is taken out of both. A series so noisy that a drift by one pixel
would not be seen either is not said to hold still.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_FRAMES", "holds_still"]

LEAST_FRAMES = 4
"""Fewest frames that can be halved in two ways."""

_SCALES = (4, 8, 16)
"""Sides of the blocks that are compared, pixels."""

_DEVIATIONS = 5.0
"""Standard deviations by which drift must stand out of the noise: fixed cells showed up to 3.5, living ones from 6."""

_POWER = 2.0
"""How many times that a drift by one pixel would have to show."""

Float64 = NDArray[np.float64]


def holds_still(frames: Sequence[NDArray[Any]]) -> bool:
    """Tell whether a scene holds still over a series, and would be seen to move if it did not.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, real dtype, finite, in time order.

    Returns
    -------
    bool
        False for fewer than `LEAST_FRAMES` frames and for frames too small to tell.
    """
    count = len(frames) // 4 * 4
    if count < LEAST_FRAMES:
        return False
    stack = [np.asarray(frame, dtype=np.float64) for frame in frames[:count]]
    early, late = _mean(stack[: count // 2]), _mean(stack[count // 2 :])
    even, odd = _mean(stack[::2]), _mean(stack[1::2])
    certain = False
    for side in _SCALES:
        if min(early.shape) < 4 * side:
            continue
        scene = _centred(_blocks((early + late) / 2, side))
        drift, noise = (_without(scene, _centred(_blocks(d, side))) for d in (early - late, even - odd))
        allowed = _DEVIATIONS * np.sqrt(4 / scene.size) * _power(noise)
        if _power(drift) - _power(noise) > allowed:
            return False
        first, second = (_blocks(half[:, 1:] - half[:, :-1], side) for half in (early, late))
        # the noise of both halves is independent: only what they share is the scene's own change over a pixel
        certain = certain or float(np.mean(first * second)) > _POWER * allowed
    return certain


def _mean(frames: Sequence[Float64]) -> Float64:
    total: Float64 = np.sum(frames, axis=0) / len(frames)
    return total


def _blocks(image: Float64, side: int) -> Float64:
    rows, columns = image.shape[0] // side, image.shape[1] // side
    whole = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    means: Float64 = whole.mean(axis=(1, 3))
    return means


def _centred(image: Float64) -> Float64:
    centred: Float64 = image - image.mean()
    return centred


def _without(scene: Float64, image: Float64) -> Float64:
    share = float(np.sum(scene * image)) / max(float(np.sum(scene * scene)), 1e-300)
    rest: Float64 = image - share * scene
    return rest


def _power(image: Float64) -> float:
    return float(np.mean(image * image))
