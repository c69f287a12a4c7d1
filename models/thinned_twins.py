"""Thinned twins: pairs from single frames by dealing out their photo-electrons; see `quietscope.models.thinning`.

Unlike spatial twins they keep the frame's own grid: the finest structures are in both, and the network sees in
training what it sees in use, only noisier.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from quietscope.models.pairs import PairBatch
from quietscope.models.patches import FrameStack, Places, turn
from quietscope.models.thinning import MARGIN, Thinning

__all__ = ["ThinnedTwins"]

SHARES = (0.5, 0.9)
"""Range of the input's share of the photo-electrons: near 1 the input is like a raw frame, near 1/2 the target is
quiet enough to learn from."""


class ThinnedTwins:
    """Pairs whose views share the photo-electrons of one frame.

    Parameters
    ----------
    stack
        Training frames.
    thinning
        Splits them.
    figures
        What was measured when these pairs were chosen.
    """

    kind = "thinned"
    raw_inputs = False

    def __init__(
        self, stack: FrameStack, thinning: Thinning, figures: Mapping[str, float] | None = None
    ) -> None:
        self._stack = stack
        self._thinning = thinning
        self.figures: Mapping[str, float] = {**(figures or {}), "hot_pixels": float(stack.hot_pixels)}

    def sample(self, patches: int, rng: np.random.Generator) -> PairBatch:
        """Draw random patches, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.random_places(patches, rng)
        return self._pairs(places, rng.integers(0, 8, size=patches), rng)

    def held_out(self) -> PairBatch:
        """Return the held-out pairs, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.held_out_places()
        none = np.zeros(len(places.frames), dtype=np.intp)
        return self._pairs(places, none, np.random.default_rng(0))

    def _pairs(self, places: Places, orientations: NDArray[np.intp], rng: np.random.Generator) -> PairBatch:
        offset, scale = self._stack.scales(places)
        patches = self._stack.cut(places, repaired=True, margin=MARGIN)
        inputs, targets, weights = [], [], []
        for _ in range(2):
            share = rng.uniform(*SHARES, size=(len(patches), 1, 1)).astype(np.float32)
            first, second = self._thinning.split(patches, share, rng)
            inputs.append(turn((first - offset) / scale, orientations))
            targets.append(turn((second - offset) / scale, orientations))
            # the variance of a target goes with 1 / (1 - share)
            weights.append(np.broadcast_to((1 - share) / (1 - np.float32(sum(SHARES) / 2)), second.shape))
        return PairBatch(np.concatenate(inputs), np.concatenate(targets), np.concatenate(weights))
