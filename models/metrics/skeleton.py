"""Skeletons of networks: whether a denoised network is torn into pieces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.metrics.library import skimage

__all__ = ["Skeleton", "skeleton"]


@dataclass(frozen=True)
class Skeleton:
    """Centre lines of what is brighter than a threshold.

    Parameters
    ----------
    fragments
        Separate pieces, neighbours across corners belonging together.
    length
        Length of all lines, pixels.
    """

    fragments: int
    length: float


def skeleton(image: NDArray[Any], threshold: float) -> Skeleton:
    """Thin an image to its centre lines.

    Parameters
    ----------
    image
        Shape (Y, X), real dtype, grey levels.
    threshold
        Brighter pixels are structure, grey levels: the same for an image and its reference, since intensities are on
        one scale.

    Returns
    -------
    Skeleton
        Thinned as by Zhang and Suen (1984), scikit-image's ``skeletonize``.

    Raises
    ------
    quietscope.config.ModelError
        If scikit-image is missing.
    """
    lines: NDArray[np.bool_] = skimage("morphology").skeletonize(image > threshold)
    _, fragments = skimage("measure").label(lines, connectivity=2, return_num=True)
    down, right = lines[1:] & lines[:-1], lines[:, 1:] & lines[:, :-1]
    straight = np.count_nonzero(down) + np.count_nonzero(right)
    # a step across a corner counts only where no pixel beside it leads the same way
    falling = lines[1:, 1:] & lines[:-1, :-1] & ~lines[1:, :-1] & ~lines[:-1, 1:]
    rising = lines[1:, :-1] & lines[:-1, 1:] & ~lines[1:, 1:] & ~lines[:-1, :-1]
    corners = np.count_nonzero(falling) + np.count_nonzero(rising)
    return Skeleton(int(fragments), float(straight + np.sqrt(2) * corners))
