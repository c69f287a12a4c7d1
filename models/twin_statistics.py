"""Structure of a patch relative to its own noise: the figures that noise measures and risk rules are made of.

All measures start from the diagonal twins A and B of 2×2 blocks (`quietscope.models.twins`). With D = A − B
and M = (A + B)/2, independent noise of variance σ² gives Var(D) = σ² and Var(M) = σ²/4, whatever the
brightness does to σ, so F = 4·Var(M)/Var(D) is 1 without structure; correlated noise gives F₀ = (1 + ρ)/(1 −
ρ) with ρ the twin correlation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.twins import split_diagonal

__all__ = ["TwinStatistics", "twin_statistics", "window_statistics", "without_plane"]

MIN_COARSE = 4
"""Fewest 8×8-pixel means whose variance about a plane says anything; smaller patches have fine structure only."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class TwinStatistics:
    """Noise-relative structure of N patches.

    Parameters
    ----------
    variance
        Noise variance of a pixel, Var(A − B), grey levels squared, shape (N,).
    fine
        F = 4·Var(M)/Var(D), shape (N,); 1 for independent noise without structure, infinite where the noise
        is nil.
    coarse
        F₈ = 64·Var(means of 8×8 pixels)/Var(D) after removal of a plane, shape (N,); finds faint, wide
        structure.
    blocks
        Number of 2×2 blocks in a patch.
    """

    variance: Float32
    fine: Float32
    coarse: Float32
    blocks: int

    def of(self, patches: Sequence[int]) -> "TwinStatistics":
        """Those of some of the patches, by number."""
        chosen = list(patches)
        return TwinStatistics(self.variance[chosen], self.fine[chosen], self.coarse[chosen], self.blocks)

    @property
    def fine_sd(self) -> float:
        """Standard deviation of `fine` over patches of pure noise (F distribution)."""
        return float(2.0 / max(self.blocks, 1) ** 0.5)

    @property
    def coarse_sd(self) -> float:
        """Standard deviation of `coarse` over patches of pure noise (F distribution)."""
        return float((2.0 / max(self.blocks / 16.0, 1.0) + 2.0 / max(self.blocks, 1)) ** 0.5)


