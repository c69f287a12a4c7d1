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

DISAGREEMENT = 1.5
"""Ratio of the decibels lost at the finest details, in flat places to everywhere, from which it is structure.

Real frames: independent or correlated noise −0.8 … 1.1, a crowded confocal field without any flat place 2.2.
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
        but it does so at coarse scale only, while correlated noise lacks the finest details everywhere.
    """

    lag_correlations: tuple[float, float, float, float]
    fine_share: float
    genuine: bool


def noise_spectrum(frames: Sequence[Float32]) -> NoiseSpectrum:
    """Measure what neighbouring pixels share, where there is no structure.

    As in `quietscope.models.noise.measure_noise`, single frames and differences of consecutive frames are looked
    at, patches are chosen by one half and measured on the other, and the view with the least correlation holds.

    Whether it is noise: if neighbours share ρ of a white noise's variance, differences of order 1 keep the share
    1 − 2ρ, those of order 2 the share 1 − 8ρ/3 and those of order 3 the share 1 − 3ρ. So the ratio of the first two
    to the power of 4.5 is the third, and that ratio can be had everywhere: structure hardly touches it.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, float32, finite, in time order; at least one.

    Returns
    -------
    NoiseSpectrum
        Finite figures for every input; zeros and 1 where there is no noise.
    """
    views = [np.concatenate([cut_patches(frame, PATCH) for frame in frames])]
    if len(frames) > 1:
        views.append(np.concatenate([cut_patches(b - a, PATCH) for a, b in pairwise(frames)]))
    found = [spectrum for spectrum in (_spectrum(view) for view in views) if spectrum is not None]
    if not found:
        return NoiseSpectrum((0.0, 0.0, 0.0, 0.0), 1.0, True)
    return min(found, key=lambda spectrum: spectrum.lag_correlations[0])


def _spectrum(patches: Float32) -> NoiseSpectrum | None:
    half = patches.shape[2] // 2
    if half < 2 * max(LAGS) or patches.shape[1] < 2 * max(LAGS):
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
    first, second = _power(patches[flat], 1), _power(patches[flat], 2)
    ratio = float(np.median(second / np.maximum(first, np.finfo(np.float32).tiny)))
    genuine = fine >= min(ratio, 1.0) ** (4.5 * DISAGREEMENT)
    return NoiseSpectrum((lags[0], lags[1], lags[2], lags[3]), fine, genuine)


def _power(patches: Float32, order: int) -> Float32:
    power: Float32 = np.mean(np.square(binomial_difference(patches, order)), axis=(1, 2))
    return power
