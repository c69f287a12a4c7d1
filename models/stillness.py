"""Where the scene holds still within the noise: the test that pairs of frames stand on.

The mean of a difference of two frames over an 8x8 block is compared with what noise alone gives it. The noise
is measured beside the block from the difference's own diagonal twins, so signal-dependent noise needs no
model, and noise that neighbouring pixels share is allowed for by the factor measured on the series.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.twins import split_diagonal

__all__ = ["BLOCK", "moving_blocks", "moving_share"]

BLOCK = 8
"""Side of a block, pixels."""

_DEVIATIONS = 4.0
"""A block whose mean is off by more standard deviations moved; noise alone does so in 6 of 100,000 blocks."""


def moving_blocks(
    first: NDArray[Any], second: NDArray[Any], *, correlation_factor: float = 1.0
) -> NDArray[np.bool_]:
    """Find the blocks in which two frames differ by more than noise.

    Parameters
    ----------
    first, second
        Frames (Y, X) of one shape, real dtype, grey levels.
    correlation_factor
        How much larger than for independent pixels the variance of a block's mean is;
        `quietscope.models.noise.NoiseReport.coarse_null` has it.

    Returns
    -------
    ndarray
        (ceil(Y / 8), ceil(X / 8)), True where the scene moved or changed its brightness.
    """
    difference = first.astype(np.float32) - second.astype(np.float32)
    grow = [(0, -side % BLOCK) for side in difference.shape]
    padded = np.pad(difference, grow, mode="symmetric")
    mean = _block_means(padded, BLOCK)
    a, b = split_diagonal(padded)
    around = np.pad(_block_means((a - b) ** 2, BLOCK // 2), 1, mode="symmetric")
    rows, columns = mean.shape
    shifts = [(i, j) for i in range(3) for j in range(3)]
    variance = sum(around[i : i + rows, j : j + columns] for i, j in shifts) / np.float32(9)
    allowed = variance * np.float32(max(1.0, correlation_factor) / BLOCK**2 * _DEVIATIONS**2)
    moved: NDArray[np.bool_] = mean * mean > allowed
    return moved


def moving_share(frames: Sequence[NDArray[Any]], *, correlation_factor: float = 1.0) -> float:
    """Measure how much of a scene moves at any time during a series.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, real dtype, grey levels, in time order, at least two.
    correlation_factor
        As for `moving_blocks`.

    Returns
    -------
    float
        Share of the 8x8 blocks, 0-1: the larger one of two tests, each frame against the mean of the others
        (finds short events), and the first half against the second (finds slow drift).
    """
    count = len(frames)
    total = np.zeros(frames[0].shape)
    early = np.zeros(frames[0].shape)
    for index, frame in enumerate(frames):
        total += frame
        if index < count // 2:
            early += frame
    events = np.mean(
        [
            moving_blocks(frame, (total - frame) / (count - 1), correlation_factor=correlation_factor).mean()
            for frame in frames
        ]
    )
    first, last = early / (count // 2), (total - early) / (count - count // 2)
    drift = moving_blocks(first, last, correlation_factor=correlation_factor).mean()
    return float(max(events, drift))


def _block_means(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    rows, columns = image.shape[0] // side, image.shape[1] // side
    means: NDArray[np.float32] = image.reshape(rows, side, columns, side).mean(axis=(1, 3), dtype=np.float32)
    return means
