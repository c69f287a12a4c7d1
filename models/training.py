"""Training of one channel: from its first frames to a model that keeps intensities true.

The only entry to training; it imports PyTorch, so the inference side must never import it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.settings import Settings
from quietscope.models.adaptive_sn2n import prepare
from quietscope.models.hot_pixels import find_hot_pixels
from quietscope.models.line import fit_line
from quietscope.models.networks import DenoisingUNet, count_weights
from quietscope.models.normalisation import Normaliser
from quietscope.models.optimisation import FitOptions, choose_device, fit, multiplies_bfloat16, thread_limit
from quietscope.models.pairs import PairBatch
from quietscope.models.protocols import Budget, ProgressCallback, TrainingSet

__all__ = ["TrainedModel", "train"]


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with everything needed to use, export and judge it.

    Parameters
    ----------
    network
        On the CPU, evaluation mode, float32; the line of raw on denoised is folded in.
    normaliser
        Scale of the patches.
    method
        Name of the method.
    pairs
        Which pairs it was trained on: ``"spatial"`` or ``"temporal"``.
    held_out
        Pairs (normalised) from pixels that were not trained on, for the gate.
    figures
        Steps, losses, line, noise and twin correlation, by name.
    frames_sha256
        Hash of the training frames' pixels.
    tile
        Side of the tiles the network is meant for, pixels.
    hot_pixels
        (Y, X), True where the camera has a hot pixel; bridged before a frame is denoised.
    """

    network: DenoisingUNet
    normaliser: Normaliser
    method: str
    pairs: str
    held_out: PairBatch
    figures: Mapping[str, float]
    frames_sha256: str
    tile: int
    hot_pixels: NDArray[np.bool_]

    @property
    def stride(self) -> int:
        """Height and width given to the network must be multiples of this, pixels."""
        return self.network.stride

    @property
    def weights(self) -> int:
        """Number of trained weights."""
        return count_weights(self.network)


def train(
    training_set: TrainingSet, settings: Settings, budget: Budget, progress: ProgressCallback | None = None
) -> TrainedModel:
    """Train the method of `settings` on the frames of one channel.

    Parameters
    ----------
    training_set
        Usable frames: finite, of one shape, in time order.
    settings
        The run's settings.
    budget
        How long to train; a `StepBudget` makes the result reproducible on one machine.
    progress
        Told every few steps.

    Returns
    -------
    TrainedModel
        On the CPU.

    Raises
    ------
    ModelError
        If there is no frame, a frame is not usable, or training diverges twice.
    """
    _check(training_set.frames)
    prepared = prepare(training_set, settings)
    device = choose_device(settings.training.device)
    method = settings.adaptive_sn2n
    precision = settings.training.precision
    options = FitOptions(
        batch=method.batch,
        learning_rate=method.learning_rate,
        loss=method.loss,
        self_consistency=method.self_consistency,
        seed=settings.training.seed,
        bfloat16=precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16(device)),
    )
    with thread_limit(settings.training.threads):
        network: DenoisingUNet = prepared.network.to(device).train()
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fitted = fit(network, prepared.pairs, options, budget, progress)
        network = network.eval()
        line = fit_line(
            network,
            prepared.normaliser,
            training_set.frames,
            prepared.pairs,
            tile=settings.tiling.tile,
            seed=settings.training.seed,
        )
        network.fold_line(line.slope, line.intercept)
    network = network.to("cpu")
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    figures = {
        **prepared.pairs.figures,
        "steps": float(fitted.steps),
        "restarts": float(fitted.restarts),
        "training_loss": fitted.loss,
        "validation_loss": fitted.validation,
        "line_slope": line.slope,
        "line_intercept": line.intercept,
        "bfloat16": float(options.bfloat16),
    }
    return TrainedModel(
        network=network,
        normaliser=prepared.normaliser,
        method=settings.method,
        pairs=prepared.pairs.kind,
        held_out=prepared.pairs.held_out(),
        figures=figures,
        frames_sha256=_hash(training_set.frames),
        tile=settings.tiling.tile,
        hot_pixels=find_hot_pixels(training_set.frames),
    )


def _check(frames: Sequence[NDArray[Any]]) -> None:
    if not frames:
        raise ModelError("there is no frame to train on; wait for usable frames or lower training.frames")
    for index, frame in enumerate(frames):
        if frame.ndim != 2 or min(frame.shape) < 2:
            msg = f"training frame {index} has shape {frame.shape}; give planes (Y, X) of at least 2x2 pixels"
            raise ModelError(msg)
        if frame.shape != frames[0].shape:
            msg = f"training frame {index} is {frame.shape}, frame 0 {frames[0].shape}; all must be alike"
            raise ModelError(msg)
        if frame.dtype.kind == "f" and not np.isfinite(frame).all():
            count = int(np.count_nonzero(~np.isfinite(frame)))
            msg = f"training frame {index} has {count} pixels that are not finite; leave such frames out"
            raise ModelError(msg)


def _hash(frames: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.dtype.str}{frame.shape}".encode())
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
