"""Temporal twins: neighbouring frames where the scene holds still, for noise that neighbouring pixels share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.normalisation import Normaliser
from quietscope.models.pairs import PairBatch
from quietscope.models.patches import FrameStack, Places, turn
from quietscope.models.stillness import BLOCK, moving_blocks

__all__ = ["TemporalTwins"]


class TemporalTwins:
    """Pairs of a frame and the next; where the scene moved between them, nothing is learnt.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, finite, native dtype, grey levels, at least two.
    indices
        Time index of each frame.
    normaliser
        Gives each patch its offset and scale.
    patch, multiple
        Side of the patches in pixels, and what it is a multiple of.
    correlation_factor
        See `quietscope.models.stillness.moving_blocks`.
    figures
        What was measured when these pairs were chosen.

    Raises
    ------
    ModelError
        If there are fewer than two frames.
    """

    kind = "temporal"
    raw_inputs = True

    def __init__(
        self,
        frames: Sequence[NDArray[Any]],
        indices: Sequence[int],
        normaliser: Normaliser,
        *,
        patch: int,
        multiple: int,
        correlation_factor: float = 1.0,
        figures: Mapping[str, float] | None = None,
    ) -> None:
        if len(frames) < 2:
            msg = f"adaptive_sn2n.pairs = 'temporal' needs two frames, there is {len(frames)}; raise training.frames"
            raise ModelError(msg)
        self._stack = FrameStack(frames, normaliser, patch=patch, multiple=multiple, together=True)
        self._partners = _neighbours(indices)
        self._moving = {
            (i, j): moving_blocks(frames[i], frames[j], correlation_factor=correlation_factor)
            for i, partners in enumerate(self._partners)
            for j in partners
        }
        self.figures: Mapping[str, float] = {
            **(figures or {}),
            "hot_pixels": float(self._stack.hot_pixels),
            "moving_between_neighbours": float(np.mean([blocks.mean() for blocks in self._moving.values()])),
        }

    def sample(self, patches: int, rng: np.random.Generator) -> PairBatch:
        """Draw random patches, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.random_places(patches, rng)
        partners = np.array([rng.choice(self._partners[i]) for i in places.frames], dtype=np.intp)
        return self._pairs(places, partners, rng.integers(0, 8, size=patches))

    def held_out(self) -> PairBatch:
        """Return the held-out pairs, as `quietscope.models.pairs.PairSource` says."""
        places = self._stack.held_out_places()
        partners = np.array([self._partners[i][0] for i in places.frames], dtype=np.intp)
        return self._pairs(places, partners, np.zeros(len(places.frames), dtype=np.intp))

    def _pairs(self, places: Places, partners: NDArray[np.intp], orientations: NDArray[np.intp]) -> PairBatch:
        offset, scale = self._stack.scales(places)
        views = (places, Places(partners, places.tops, places.lefts))

        def cut(view: Places, *, repaired: bool) -> NDArray[np.float32]:
            return turn((self._stack.cut(view, repaired=repaired) - offset) / scale, orientations)

        weights = turn(self._weights(places, partners), orientations)
        return PairBatch(
            inputs=np.concatenate([cut(view, repaired=False) for view in views]),
            targets=np.concatenate([cut(view, repaired=True) for view in views[::-1]]),
            weights=np.concatenate((weights, weights)),
        )

    def _weights(self, places: Places, partners: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return 0 where the scene moved between both frames of a pair, else 1."""
        side = np.arange(self._stack.patch)
        weights = np.empty((len(partners), len(side), len(side)), dtype=np.float32)
        for row, (i, j) in enumerate(zip(places.frames, partners, strict=True)):
            moving = self._moving[int(i), int(j)]
            down = np.minimum((places.tops[row] + side) // BLOCK, moving.shape[0] - 1)
            across = np.minimum((places.lefts[row] + side) // BLOCK, moving.shape[1] - 1)
            weights[row] = ~moving[np.ix_(down, across)]
        return weights


def _neighbours(indices: Sequence[int]) -> list[list[int]]:
    """Return the partners of each frame: those at the least distance in time."""
    times = np.asarray(indices)
    partners = []
    for i, time in enumerate(times):
        distance = np.abs(times - time)
        distance[i] = distance.max() + 1
        partners.append([int(j) for j in np.flatnonzero(distance == distance.min())])
    return partners
