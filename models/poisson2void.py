"""Poisson2Void: a blind-spot network that foretells photo-electrons, and what the pixel's own number adds.

Source: the Poisson2Void of Rao, Ventura and Hagen, written anew from the description, on the blind-spot network of
Laine et al. (2019). The differences: pixels are converted to photo-electrons by the gain and offset of the frames (the
paper takes one grey level for one photo-electron; microscopes were measured to have 2 to 22 grey levels), and levels are
equidistant in the square root. The setting ``unit_gain`` brings the paper's form back.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quietscope.config.settings import Settings
from quietscope.models.hardware import multiplies_bfloat16
from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.method import Preparation
from quietscope.models.noise import clean, cut_patches, measure_noise
from quietscope.models.normalisation import Normaliser
from quietscope.models.patches import FrameStack
from quietscope.models.poisson_network import PoissonNetwork
from quietscope.models.poisson_objective import PoissonObjective
from quietscope.models.poisson_posterior import poisson_levels
from quietscope.models.protocols import TrainingSet
from quietscope.models.twin_statistics import twin_statistics

__all__ = ["photon_scale", "prepare"]

_PATCH = 16
"""Side of the patches whose mean and variance are compared, pixels."""

_CLASSES = 24
"""Classes of brightness, equally many patches in each."""

_CHI_SQUARED_MEDIAN = 0.9896
"""Median over mean of the variance of the 64 twin differences in a patch."""

_LEAST_GAIN = 1 / 8
"""Least gain times range over variance: noise that hardly changes with brightness counts as Poisson of very many
photo-electrons, which is Gaussian."""

_BEYOND = 0.5
"""How far the levels reach beyond the frames, in square roots of photo-electrons: one standard deviation of noise."""


def photon_scale(frames: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Gain and offset that make variance equal to mean: photo-electrons = (grey levels − offset) / gain.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel, real dtype, grey levels; at least one.

    Returns
    -------
    gain, offset : float
        Grey levels per photo-electron, > 0, and the grey level of no photo-electrons. Read noise moves the offset below
        the camera's own: the shifted number has a variance equal to its mean all the same.

    Notes
    -----
    Photon transfer on single frames: the variance of the diagonal twins' difference in small patches, which holds next
    to no structure, against their mean; the median over classes of brightness, and a line weighted by its own precision.
    """
    patches = np.concatenate([cut_patches(frame, _PATCH) for frame in frames])
    means = patches.mean(axis=(1, 2), dtype=np.float64)
    variances = twin_statistics(patches).variance.astype(np.float64)
    classes = np.array_split(np.argsort(means, kind="stable"), min(_CLASSES, len(means)))
    x = np.array([np.median(means[members]) for members in classes])
    y = np.array([np.median(variances[members]) for members in classes]) / _CHI_SQUARED_MEDIAN
    middle = max(float(np.median(y)), float(y.mean()), 1e-12 * max(1.0, float(np.ptp(x)) ** 2))
    span = max(float(np.ptp(x)), middle**0.5)
    least = _LEAST_GAIN * middle / span
    gain, intercept = 0.0, middle
    expected = np.full_like(x, middle)
    for _ in range(5):
        # the scatter of a variance grows with the variance itself
        gain, intercept = np.polyfit(x, y, 1, w=1 / expected) if np.ptp(x) > 0 else (0.0, middle)
        expected = np.maximum(gain * x + intercept, 0.1 * middle)
    if gain < least:
        gain, intercept = least, middle - least * float(np.median(x))
    return float(gain), float(-intercept / gain)


def prepare(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Calibrate the photo-electrons of a channel, and build network and objective.

    Parameters
    ----------
    training_set
        Frames of one channel, checked.
    settings
        The run's settings; `settings.training.seed` fixes the network's first weights.
    device
        Where to train.

    Returns
    -------
    Preparation
        Ready to train. Its figures say gain and offset, and the noise's correlation between neighbours: where that
        is large the surroundings know the pixel's noise, and the method cannot remove it.
    """
    options = settings.poisson2void
    frames = training_set.frames
    normaliser = Normaliser.calibrate("stream", frames)
    gain, offset = (1.0, 0.0) if options.unit_gain else photon_scale(frames)
    hot = find_hot_pixels(frames)
    roots = np.sqrt([np.maximum((repair(clean(frame), hot) - offset) / gain, 0) for frame in frames])
    low, high = max(float(roots.min()) - _BEYOND, 0.0), float(roots.max()) + _BEYOND
    levels = poisson_levels(low**2, high**2, options.bins)
    network = PoissonNetwork(
        levels,
        np.histogram(roots, options.bins, (low, high))[0] + 1.0,
        electrons_per_unit=normaliser.stream.scale / gain,
        electrons_at_zero=(normaliser.stream.offset - offset) / gain,
        estimate=options.estimate,
        width=options.width,
    )
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision = settings.training.precision
    bfloat16 = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16(device))
    stack = FrameStack(frames, normaliser, patch=options.patch, multiple=network.stride, together=False)
    objective = PoissonObjective(
        network, stack, batch=options.batch, entropy=options.entropy, bfloat16=bfloat16
    )
    noise = measure_noise(frames)
    return Preparation(
        network=network,
        objective=objective,
        normaliser=normaliser,
        pairs="blind-spot",
        learning_rate=options.learning_rate,
        examples=objective.held_out,
        setting="poisson2void.learning_rate",
        figures={
            "gain": gain,
            "offset": offset,
            "noise_std": noise.std,
            "twin_correlation": noise.twin_correlation,
            "neighbour_correlation": noise.neighbour_correlation,
            "level_width": float(2 * np.sqrt(levels[1]) - 2 * np.sqrt(levels[0])),
            "hot_pixels": float(stack.hot_pixels),
            "bfloat16": float(bfloat16),
        },
    )
