"""Still twins: a frame, and the mean of all others, for a scene that holds still over the whole training.

This is Noise2Noise (Lehtinen et al., ICML 2018) with the quietest target there is. It keeps the finest
structures, which the diagonal twins of a 2x2 block average away, and the network sees raw frames in training
as it does afterwards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.normalisation import Normaliser
from quietscope.models.pairs import PairBatch
from quietscope.models.patches import FrameStack, Places, turn

__all__ = ["StillTwins"]


class StillTwins:
    """Pairs of a frame and the mean of all others.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, finite, native dtype, grey levels, at least two, of a scene that holds
        still.
    normaliser
        Gives each patch its offset and scale.
    patch, multiple
        Side of the patches in pixels, and what it is a multiple of.
    figures
        What was measured when these pairs were chosen.

    Raises
    ------
    ModelError
        If there are fewer than two frames.
    """

    kind = "still"
    raw_inputs = True

    def __init__(
        self,
        frames: Sequence[NDArray[Any]],
        normaliser: Normaliser,
        *,
        patch: int,
        multiple: int,
        figures: Mapping[str, float] | None = None,
    ) -> None:
        if len(frames) < 2:
            msg = f"adaptive_sn2n.pairs = 'still' needs two frames, there is {len(frames)}; raise training.frames"
            raise ModelError(msg)
        self._stack = FrameStack(frames, normaliser, patch=patch, multiple=multiple, together=True)
        self.figures: Mapping[str, float] = {**(figures or {}), "hot_pixels": float(self._stack.hot_pixels)}

    def sample(self, patches: int, rng: np.random.Generator) -> PairBatch:
        """Draw random patches, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.random_places(patches, rng)
        further = rng.integers(1, self._stack.count, size=patches)
        return self._pairs(places, further, rng.integers(0, 8, size=patches))

    def held_out(self) -> PairBatch:
        """Return the held-out pairs, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.held_out_places()
        none = np.zeros(len(places.frames), dtype=np.intp)
        return self._pairs(places, none + 1, none)

    def _pairs(self, places: Places, further: NDArray[np.intp], orientations: NDArray[np.intp]) -> PairBatch:
        count = self._stack.count
        offset, scale = self._stack.scales(places)
        total = self._stack.cut_sum(places)
        inputs, targets = [], []
        for frames in (places.frames, (places.frames + further) % count):
            view = Places(frames, places.tops, places.lefts)
            rest = (total - self._stack.cut(view, repaired=True)) / np.float32(count - 1)
            inputs.append(turn((self._stack.cut(view, repaired=False) - offset) / scale, orientations))
            targets.append(turn((rest - offset) / scale, orientations))
        pairs = np.concatenate(targets)
        return PairBatch(np.concatenate(inputs), pairs, np.ones_like(pairs))