def twin_statistics(patches: Float32) -> TwinStatistics:
    """Measure structure relative to noise in each patch.

    Parameters
    ----------
    patches
        Shape (N, h, w), finite, grey levels.

    Returns
    -------
    TwinStatistics
        One entry per patch. Patches without one whole 2×2 block count as free of noise and structure.
    """
    count, height, width = patches.shape
    if (height // 2) * (width // 2) < 2:
        return _too_small(count, height, width)
    centred = patches.astype(np.float32) - patches.mean(axis=(1, 2), keepdims=True)
    a, b = split_diagonal(centred)
    middle = (a + b) * np.float32(0.5)
    rows, columns = height // 8 * 4, width // 8 * 4
    means = _pool(_pool(middle[:, :rows, :columns], 1), 2)
    return _statistics(_variance(a - b), _variance(middle), means, height, width)


def window_statistics(
    plane: Float32, tops: Sequence[int], lefts: Sequence[int], side: tuple[int, int]
) -> TwinStatistics | None:
    """Measure what `twin_statistics` measures in all windows of a grid, without cutting them out.

    Windows that overlap share their blocks: the twins are made once for the plane, and summed up first by rows of
    windows, then by columns.

    Parameters
    ----------
    plane
        Shape (Y, X), finite, float32, grey levels.
    tops, lefts
        First row and column of each row and column of windows.
    side
        Shape (h, w) of the windows.

    Returns
    -------
    TwinStatistics or None
        One entry per window, row by row; none where a window begins in the middle of a block.
    """
    if any(start % 2 for start in (*tops, *lefts)):
        return None
    height, width = side
    count = len(tops) * len(lefts)
    if (height // 2) * (width // 2) < 2:
        return _too_small(count, height, width)
    a, b = split_diagonal(plane)
    level = np.float32(plane.mean())
    # in double precision, since a window may be far brighter than its variance is large
    difference, middle = (a - b).astype(np.float64), ((a - level) + (b - level)).astype(np.float64) / 2

    def means_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = _sums(values, tops, height // 2)
        return _sums(rows.T, lefts, width // 2).T.ravel() / ((height // 2) * (width // 2))

    def variance(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(means_of(values * values) - means_of(values) ** 2, 0)

    rows, columns = height // 8, width // 8
    means: NDArray[Any] = np.zeros((count, rows, columns))
    if means.size:
        pooled = _sliding_mean(_sliding_mean(middle, 0), 1)
        y, x = (
            [start // 2 + 4 * k for start in starts for k in range(n)]
            for starts, n in ((tops, rows), (lefts, columns))
        )
        grid = pooled[np.ix_(y, x)].reshape(len(tops), rows, len(lefts), columns)
        means = grid.swapaxes(1, 2).reshape(count, rows, columns)
    return _statistics(variance(difference), variance(middle), means, height, width)


def without_plane(patches: Float32) -> Float32:
    """Subtract from each patch its least-squares plane.

    Parameters
    ----------
    patches
        Shape (N, h, w), float32.

    Returns
    -------
    numpy.ndarray
        float32, same shape.
    """
    _, height, width = patches.shape
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    flat = patches - patches.mean(axis=(1, 2), keepdims=True)
    slope_y = flat.sum(axis=2) @ y / max(float(width * (y @ y)), 1.0)
    slope_x = flat.sum(axis=1) @ x / max(float(height * (x @ x)), 1.0)
    plane = slope_y[:, None, None] * y[None, :, None] + slope_x[:, None, None] * x[None, None, :]
    return np.asarray(flat - plane, dtype=np.float32)


def _too_small(count: int, height: int, width: int) -> TwinStatistics:
    endless = np.full(count, np.inf, np.float32)
    return TwinStatistics(np.zeros(count, np.float32), endless, endless, (height // 2) * (width // 2))


def _statistics(
    noise: NDArray[Any], structure: NDArray[Any], means: NDArray[Any], height: int, width: int
) -> TwinStatistics:
    """Put the variances of D and M and the means of 8×8 pixels, shape (N, rows, columns), in relation."""
    rows, columns = means.shape[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        fine = np.where(noise > 0, 4 * structure / noise, np.inf)
        coarse = fine
        if rows * columns >= MIN_COARSE:
            flat = without_plane(means)
            variance = np.sum(flat * flat, axis=(1, 2)) / np.float32(max(rows * columns - 3, 1))
            coarse = np.where(noise > 0, 64 * variance / noise, np.inf)
    blocks = (height // 2) * (width // 2)
    return TwinStatistics(
        noise.astype(np.float32), fine.astype(np.float32), coarse.astype(np.float32), blocks
    )


def _variance(planes: Float32) -> Float32:
    """Variance of each plane (N, h, w) whose mean is small beside it."""
    mean = planes.mean(axis=(1, 2))
    square = np.einsum("ijk,ijk->i", planes, planes) / np.float32(planes.shape[1] * planes.shape[2])
    return np.asarray(np.maximum(square - mean * mean, 0), dtype=np.float32)


def _pool(planes: Float32, axis: int) -> Float32:
    """Means of four neighbours along an axis; sums of slices are many times as fast as means over a short axis."""
    parts = np.moveaxis(planes, axis, 0)
    return np.moveaxis((parts[0::4] + parts[1::4] + parts[2::4] + parts[3::4]) * np.float32(0.25), 0, axis)


def _sliding_mean(plane: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean of each value and the three after it along an axis, which becomes shorter by three."""
    parts = np.moveaxis(plane, axis, 0)
    return np.moveaxis((parts[:-3] + parts[1:-2] + parts[2:-1] + parts[3:]) / 4, 0, axis)


def _sums(values: NDArray[np.float64], starts: Sequence[int], length: int) -> NDArray[np.float64]:
    """Sums over so many rows of blocks from each of `starts` (pixels) on."""
    return np.stack([values[start // 2 : start // 2 + length].sum(axis=0) for start in starts])
