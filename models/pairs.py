"""The seam between the choice of pairs and the training loop: which noisy views of a patch are compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["PairBatch", "PairSource"]


@dataclass(frozen=True)
class PairBatch:
    """Pairs of noisy views of the same patches, normalised.

    Parameters
    ----------
    inputs, targets
        (2 n, P, P), float32. The noise of a target is independent of that of its input. Rows ``i`` and ``n +
        i`` show the same patch, so that the predictions of both can be asked to agree.
    weights
        (2 n, P, P), float32, 0 where a target must not be trusted (the scene moved), else 1.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


class PairSource(Protocol):
    """Something that gives pairs to train and to validate on."""

    @property
    def kind(self) -> str:
        """Short name, for figures and metadata."""

    @property
    def raw_inputs(self) -> bool:
        """Whether the inputs are raw frames, as in use, so that targets tell the truth about predictions."""

    @property
    def figures(self) -> Mapping[str, float]:
        """What was measured when the choice was made."""

    def sample(self, patches: int, rng: np.random.Generator) -> PairBatch:
        """Draw `patches` random patches (2 x `patches` pairs), each in a random one of 8 orientations."""

    def held_out(self) -> PairBatch:
        """Return pairs from pixels that `sample` never shows, the same at every call."""
