"""Structure of a patch relative to its own noise: the figures that noise measures and risk rules are made of.

All measures start from the diagonal twins A and B of 2×2 blocks (`quietscope.models.twins`). With D = A − B
and M = (A + B)/2, independent noise of variance σ² gives Var(D) = σ² and Var(M) = σ²/4, whatever the
brightness does to σ, so F = 4·Var(M)/Var(D) is 1 without structure; correlated noise gives F₀ = (1 + ρ)/(1 −
ρ) with ρ the twin correlation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.models.twins import split_diagonal

__all__ = ["TwinStatistics", "twin_statistics", "without_plane"]

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
    blocks = (height // 2) * (width // 2)
    if blocks < 2:
        none = np.zeros(count, np.float32)
        return TwinStatistics(
            none, np.full(count, np.inf, np.float32), np.full(count, np.inf, np.float32), blocks
        )
    centred = patches.astype(np.float32) - patches.mean(axis=(1, 2), keepdims=True)
    a, b = split_diagonal(centred)
    variance = np.var(a - b, axis=(1, 2))
    middle = (a + b) * np.float32(0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        fine = np.where(variance > 0, 4 * np.var(middle, axis=(1, 2)) / variance, np.inf)
        coarse = np.where(variance > 0, 64 * _coarse_variance(middle) / variance, np.inf)
    if (height // 8) * (width // 8) < MIN_COARSE:
        coarse = fine
    return TwinStatistics(
        variance.astype(np.float32), fine.astype(np.float32), coarse.astype(np.float32), blocks
    )


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


def _coarse_variance(middle: Float32) -> Float32:
    """Variance of 8×8-pixel means about the best plane, from 2×2-block means (N, h/2, w/2)."""
    count, height, width = middle.shape
    rows, columns = height // 4, width // 4
    if rows * columns < MIN_COARSE:
        return np.zeros(count, np.float32)
    means = middle[:, : rows * 4, : columns * 4].reshape(count, rows, 4, columns, 4).mean(axis=(2, 4))
    free = max(rows * columns - 3, 1)
    flat = without_plane(means)
    variance: Float32 = np.sum(flat * flat, axis=(1, 2)) / np.float32(free)
    return variance
