"""The least-squares line of truth on denoised: what makes intensities true.

A network trained on noisy pairs pulls bright and dark towards the middle. The noise of a raw frame has zero
mean, so the line of raw on denoised is the line of truth on denoised, but for one thing: what little of a
pixel's own noise passes the network is in both, and makes the line too steep (1.4 % were measured). So the
part that passes is measured and taken out. Pairs of frames need no such correction, since the noise of their
targets is independent of the prediction's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quietscope.models.coloured_noise import SharedNoise
from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.method import DenoisingNetwork
from quietscope.models.normalisation import Normaliser
from quietscope.models.pairs import PairSource
from quietscope.models.passed_noise import passed_noise
from quietscope.models.tiling import HALO

__all__ = ["Line", "fit_line"]

Float64 = NDArray[np.float64]

_EDGE = 8
"""Pixels at a tile's edge that are left out: blending gives them next to no weight."""

_MOST_TILES = 16
"""Tiles to fit on, spread over all frames: enough for four digits, and cheap for large frames."""

_PATCHES = 256
"""Pairs of patches to fit on."""

_SLOPES = (0.5, 2.0)
"""A line outside is not a correction but the sign of a network that learnt nothing; it is not folded in."""


@dataclass(frozen=True)
class Line:
    """``truth = slope * denoised + intercept``, in normalised units."""

    slope: float
    intercept: float


def fit_line(
    network: DenoisingNetwork,
    normaliser: Normaliser,
    frames: Sequence[NDArray[Any]],
    pairs: PairSource | None,
    *,
    tile: int,
    seed: int,
    shared: SharedNoise | None = None,
) -> Line:
    """Regress truth on denoised, pooled over the training frames.

    Parameters
    ----------
    network
        Trained network, evaluation mode.
    normaliser
        Scale of the patches.
    frames
        Training frames (Y, X), grey levels.
    pairs
        Pairs whose inputs are raw frames; None regresses the frames on their own denoised images.
    tile
        Side of the tiles, pixels.
    seed
        Seed of the probing noise.
    shared
        Correlation of the frames' noise; None for independent noise.

    Returns
    -------
    Line
        Slope 1 and intercept 0 where the denoised pixels hold no variation to regress on.

    Notes
    -----
    The covariance of a frame's noise with its own denoised image is the noise variance times the network's own
    derivative (Stein's lemma), which one small random perturbation measures (Ramani, Blu and Unser, IEEE Trans.
    Image Process. 17, 1540, 2008). The noise variance comes from the twins of the 2x2
    blocks around each pixel.
    """
    rng = np.random.default_rng(seed)
    sums = np.zeros(5)
    if pairs is not None:
        samples = _samples_of_pairs(network, pairs, rng)
    else:
        samples = _samples_of_frames(network, normaliser, frames, rng, tile=tile, shared=shared)
    for denoised, noisy, passed, weight in samples:
        x, y = denoised.ravel(), noisy.ravel()
        sums += weight * np.array([x.size, x.sum(), y.sum(), x @ x, x @ y - passed])
    total, x_sum, y_sum, xx, xy = sums
    variance = xx - x_sum**2 / max(total, 1)
    if not variance > 1e-12 * total:
        return Line(1.0, 0.0)
    slope = (xy - x_sum * y_sum / total) / variance
    if not _SLOPES[0] < slope < _SLOPES[1]:
        return Line(1.0, 0.0)
    return Line(float(slope), float((y_sum - slope * x_sum) / total))


def _samples_of_pairs(
    network: DenoisingNetwork, pairs: PairSource, rng: np.random.Generator
) -> Iterator[tuple[Float64, Float64, float, float]]:
    """Give (prediction, target, 0, weight) of the pixels that may be trusted."""
    for _ in range(_PATCHES // 32):
        batch = pairs.sample(16, rng)
        predicted = _inner(_apply(network, batch.inputs))
        trusted = _inner(batch.weights) > 0
        yield predicted[trusted], _inner(batch.targets).astype(np.float64)[trusted], 0.0, 1.0


def _samples_of_frames(
    network: DenoisingNetwork,
    normaliser: Normaliser,
    frames: Sequence[NDArray[Any]],
    rng: np.random.Generator,
    *,
    tile: int,
    shared: SharedNoise | None,
) -> Iterator[tuple[Float64, Float64, float, float]]:
    """Give (denoised, raw, sum of noise x its part in denoised, weight) of tiles spread over all frames."""
    stride = network.stride
    hot = find_hot_pixels(frames)
    shape = frames[0].shape
    sides = [max(stride, min(tile, side // stride * stride)) for side in shape]
    # the network sees as much around a tile as it does in use
    halo = -(-HALO // stride) * stride
    tops, lefts = (
        np.unique(np.linspace(0, max(0, whole - side), -(-whole // side)).astype(int))
        for whole, side in zip(shape, sides, strict=True)
    )
    corners = [(index, top, left) for index in range(len(frames)) for top in tops for left in lefts]
    inside = (slice(None), slice(halo, -halo), slice(halo, -halo))
    for row in np.unique(np.linspace(0, len(corners) - 1, min(_MOST_TILES, len(corners))).astype(int)):
        index, top, left = corners[row]
        frame = repair(frames[index], hot)
        grow = [(halo, halo + max(0, side - whole)) for whole, side in zip(shape, sides, strict=True)]
        window = (slice(top, top + sides[0] + 2 * halo), slice(left, left + sides[1] + 2 * halo))
        crop = np.pad(frame, grow, mode="symmetric")[window]
        offset, scale = normaliser.parameters(crop[None], frames[index])
        raw = ((crop - offset[0]) / scale[0])[None]
        denoised = _apply(network, raw)
        noise = passed_noise(lambda x: _apply(network, x), raw, denoised, rng, shared)
        passed = float(noise[inside].sum())
        yield denoised[inside], raw[inside].astype(np.float64), passed, float(scale[0]) ** 2


@torch.no_grad()
def _apply(network: DenoisingNetwork, images: NDArray[np.float32]) -> Float64:
    device = next(network.parameters()).device
    output = network(torch.from_numpy(np.ascontiguousarray(images))[:, None].to(device))
    denoised: Float64 = output[:, 0].cpu().numpy().astype(np.float64)
    return denoised


def _inner(images: NDArray[Any]) -> NDArray[Any]:
    """Leave out the edges of (n, H, W), where there is enough else."""
    if min(images.shape[1:]) <= 4 * _EDGE:
        return images
    return images[:, _EDGE:-_EDGE, _EDGE:-_EDGE]
