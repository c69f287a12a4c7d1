"""What is left, or was invented, where there is nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.metrics.library import skimage

__all__ = ["EmptyArea", "empty_area"]

_BRIGHT = 99.9


@dataclass(frozen=True)
class EmptyArea:
    """Three measures of an area that is known to be empty.

    Parameters
    ----------
    residue_std
        Standard deviation there over the signal's amplitude.
    residue_max
        Largest distance from the truth there over the signal's amplitude.
    otsu_share
        Share of it that Otsu's threshold of the whole image calls foreground, 0–1.
    """

    residue_std: float
    residue_max: float
    otsu_share: float


def empty_area(reference: NDArray[Any], image: NDArray[Any], empty: NDArray[np.bool_]) -> EmptyArea:
    """Measure what an image shows where its reference holds only background.

    Parameters
    ----------
    reference, image
        Shape (Y, X), real dtypes, grey levels.
    empty
        True where there is only background, bool, shape (Y, X).

    Returns
    -------
    EmptyArea
        The amplitude is the 99.9th percentile of the reference minus its mean in the empty area.

    Raises
    ------
    quietscope.config.ModelError
        If the shapes differ, nothing is empty, nothing is brighter than the background, or scikit-image is missing.
    """
    if not (reference.shape == image.shape == empty.shape):
        msg = (
            f"empty area: reference {reference.shape}, image {image.shape} and mask {empty.shape} differ; give the "
            "three of one frame"
        )
        raise ModelError(msg)
    if not empty.any():
        raise ModelError(
            "empty area: the mask marks no pixel; give a frame with background around the specimen"
        )
    amplitude = float(np.percentile(reference, _BRIGHT)) - float(np.mean(reference[empty], dtype=np.float64))
    if amplitude <= 0:
        raise ModelError(
            "empty area: the reference has no signal above the background; give a frame that has"
        )
    residue = image[empty].astype(np.float64) - reference[empty]
    foreground = image[empty] > skimage("filters").threshold_otsu(image)
    return EmptyArea(
        residue_std=float(residue.std()) / amplitude,
        residue_max=float(np.abs(residue).max()) / amplitude,
        otsu_share=float(np.mean(foreground)),
    )
