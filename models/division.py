"""Adaptive compute: which part of a frame goes through the network in one pass, and which tiles are blended.

Blending is linear, and the weights of all tiles sum to one. Tiles that share one scale would all compute the same
picture, so their part of the sum is that picture times the sum of their weights, and the picture takes one pass without
overlap. Only tiles on scales of their own have to be computed one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.models.tiling import TilePlan
from quietscope.models.windows import Part, WindowPlan

__all__ = ["Division", "divide"]


@dataclass(frozen=True)
class Division:
    """What is to be done for one frame.

    Parameters
    ----------
    tiles
        Numbers of the tiles to blend.
    parts
        Windows of the one pass; see `quietscope.models.windows.WindowPlan.parts`.
    share
        Weight of the pass at every pixel, shape of the padded frame; None where it makes the whole picture.
    any_shared
        Number of a tile that has the scale of the pass.
    """

    tiles: Sequence[int]
    parts: tuple[tuple[Part, Part, Part], ...] = ()
    share: NDArray[np.float32] | None = None
    any_shared: int = 0


def divide(layout: TilePlan, windows: WindowPlan, shared: NDArray[np.bool_]) -> Division:
    """Choose the cheaper way, counted in pixels that the network computes.

    Parameters
    ----------
    layout, windows
        Tiles and windows of a frame.
    shared
        Which tiles share one scale, shape (number of tiles,).

    Returns
    -------
    Division
        The pass alone where all tiles share the scale; all tiles where the pass would not pay.
    """
    if shared.all():
        return Division((), tuple(windows.parts()))
    everything = Division(range(layout.count))
    if not shared.any():
        return everything
    share = layout.weight_of(np.flatnonzero(shared).tolist())
    parts = tuple(part for part in windows.parts() if share[part[1]].any())
    tiled = int(shared.sum()) * layout.side[0] * layout.side[1]
    if len(parts) * windows.side[0] * windows.side[1] >= tiled:
        return everything
    return Division(np.flatnonzero(~shared).tolist(), parts, share, int(np.argmax(shared)))
