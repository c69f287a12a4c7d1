"""Where things lie: names of images and arrays, and the sizes of pyramid levels."""

from pathlib import Path
from typing import Literal

__all__ = ["AXES", "KINDS", "Kind", "image_path", "level_sizes"]

Kind = Literal["raw", "denoised"]
"""The two images of a store."""

KINDS: tuple[Kind, ...] = ("raw", "denoised")

AXES = ("t", "c", "z", "y", "x")

_SMALLEST_WORTH_HALVING = 512


def image_path(run: Path, position: int = 0) -> Path:
    """Folder of the image of one position.

    Parameters
    ----------
    run
        The run folder.
    position
        Stage position, from 0.

    Returns
    -------
    Path
        ``image.ome.zarr`` for position 0, ``image_p001.ome.zarr`` and so on for others.
    """
    return run / ("image.ome.zarr" if position == 0 else f"image_p{position:03d}.ome.zarr")


def level_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Sizes (Y, X) of all pyramid levels, finest first: halved while the longer side exceeds 512 pixels."""
    sizes = [(height, width)]
    while max(sizes[-1]) > _SMALLEST_WORTH_HALVING and min(sizes[-1]) > 1:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return tuple(sizes)
