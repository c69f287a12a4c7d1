"""Cheaper tiles: how the same model denoises a frame in less time, at some cost to the picture.

This is the *only* component that knows what is cheaper. Costs are counted in pixels that the network computes, so that
nothing depends on the machine.
"""

from dataclasses import dataclass

from quietscope.config.science import TilingSettings
from quietscope.models.denoiser import WINDOW, Denoiser

__all__ = ["Thrift", "thrift"]

_WORTH = 0.9
"""A cheaper picture is worth having if it takes at most this share of the work."""

_GRID = 16
"""Sides of tiles are multiples of it; see `TilingSettings.tile`."""


@dataclass(frozen=True)
class Thrift:
    """Tiles to fall back on; None where they would save next to nothing.

    Parameters
    ----------
    less_overlap
        The same tiles with half of the overlap.
    larger_tiles
        The tiles of at most a million pixels that cover a frame with the least work, without overlap: edges between
        them may show.
    """

    less_overlap: TilingSettings | None
    larger_tiles: TilingSettings | None


def thrift(denoiser: Denoiser, tiling: TilingSettings, shape: tuple[int, int]) -> Thrift:
    """Look for tiles that cost less.

    Parameters
    ----------
    denoiser
        The model as it runs at full quality.
    tiling
        Its tiles.
    shape
        (Y, X) of the frames.

    Returns
    -------
    Thrift
        Both None for a model that takes the whole frame in one pass.
    """

    def cost(changed: TilingSettings) -> int:
        return denoiser.retiled(changed).most_pixels(shape)

    full = denoiser.most_pixels(shape)
    less = _changed(tiling, overlap=tiling.overlap / 2)
    found = less if cost(less) <= _WORTH * full else None
    largest = max(denoiser.layout(shape).padded)
    sides = {-(-largest // (number * _GRID)) * _GRID for number in range(1, -(-largest // tiling.tile) + 1)}
    # one at a time: on a GPU several large tiles may not fit, and what did not fit once is never tried again
    choices = [
        _changed(tiling, tile=side, overlap=0.0, batch=1)
        for side in sorted(sides)
        if tiling.tile < side <= WINDOW**0.5
    ]
    larger = min(choices, key=cost, default=tiling)
    worth = cost(larger) <= _WORTH * (full if found is None else cost(found))
    return Thrift(found, larger if worth else None)


def _changed(tiling: TilingSettings, **changes: float) -> TilingSettings:
    return TilingSettings(**{**tiling.model_dump(), **changes})
