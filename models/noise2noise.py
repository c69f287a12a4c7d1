"""Noise2Noise on the network of Noise2SR, for comparisons: what a second capture of every field would bring.

Source: Lehtinen et al., ICML 2018, written anew from the description. It is no method of the settings, since a live
series has no second capture.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from quietscope.config.errors import ModelError
from quietscope.config.settings import Settings
from quietscope.models import noise2sr
from quietscope.models.method import DenoisingNetwork, Preparation
from quietscope.models.protocols import TrainingSet

__all__ = ["prepare"]


class _CapturePairs:
    """Any of the captures predicts any other, in random patches and orientations.

    Parameters
    ----------
    network
        On its device.
    captures
        Normalised, shape (n, Y, X), n ≥ 2.
    patch
        Side of the patches, pixels.
    batch
        Patches per step.
    bfloat16
        Multiply in bfloat16.
    """

    def __init__(
        self,
        network: DenoisingNetwork,
        captures: NDArray[np.float32],
        *,
        patch: int,
        batch: int,
        bfloat16: bool,
    ) -> None:
        self._network = network
        self._captures = captures
        self._patch = patch
        self._batch = batch
        self._bfloat16 = bfloat16
        self._device = next(network.parameters()).device

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Loss of one random batch; see `quietscope.models.method.Objective`."""
        pairs = np.empty((2, self._batch, 1, self._patch, self._patch), np.float32)
        for index in range(self._batch):
            chosen = rng.choice(len(self._captures), 2, replace=False)
            top, left = (int(rng.integers(side - self._patch + 1)) for side in self._captures.shape[1:])
            pair = self._captures[chosen, top : top + self._patch, left : left + self._patch]
            mirror = int(rng.choice([1, -1]))
            pairs[:, index, 0] = np.rot90(pair, int(rng.integers(4)), axes=(1, 2))[..., ::mirror]
        inputs, targets = torch.from_numpy(pairs).to(self._device)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16) if self._bfloat16 else nullcontext():
            predicted = self._network(inputs)
        return functional.mse_loss(predicted.float(), targets)

    def validate(self) -> None:
        """Nothing is held out."""


def prepare(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Network, schedule and size of the network's input of Noise2SR, taught by further captures.

    Parameters
    ----------
    training_set
        Independent captures of one motionless field, at least two, no smaller than half of ``noise2sr.patch``.
    settings
        The run's settings, section ``noise2sr``.
    device
        Where to train.

    Returns
    -------
    Preparation
        Ready to train.

    Raises
    ------
    quietscope.config.ModelError
        If there is only one capture, or captures are too small.
    """
    frames: Sequence[NDArray[Any]] = training_set.frames
    side = settings.noise2sr.patch // 2
    if len(frames) < 2 or min(frames[0].shape) < side:
        msg = (
            f"Noise2Noise: {len(frames)} captures of {frames[0].shape}; give at least two of at least {side}×{side} "
            "pixels"
        )
        raise ModelError(msg)
    prepared = noise2sr.prepare(training_set, settings, device)
    stream = prepared.normaliser.stream
    captures = ((np.stack(frames).astype(np.float32) - stream.offset) / stream.scale).astype(np.float32)
    objective = _CapturePairs(
        prepared.network,
        captures,
        patch=side,
        batch=settings.noise2sr.batch,
        bfloat16=bool(prepared.figures["bfloat16"]),
    )
    return replace(prepared, objective=objective, pairs="captures")
