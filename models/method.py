"""The seam between a denoising method and everything that trains, exports, judges and runs it.

A method is a function that looks at the first frames of a channel and returns a `Preparation`: a network, what
its training lowers, and the scale of its input. The training loop, the line that keeps intensities true, the
ONNX export, the gate and the runtime are the same for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quietscope.models.normalisation import Normaliser
from quietscope.models.pairs import PairSource

__all__ = ["DenoisingNetwork", "Objective", "Preparation", "TrueOutput", "warm_cosine"]

_WARM_UP = 0.05
"""Share of the budget in which the learning rate rises."""


class DenoisingNetwork(nn.Module):
    """What a method trains and exports: (N, 1, H, W) -> (N, 1, H, W), float32, normalised.

    A subclass gives its `stride` and folds a line into its own weights; see `TrueOutput` for one that cannot.
    """

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        raise NotImplementedError

    def fold_line(self, gain: float, offset: float) -> None:
        """Return ``gain * output + offset`` from now on."""
        raise NotImplementedError

    def line_view(self, frames: Sequence[NDArray[Any]]) -> "tuple[DenoisingNetwork, Sequence[NDArray[Any]]]":
        """Network and frames to fit the line on: a part of itself where only that sees independent noise."""
        return self, frames


class TrueOutput(DenoisingNetwork):
    """A network whose output goes through the line that makes intensities true.

    Subclasses call `true` on what they return.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_gain", torch.ones(()))
        self.register_buffer("_offset", torch.zeros(()))

    @torch.no_grad()
    def fold_line(self, gain: float, offset: float) -> None:
        """Return ``gain * output + offset`` from now on.

        Parameters
        ----------
        gain, offset
            The least-squares line of raw on denoised, in normalised units.
        """
        self.get_buffer("_gain").mul_(gain)
        self.get_buffer("_offset").mul_(gain).add_(offset)

    def true(self, output: Tensor) -> Tensor:
        """Apply the line."""
        return output * self.get_buffer("_gain") + self.get_buffer("_offset")


class Objective(Protocol):
    """What a training lowers."""

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Loss of one random batch, a scalar with gradients."""

    def validate(self) -> float | None:
        """Loss on what `loss` never shows; None where nothing is held out."""


def warm_cosine(share: float) -> float:
    """Learning rate over its peak when `share` of the budget is used: a short rise, then a cosine to nothing."""
    if share < _WARM_UP:
        return max(0.05, share / _WARM_UP)
    return float(0.5 * (1 + np.cos(np.pi * min(1.0, (share - _WARM_UP) / (1 - _WARM_UP)))))


@dataclass(frozen=True)
class Preparation:
    """Everything that the training loop and the export need of a method.

    Parameters
    ----------
    network
        Fresh network on the device that the objective uses.
    objective
        What the training lowers.
    normaliser
        Scale of the patches, in training and in use.
    pairs
        What the network learns from, one word for metadata: ``"spatial"``, ``"temporal"``, ``"synthetic"``, …
    learning_rate
        Peak learning rate of Adam.
    examples
        (n, P, P), float32, normalised images as the network will see them, for the parity test.
    rate
        Learning rate over its peak, from the share of the budget used.
    betas
        Decay of Adam's running means.
    largest_gradient
        Norm above which gradients are scaled down.
    line_pairs
        Pairs whose inputs are raw frames, to fit the line of truth on denoised; None fits it on the frames.
    setting
        Name of the learning rate's settings key, for messages.
    figures
        What was measured when the method was prepared.
    words
        What was found and chosen, for people.
    """

    network: DenoisingNetwork
    objective: Objective
    normaliser: Normaliser
    pairs: str
    learning_rate: float
    examples: NDArray[np.float32]
    rate: Callable[[float], float] = warm_cosine
    betas: tuple[float, float] = (0.9, 0.99)
    largest_gradient: float = 1.0
    line_pairs: PairSource | None = None
    setting: str = "learning_rate"
    figures: Mapping[str, float] = field(default_factory=dict)
    words: str = ""
