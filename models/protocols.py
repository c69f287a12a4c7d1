"""The seams of the science: what a method is given, what it gives back, and how long it may take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quietscope.models.calibration import Calibration, calibrate

__all__ = ["Budget", "Image", "Progress", "ProgressCallback", "StepBudget", "TrainingSet"]

Image = NDArray[np.float32]
"""A plane (Y, X) in grey levels, float32."""


class Budget(Protocol):
    """How much of the allowed training is used up. The science has no clock: whoever calls it brings one."""

    def used(self, step: int) -> float:
        """Share of the budget that is used when `step` steps are done; training ends at 1."""


@dataclass(frozen=True)
class StepBudget:
    """A budget counted in steps: reproducible, for tests.

    Parameters
    ----------
    steps
        Number of training steps.
    """

    steps: int

    def used(self, step: int) -> float:
        """Share of the steps done."""
        return step / self.steps


@dataclass(frozen=True)
class Progress:
    """State of a training, reported now and then.

    Parameters
    ----------
    step
        Steps done.
    used
        Share of the budget used, 0–1.
    loss
        Smoothed training loss, in normalised units.
    validation
        Loss on held-out patches, or None before the first evaluation.
    """

    step: int
    used: float
    loss: float
    validation: float | None = None


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class TrainingSet:
    """What a method trains on.

    Parameters
    ----------
    frames
        Noisy frames of one channel in time order, each (Y, X), all of one shape, native dtype.
    indices
        Time index of each frame, so that neighbours in time are known.
    metadata
        What is known of the channel (name, pixel size, exposure).
    """

    frames: Sequence[NDArray[Any]]
    indices: Sequence[int]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def calibration(self) -> Calibration:
        """Light, camera and noise as the frames show them."""
        return calibrate(self.frames)
