"""The least-squares line of raw on denoised: what makes intensities true.

A network trained on noisy pairs pulls bright and dark towards the middle (slopes of 0.94-0.96 were measured).
The noise of the raw frames has zero mean, so the line of raw on denoised is the line of truth on denoised,
and folding it into the network brings the slope to 1.00 without any knowledge of the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.networks import DenoisingUNet
from quietscope.models.normalisation import Normaliser

__all__ = ["Line", "fit_line"]

_EDGE = 8
"""Pixels at a tile's edge that are left out: blending gives them next to no weight."""

_MOST_TILES = 16
"""Tiles to fit on, spread over all frames: enough for four digits, and cheap for large frames."""

_SLOPES = (0.5, 2.0)
"""A line outside is not a correction but the sign of a network that learnt nothing; it is not folded in."""


@dataclass(frozen=True)
class Line:
    """``raw = slope * denoised + intercept``, in normalised units."""

    slope: float
    intercept: float


@torch.no_grad()
def fit_line(
    network: DenoisingUNet, normaliser: Normaliser, frames: Sequence[NDArray[Any]], *, tile: int
) -> Line:
    """Regress raw on denoised, pooled over `frames`.

    Parameters
    ----------
    network
        Trained network, evaluation mode.
    normaliser
        Scale of the patches.
    frames
        Training frames (Y, X), grey levels.
    tile
        Side of the tiles, pixels.

    Returns
    -------
    Line
        Slope 1 and intercept 0 where the denoised tiles hold no variation to regress on.
    """
    device = next(network.parameters()).device
    stride = network.stride
    hot = find_hot_pixels(frames)
    height, width = (max(stride, min(tile, side // stride * stride)) for side in frames[0].shape)
    corners = [
        (index, top, left)
        for index in range(len(frames))
        for top in range(0, max(1, frames[0].shape[0] - height + 1), height)
        for left in range(0, max(1, frames[0].shape[1] - width + 1), width)
    ]
    chosen = np.unique(np.linspace(0, len(corners) - 1, min(_MOST_TILES, len(corners))).astype(int))
    sums = np.zeros(6)
    for index, top, left in (corners[i] for i in chosen):
        crop = repair(
            frames[index][top : top + height, left : left + width],
            hot[top : top + height, left : left + width],
        )
        crop = np.pad(crop, ((0, height - crop.shape[0]), (0, width - crop.shape[1])), mode="symmetric")
        offset, scale = normaliser.parameters(crop[None], frames[index])
        raw = (crop - offset[0]) / scale[0]
        output = network(torch.from_numpy(np.ascontiguousarray(raw))[None, None].to(device))
        inner = (slice(_EDGE, -_EDGE),) * 2 if min(height, width) > 4 * _EDGE else (slice(None),) * 2
        x = output[0, 0].cpu().numpy().astype(np.float64)[inner].ravel()
        y = raw.astype(np.float64)[inner].ravel()
        sums += float(scale[0]) ** 2 * np.array([x.size, x.sum(), y.sum(), x @ x, x @ y, y @ y])
    total, x_sum, y_sum, xx, xy, _ = sums
    variance = xx - x_sum**2 / total
    if not variance > 1e-12 * total:
        return Line(1.0, 0.0)
    slope = (xy - x_sum * y_sum / total) / variance
    if not _SLOPES[0] < slope < _SLOPES[1]:
        return Line(1.0, 0.0)
    return Line(float(slope), float((y_sum - slope * x_sum) / total))
