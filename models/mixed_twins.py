"""Mixed twins: spatial and thinned twins in turn.

Spatial twins are quiet targets, so that much is learnt in few steps, but blur what is finer than a 2x2 block and
look unlike raw frames; thinned twins are the opposite. In turns they were measured to be better than either.
"""

from collections.abc import Mapping

import numpy as np

from quietscope.models.pairs import PairBatch, PairSource

__all__ = ["MixedTwins"]


class MixedTwins:
    """Draws each batch from one of two sources, as often from the one as from the other.

    Parameters
    ----------
    judge
        The source that also gives the held-out pairs.
    other
        The other source.
    """

    kind = "mixed"
    raw_inputs = False

    def __init__(self, judge: PairSource, other: PairSource) -> None:
        self._sources = (judge, other)
        self.figures: Mapping[str, float] = {**other.figures, **judge.figures}

    def sample(self, patches: int, rng: np.random.Generator) -> PairBatch:
        """Draw random patches, as `quietscope.models.pairs.PairSource` says."""
        return self._sources[int(rng.integers(2))].sample(patches, rng)

    def held_out(self) -> PairBatch:
        """Return the held-out pairs, as `quietscope.models.pairs.PairSource` says."""
        return self._sources[0].held_out()
