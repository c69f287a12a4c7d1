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
from quietscope.models.coloured_noise import SharedNoise
from quietscope.models.hardware import choose_device, thread_limit
from quietscope.models.hot_pixels import find_hot_pixels
from quietscope.models.line import fit_line
from quietscope.models.method import DenoisingNetwork
from quietscope.models.methods import METHODS, Prepare
from quietscope.models.networks import count_weights
from quietscope.models.normalisation import Normaliser
from quietscope.models.optimisation import fit
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
        What it learnt from: ``"spatial"``, ``"temporal"``, ``"still"``, ``"synthetic"``, …
    examples
        (n, P, P), float32: images as the network sees them, normalised.
    figures
        Steps, losses, line, noise and twin correlation, by name.
    frames_sha256
        Hash of the training frames' pixels.
    tile
        Side of the tiles the network is meant for, pixels.
    hot_pixels
        (Y, X), True where the camera has a hot pixel; bridged before a frame is denoised.
    words
        What was found about light and noise, and what was chosen for it.
    """

    network: DenoisingNetwork
    normaliser: Normaliser
    method: str
    pairs: str
    examples: NDArray[np.float32]
    figures: Mapping[str, float]
    frames_sha256: str
    tile: int
    hot_pixels: NDArray[np.bool_]
    words: str = ""

    @property
    def stride(self) -> int:
        """Height and width given to the network must be multiples of this, pixels."""
        return self.network.stride

    @property
    def weights(self) -> int:
        """Number of trained weights."""
        return count_weights(self.network)


def train(
    training_set: TrainingSet,
    settings: Settings,
    budget: Budget,
    progress: ProgressCallback | None = None,
    prepare: Prepare | None = None,
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
    prepare
        A method that the settings do not know, for comparisons; it takes the place of theirs.

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
    device = choose_device(settings.training.device)
    seed = settings.training.seed
    calibration = training_set.calibration
    with thread_limit(settings.training.threads), torch.random.fork_rng(devices=_devices(device)):
        torch.manual_seed(seed)
        prepared = (prepare or METHODS[settings.method])(training_set, settings, device)
        prepared.network.train()
        fitted = fit(prepared, seed=seed, budget=budget, progress=progress)
        network = prepared.network.eval()
        viewed, frames = network.line_view(training_set.frames)
        shared = SharedNoise.of(calibration, settings.gate.max_twin_correlation)
        line = fit_line(
            viewed,
            prepared.normaliser,
            frames,
            prepared.line_pairs,
            tile=settings.tiling.tile,
            seed=seed,
            shared=shared if viewed is network else None,
        )
        network.fold_line(line.slope, line.intercept)
    network = network.to("cpu")
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    figures = {
        **calibration.figures,
        **prepared.figures,
        "steps": float(fitted.steps),
        "restarts": float(fitted.restarts),
        "training_loss": fitted.loss,
        "line_slope": line.slope,
        "line_intercept": line.intercept,
    }
    if fitted.validation is not None:
        figures["validation_loss"] = fitted.validation
    return TrainedModel(
        network=network,
        normaliser=prepared.normaliser,
        method=settings.method,
        pairs=prepared.pairs,
        examples=prepared.examples,
        figures=figures,
        frames_sha256=_hash(training_set.frames),
        tile=settings.tiling.tile,
        hot_pixels=find_hot_pixels(training_set.frames),
        words=". ".join(part for part in (calibration.words, prepared.words) if part),
    )


def _devices(device: torch.device) -> list[torch.device]:
    """Devices beside the CPU whose random state is left as it was."""
    return [] if device.type == "cpu" else [device]


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
