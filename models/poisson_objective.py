"""What Poisson2Void lowers: how badly the surroundings foretell each pixel's photo-electrons."""

from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quietscope.models.patches import FrameStack, Places, turn
from quietscope.models.poisson_network import PoissonNetwork

__all__ = ["PoissonObjective"]

_MOST = 16
"""Patches validated at a time."""


class PoissonObjective:
    """Negative log-likelihood of every pixel under the prior that its surroundings give, plus the prior's entropy.

    Parameters
    ----------
    network
        On its device.
    stack
        Frames to cut patches from.
    batch
        Patches per step.
    entropy
        Weight of the prior's entropy.
    bfloat16
        Multiply in bfloat16 inside the convolutions; the likelihood is always float32.

    Notes
    -----
    In nats per pixel. The likelihood of the best intensity is taken as 1, so that 0 would be a prior that foretells
    the very number measured; a prior that is right comes to about half the logarithm of what the noise spans.
    """

    def __init__(
        self, network: PoissonNetwork, stack: FrameStack, *, batch: int, entropy: float, bfloat16: bool
    ) -> None:
        self._network = network
        self._stack = stack
        self._batch = batch
        self._entropy = entropy
        self._bfloat16 = bfloat16
        self._device = next(network.parameters()).device
        self._held_out = stack.held_out_places()
        self.held_out: NDArray[np.float32] = self._patches(self._held_out)

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Loss of one random batch; see `quietscope.models.method.Objective`."""
        places = self._stack.random_places(self._batch, rng)
        orientations = rng.integers(0, 8, size=self._batch)
        return self._loss(
            turn(self._patches(places), orientations), turn(self._counted(places), orientations)
        )

    def validate(self) -> float | None:
        """Loss on the places held out; None if training sees them all."""
        if not self._stack.holds_out:
            return None
        counted = self._counted(self._held_out)
        parts = [slice(i, i + _MOST) for i in range(0, len(self.held_out), _MOST)]
        losses = [float(self._loss(self.held_out[part], counted[part])) for part in parts]
        return float(np.average(losses, weights=[len(self.held_out[part]) for part in parts]))

    def _loss(self, patches: NDArray[np.float32], counted: NDArray[np.float32]) -> Tensor:
        images = torch.from_numpy(np.ascontiguousarray(patches))[:, None]
        images = images.to(self._device, memory_format=torch.channels_last)
        electrons = self._network.electrons(images)
        with torch.autocast(self._device.type, torch.bfloat16) if self._bfloat16 else nullcontext():
            logits = self._network.prior(electrons)
        # sums over the last axis, whose values lie side by side in memory, were measured to be five times faster
        log_prior = torch.log_softmax(logits.float().permute(0, 2, 3, 1), dim=-1)
        log_likelihood = self._network.log_likelihood(electrons[:, 0])
        losses = -torch.logsumexp(log_prior + log_likelihood, dim=-1)
        if self._entropy:
            losses = losses - self._entropy * (log_prior.exp() * log_prior).sum(dim=-1)
        weights = torch.from_numpy(np.ascontiguousarray(counted)).to(self._device)
        return (losses * weights).sum() / weights.sum().clamp(min=1)

    def _patches(self, places: Places) -> NDArray[np.float32]:
        """Normalised frames as they are: a bridged pixel would tell its neighbours their own numbers."""
        offset, scale = self._stack.scales(places)
        return (self._stack.cut(places, repaired=False) - offset) / scale

    def _counted(self, places: Places) -> NDArray[np.float32]:
        """1 where a pixel counts, 0 where it is hot; of a single frame all count, since lonely photons look hot."""
        raw = self._stack.cut(places, repaired=False)
        if self._stack.count == 1:
            return np.ones_like(raw)
        counted: NDArray[np.float32] = (raw == self._stack.cut(places, repaired=True)).astype(np.float32)
        return counted
