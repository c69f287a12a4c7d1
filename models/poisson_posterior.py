"""What Poisson statistics say of a pixel whose intensity has a known prior: the arithmetic of Poisson2Void.

Intensities are expected numbers of photo-electrons. The prior of a pixel is a probability for each of K levels;
the pixel's own measured number q makes it a posterior.

*The likelihood* is ``q·log λ − λ`` up to a constant of q, for any real q. Numbers measured by a camera of known gain
are not whole, and read noise makes some of them negative. This form is the Poisson probability with the factorial
continued, and needs no more than that the variance equals the mean: its maximum over independent pixels is their mean
whatever the rest of their distribution, so that neither is biased (quasi-likelihood: Wedderburn, Biometrika 61, 439,
1974). Dividing by a sum over whole q would bias faint pixels.

*The levels* are equidistant in the square root, where Poisson noise is 1/2 everywhere (Anscombe, Biometrika 35, 246,
1948): dark and bright are told apart equally well in units of their own noise. Equidistant intensities give a dark
background of a few photo-electrons one or two levels and spend the others on differences far below the noise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["Estimates", "log_likelihood", "poisson_estimates", "poisson_levels"]

LEAST_BEND = 0.01
"""Least curvature of a peak, nats per level squared: the vertex of a flatter one would amplify rounding."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """Three estimates of each pixel's intensity, photo-electrons, float64.

    Parameters
    ----------
    prior
        Mean of the prior: what the surroundings say, without the pixel itself.
    map
        Most probable intensity given the pixel, interpolated between levels.
    posterior
        Mean intensity given the pixel (the paper's expected value of the posterior).
    """

    prior: Float64
    map: Float64
    posterior: Float64


def poisson_levels(low: float, high: float, count: int) -> Float64:
    """Intensities to tell apart: centres of bins that are equally wide in the square root.

    Parameters
    ----------
    low, high
        Ends of the range, photo-electrons, 0 ≤ low < high.
    count
        Number of levels K, at least 2.

    Returns
    -------
    numpy.ndarray
        float64, shape (K,), rising, > 0.

    Raises
    ------
    quietscope.config.ModelError
        If the range is empty, reaches below 0 or is not finite.
    """
    if not (0 <= low < high < np.inf) or count < 2:
        raise ModelError(
            f"{count} levels of intensity from {low:g} to {high:g} photo-electrons cannot be made; at least 2 "
            "levels and a range from 0 or more upwards are needed: train on frames that are not empty"
        )
    edges = np.linspace(low**0.5, high**0.5, count + 1)
    return np.asarray(((edges[1:] + edges[:-1]) / 2) ** 2, dtype=np.float64)


def log_likelihood(electrons: NDArray[Any], levels: NDArray[Any]) -> Float64:
    """Logarithm of the likelihood of each level, relative to the best intensity between the lowest and highest.

    Parameters
    ----------
    electrons
        Measured photo-electrons q, any shape, real dtype; need be neither whole nor positive.
    levels
        Intensities, shape (K,), > 0.

    Returns
    -------
    numpy.ndarray
        float64, shape of `electrons` + (K,); at most 0, always finite.
    """
    q = np.asarray(electrons, dtype=np.float64)[..., None]
    best = np.clip(q, levels[0], levels[-1])
    return np.asarray(q * np.log(levels / best) - (levels - best), dtype=np.float64)


def poisson_estimates(logits: NDArray[Any], electrons: NDArray[Any], levels: NDArray[Any]) -> Estimates:
    """Estimate intensities from the prior of each pixel and the pixel's own value.

    Parameters
    ----------
    logits
        Unnormalised logarithms of the priors, shape (..., K).
    electrons
        Measured photo-electrons, shape (...).
    levels
        Intensities, shape (K,), as `poisson_levels` gives them.

    Returns
    -------
    Estimates
        Arrays of the shape of `electrons`.

    Notes
    -----
    What a pixel has above the highest level is added to the estimates that look at the pixel: something brighter than
    all that was trained on is shown with its noise instead of being cut off.

    The most probable intensity is the vertex of the parabola through the most probable level and both neighbours, over
    the square root of the intensity; the level alone would jump where two are equally probable.
    """
    prior = np.asarray(logits, dtype=np.float64)
    posterior = prior + log_likelihood(electrons, levels)
    excess = np.maximum(np.asarray(electrons, dtype=np.float64) - levels[-1], 0)
    return Estimates(
        prior=_probabilities(prior) @ levels,
        map=_peak(posterior, np.sqrt(levels)) ** 2 + excess,
        posterior=_probabilities(posterior) @ levels + excess,
    )


def _probabilities(logits: Float64) -> Float64:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float64)


def _peak(logits: Float64, roots: Float64) -> Float64:
    """Place of the maximum on an equidistant axis."""
    last = len(roots) - 1
    index = logits.argmax(axis=-1)[..., None]
    middle, left, right = (
        np.take_along_axis(logits, np.clip(index + step, 0, last), axis=-1)[..., 0] for step in (0, -1, 1)
    )
    bend = np.maximum(2 * middle - left - right, LEAST_BEND)
    place = np.clip(index[..., 0] + (right - left) / (2 * bend), 0, last)
    return np.asarray(roots[0] + place * (roots[1] - roots[0]), dtype=np.float64)
