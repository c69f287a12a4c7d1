"""Spatial twins: pairs from single frames, the pairs of SN2N."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from quietscope.models.interpolation import upsample2
from quietscope.models.pairs import PairBatch
from quietscope.models.patches import MARGIN, FrameStack, Places, turn
from quietscope.models.twins import split_diagonal

__all__ = ["SpatialTwins"]


class SpatialTwins:
    """Diagonal twins of 2x2 blocks, up-sampled to the frame's own grid; a patch may start at any pixel.

    Parameters
    ----------
    stack
        Training frames.
    figures
        What was measured when these pairs were chosen.
    """

    kind = "spatial"
    raw_inputs = False

    def __init__(self, stack: FrameStack, figures: Mapping[str, float] | None = None) -> None:
        self._stack = stack
        self.figures: Mapping[str, float] = {**(figures or {}), "hot_pixels": float(stack.hot_pixels)}

    def sample(self, patches: int, rng: np.random.Generator) -> PairBatch:
        """Draw random patches, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.random_places(patches, rng)
        return self._pairs(places, rng.integers(0, 8, size=patches))

    def held_out(self) -> PairBatch:
        """Return the held-out pairs, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.held_out_places()
        return self._pairs(places, np.zeros(len(places.frames), dtype=np.intp))

    def _pairs(self, places: Places, orientations: NDArray[np.intp]) -> PairBatch:
        offset, scale = self._stack.scales(places)
        noisy = self._views(places, repaired=False)
        clean = self._views(places, repaired=True) if self._stack.hot_pixels else noisy
        first, second = (turn((view - offset) / scale, orientations) for view in noisy)
        if self._stack.hot_pixels:
            target_of_second, target_of_first = (
                turn((view - offset) / scale, orientations) for view in clean
            )
        else:
            target_of_second, target_of_first = first, second
        targets = np.concatenate((target_of_first, target_of_second))
        return PairBatch(np.concatenate((first, second)), targets, np.ones_like(targets))

    def _views(self, places: Places, *, repaired: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        crops = self._stack.cut(places, repaired=repaired, margin=MARGIN)
        inner = slice(MARGIN, -MARGIN)
        first, second = (upsample2(twin)[:, inner, inner] for twin in split_diagonal(crops))
        return first, second
