"""Where things lie: names of images and arrays, and the sizes of pyramid levels."""

import re
from pathlib import Path
from typing import Literal

__all__ = ["AXES", "KINDS", "Kind", "dtype_of", "image_path", "level_sizes", "positions_in"]

Kind = Literal["raw", "denoised", "trust"]
"""The images of a store; ``trust`` is there once a trust map has been stored."""

KINDS: tuple[Kind, ...] = ("raw", "denoised")
"""The images that every store has from the beginning."""

_TRUST_DTYPE = "uint8"

AXES = ("t", "c", "z", "y", "x")

_IMAGE_NAME = re.compile(r"image(_p(?P<position>\d{3,}))?\.ome\.zarr")

_SMALLEST_WORTH_HALVING = 512


def dtype_of(kind: Kind, series_dtype: str) -> str:
    """Pixel type of an image in a store of a series with pixels of `series_dtype`."""
    return _TRUST_DTYPE if kind == "trust" else series_dtype


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


def positions_in(run: Path) -> tuple[int, ...]:
    """Stage positions that have an image in the run folder, in order."""
    found = (_IMAGE_NAME.fullmatch(path.name) for path in run.iterdir())
    return tuple(sorted(int(match["position"] or 0) for match in found if match))


def level_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Sizes (Y, X) of all pyramid levels, finest first: halved while the longer side exceeds 512 pixels."""
    sizes = [(height, width)]
    while max(sizes[-1]) > _SMALLEST_WORTH_HALVING and min(sizes[-1]) > 1:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return tuple(sizes)
