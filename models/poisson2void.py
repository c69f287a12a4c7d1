"""Poisson2Void: a blind-spot network that foretells photo-electrons, and what the pixel's own number adds.

Source: the Poisson2Void of Rao, Ventura and Hagen, written anew from the description, on the blind-spot network of
Laine et al. (2019). The differences: pixels are converted to photo-electrons by the gain and offset of the frames (the
paper takes one grey level for one photo-electron; microscopes were measured to have 2 to 22 grey levels), and levels
are equidistant in the square root. The setting ``unit_gain`` brings the paper's form back.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quietscope.config.settings import Settings
from quietscope.models.calibration import Calibration
from quietscope.models.hardware import move, trains_in_bfloat16
from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.method import Preparation
from quietscope.models.noise import clean
from quietscope.models.normalisation import Normaliser
from quietscope.models.patches import FrameStack
from quietscope.models.poisson_network import PoissonNetwork
from quietscope.models.poisson_objective import PoissonObjective
from quietscope.models.poisson_posterior import poisson_levels
from quietscope.models.protocols import TrainingSet

__all__ = ["photon_scale", "prepare"]

_LEAST_GAIN = 1 / 8
"""Least gain times range over variance: noise that hardly changes with brightness counts as Poisson of very many
photo-electrons, which is Gaussian."""

_LEAST_NOISE = 1e-6
"""Least standard deviation, share of the grey levels: what float32 can tell apart."""

_NOISE = 0.5
"""Standard deviation of the noise in square roots of photo-electrons; the levels reach so far beyond the frames."""


def photon_scale(calibration: Calibration, frames: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Gain and offset that make variance equal to mean: photo-electrons = (grey levels − offset) / gain.

    Parameters
    ----------
    calibration
        Of the channel.
    frames
        Frames (Y, X) of the channel, real dtype, grey levels; at least one.

    Returns
    -------
    gain, offset : float
        Grey levels per photo-electron, > 0, and the grey level of no photo-electrons. Read noise moves the offset below
        the camera's own: the shifted number has a variance equal to its mean all the same.
    """
    low, high = np.quantile(np.stack(frames), (0.005, 0.995))
    span = float(high - low)
    constant = max(calibration.noise.std, _LEAST_NOISE * max(1.0, abs(low), abs(high))) ** 2
    least = _LEAST_GAIN * constant / max(span, constant**0.5)
    if calibration.gain < least:
        return least, calibration.noise.level - constant / least
    return calibration.gain, -calibration.variance_intercept / calibration.gain


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
        Ready to train. Its words say where neighbours share so much noise that the surroundings know the pixel's,
        which the method cannot remove.
    """
    options = settings.poisson2void
    frames = training_set.frames
    normaliser = Normaliser.calibrate("stream", frames)
    gain, offset = (1.0, 0.0) if options.unit_gain else photon_scale(training_set.calibration, frames)
    hot = find_hot_pixels(frames)
    images = [clean(frame) if len(frames) == 1 else repair(clean(frame), hot) for frame in frames]
    roots = np.sqrt([np.maximum((image - offset) / gain, 0) for image in images])
    low, high = max(float(roots.min()) - _NOISE, 0.0), float(roots.max()) + _NOISE
    levels = poisson_levels(low**2, high**2, options.bins)
    network = PoissonNetwork(
        levels,
        (float(roots.mean()), float(roots.std())),
        electrons_per_unit=normaliser.stream.scale / gain,
        electrons_at_zero=(normaliser.stream.offset - offset) / gain,
        estimate=options.estimate,
        width=options.width,
    )
    network = move(network, device)
    bfloat16 = trains_in_bfloat16(settings.training.precision, device)
    stack = FrameStack(frames, normaliser, patch=options.patch, multiple=network.stride, together=False)
    objective = PoissonObjective(
        network, stack, batch=options.batch, entropy=options.entropy, bfloat16=bfloat16
    )
    return Preparation(
        network=network,
        objective=objective,
        normaliser=normaliser,
        pairs="blind-spot",
        learning_rate=options.learning_rate,
        examples=objective.held_out,
        setting="poisson2void.learning_rate",
        figures={
            "electron_gain": gain,
            "electron_offset": offset,
            "level_width": float(2 * np.sqrt(levels[1]) - 2 * np.sqrt(levels[0])),
            "hot_pixels": float(stack.hot_pixels),
            "bfloat16": float(bfloat16),
        },
    )
