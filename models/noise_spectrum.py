"""How the noise of neighbouring pixels hangs together, at several distances, and whether it is noise at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from quietscope.models.noise import cut_patches
from quietscope.models.photon_transfer import binomial_difference
from quietscope.models.twin_statistics import twin_statistics, without_plane

__all__ = ["LAGS", "NoiseSpectrum", "noise_spectrum"]

LAGS = (1, 2, 3, 4)
"""Distances at which the noise is compared with itself, pixels."""

PATCH = 32
"""Side of the patches, pixels; as for `quietscope.models.noise`."""

QUIET_SHARE = 0.1
"""Share of the patches, those with the least coarse structure, that count as free of structure."""

STEEPNESS = 4.0
"""Share of third differences as a power of their ratio to first differences.

3 for a weak correlation of next neighbours, 2.4 for blurred noise (σ = 0.5 pixels), 3.6 in a wide-field series.
"""

AGREEMENT = 0.8
"""Ratio of the share found in flat places to the share found everywhere, below which it is structure.

Real single frames: independent or correlated noise 0.85 and more, a crowded confocal field without any flat place 0.6.
"""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class NoiseSpectrum:
    """What neighbouring pixels share.

    Parameters
    ----------
    lag_correlations
        Correlation of the noise with itself 1 to 4 pixels away, mean of both axes.
    fine_share
        Variance of third differences along both axes relative to what white noise of the same strength has;
        1 if pixels are independent.
    genuine
        Whether it is the noise that is correlated. Structure makes neighbours alike too where no place is flat,
        but more so in some places than in others, while correlated noise lacks the finest details everywhere.
    possible_share
        What `fine_share` is according to the quarter of all patches that are richest in fine details.
    """

    lag_correlations: tuple[float, float, float, float]
    fine_share: float
    genuine: bool
    possible_share: float


def noise_spectrum(frames: Sequence[Float32], unusable: Sequence[NDArray[np.bool_]]) -> NoiseSpectrum:
    """Measure what neighbouring pixels share, where there is no structure.

    As in `quietscope.models.noise.measure_noise`, single frames and differences of consecutive frames are looked
    at, patches are chosen by one half and measured on the other, and the view with the least correlation holds.

    Whether it is noise: if next neighbours share a little of a white noise, ρ, first differences along both axes
    keep 1 − 2ρ of their variance and third differences 1 − 3ρ. So a power of the ratio of both says what the share of
    third differences is, and that ratio can be had in every patch.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, float32, finite, in time order; at least one.
    unusable
        Pixels (Y, X) of each frame that patches must not hold.

    Returns
    -------
    NoiseSpectrum
        Finite figures for every input; zeros and 1 where there is no noise.
    """
    views = [[_usable(frame, mask) for frame, mask in zip(frames, unusable, strict=True)]]
    if len(frames) > 1:
        pairs = pairwise(zip(frames, unusable, strict=True))
        views.append([_usable(b - a, left | right) for (a, left), (b, right) in pairs])
    found = [
        spectrum for spectrum in (_spectrum(np.concatenate(view)) for view in views) if spectrum is not None
    ]
    if not found:
        return NoiseSpectrum((0.0, 0.0, 0.0, 0.0), 1.0, True, 1.0)
    return min(found, key=lambda spectrum: spectrum.lag_correlations[0])


def _usable(plane: Float32, unusable: NDArray[np.bool_]) -> Float32:
    """Patches of a plane without unusable pixels."""
    patches = cut_patches(plane, PATCH)
    if not unusable.any():
        return patches
    usable: Float32 = patches[~cut_patches(unusable, PATCH).any(axis=(1, 2))]
    return usable


def _spectrum(patches: Float32) -> NoiseSpectrum | None:
    half = patches.shape[2] // 2
    if len(patches) == 0 or half < 2 * max(LAGS) or patches.shape[1] < 2 * max(LAGS):
        return None
    sides = (patches[:, :, :half], patches[:, :, half : 2 * half])
    flatness = [twin_statistics(side).coarse for side in sides]
    flat = np.isfinite(flatness[0]) & np.isfinite(flatness[1])
    if not flat.any():
        return None
    quiet = []
    for chooser, measured in ((0, 1), (1, 0)):
        places = np.flatnonzero(flat)
        order = np.argsort(flatness[chooser][places])
        quiet.append(sides[measured][places[order[: max(1, round(QUIET_SHARE * places.size))]]])
    field = without_plane(np.concatenate(quiet))
    power = np.mean(field * field, axis=(1, 2))
    lags = []
    for lag in LAGS:
        across = np.mean(field[:, :, lag:] * field[:, :, :-lag], axis=(1, 2)) / power
        down = np.mean(field[:, lag:] * field[:, :-lag], axis=(1, 2)) / power
        lags.append(float(np.median((across + down) / 2)))
    fine = float(np.median(_power(field, 3) / power))
    first, third = _power(patches[flat], 1), _power(patches[flat], 3)
    ratio = float(np.quantile(third / np.maximum(first, np.finfo(np.float32).tiny), 0.75))
    possible = min(ratio, 1.0) ** STEEPNESS
    return NoiseSpectrum((lags[0], lags[1], lags[2], lags[3]), fine, fine >= AGREEMENT * possible, possible)


def _power(patches: Float32, order: int) -> Float32:
    power: Float32 = np.mean(np.square(binomial_difference(patches, order)), axis=(1, 2))
    return power
