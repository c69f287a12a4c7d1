"""The loss of a network on pairs of noisy views, with the self-consistency of both predictions."""

from contextlib import nullcontext
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quietscope.models.pairs import PairBatch, PairSource

__all__ = ["PairObjective"]

_MOST = 32
"""Patches validated at a time."""


class PairObjective:
    """Distance of predictions from the other view, over the pixels that may be trusted.

    Parameters
    ----------
    network
        (N, 1, P, P) -> (N, 1, P, P), on its device.
    pairs
        What to train and to validate on.
    batch
        Pairs per step.
    loss
        Distance of a prediction from its target.
    self_consistency
        Weight of the distance between both views' predictions.
    bfloat16
        Multiply in bfloat16.
    validates
        Whether the pairs hold anything out.
    """

    def __init__(
        self,
        network: nn.Module,
        pairs: PairSource,
        *,
        batch: int,
        loss: Literal["l2", "l1"] = "l2",
        self_consistency: float = 0.0,
        bfloat16: bool = False,
        validates: bool = True,
    ) -> None:
        self._network = network
        self._pairs = pairs
        self._patches = max(1, batch // 2)
        self._loss = loss
        self._self_consistency = self_consistency
        self._bfloat16 = bfloat16
        self._device = next(network.parameters()).device
        self._held_out = self._tensors(pairs.held_out()) if validates else None

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Loss of one random batch; see `quietscope.models.method.Objective`."""
        inputs, targets, weights = self._tensors(self._pairs.sample(self._patches, rng))
        prediction = self._predict(inputs)
        loss = self._distance(prediction, targets, weights)
        if self._self_consistency:
            first, second = prediction.chunk(2)
            agreement = self._distance(first, second, weights[: len(first)])
            loss = (2 * loss + self._self_consistency * agreement) / (2 + self._self_consistency)
        return loss

    def validate(self) -> float | None:
        """Loss on the held-out pairs."""
        if self._held_out is None:
            return None
        total = 0.0
        inputs, targets, weights = self._held_out
        for part in zip(*(torch.split(t, _MOST) for t in (inputs, targets, weights)), strict=True):
            total += float(self._distance(self._predict(part[0]), part[1], part[2])) * len(part[0])
        return total / len(inputs)

    def _predict(self, inputs: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16) if self._bfloat16 else nullcontext():
            prediction: Tensor = self._network(inputs)
        return prediction.float()

    def _distance(self, prediction: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        difference = prediction - target
        return (weights * (difference.square() if self._loss == "l2" else difference.abs())).mean()

    def _tensors(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        def tensor(values: NDArray[np.float32]) -> Tensor:
            moved = torch.from_numpy(np.ascontiguousarray(values))[:, None]
            return moved.to(self._device, memory_format=torch.channels_last)

        return tensor(batch.inputs), tensor(batch.targets), tensor(batch.weights)
