"""Scale of every tile of a frame, at the cost of one look at the frame.

Tiles overlap, so what is measured on each of them is measured on the whole frame at once; only tiles that are not
settled by it are cut out.
"""

import numpy as np
from numpy.typing import NDArray

from quietscope.models.normalisation import Normaliser
from quietscope.models.risk import looks_empty
from quietscope.models.tiling import TilePlan
from quietscope.models.twin_statistics import window_statistics

__all__ = ["tile_scales"]

Float32 = NDArray[np.float32]

TOGETHER = 8
"""Tiles that are measured at a time: few enough to stay in a processor's cache."""


def tile_scales(
    normaliser: Normaliser, layout: TilePlan, padded: Float32, image: Float32
) -> tuple[Float32, Float32]:
    """Find offset and scale of each tile.

    Parameters
    ----------
    normaliser
        Rule of the series.
    layout
        Tiles.
    padded
        Frame as the tiles are cut from it, shape `layout.padded`, finite, grey levels.
    image
        Frame itself, shape (Y, X), finite, grey levels.

    Returns
    -------
    offset, scale : numpy.ndarray
        Grey levels, float32, shape (layout.count,) each; those of `Normaliser.parameters` for the tile.
    """
    if not normaliser.patch_wise:
        offset, scale = normaliser.parameters(image[None, :1, :1], image)
        return np.repeat(offset, layout.count), np.repeat(scale, layout.count)
    offset = np.full(layout.count, normaliser.stream.offset, np.float32)
    scale = np.full(layout.count, normaliser.stream.scale, np.float32)
    known = window_statistics(padded, layout.tops, layout.lefts, layout.side)
    unsettled = np.ones(layout.count, np.bool_)
    if normaliser.rule == "noise" and known is not None:
        unsettled = ~looks_empty(known, normaliser.noise)
    for numbers in layout.batches(TOGETHER, np.flatnonzero(unsettled).tolist()):
        tiles = np.empty((len(numbers), *layout.side), np.float32)
        layout.extract(padded, numbers, tiles)
        statistics = None if known is None else known.of(numbers)
        offset[numbers], scale[numbers] = normaliser.parameters(tiles, statistics=statistics)
    return offset, scale
