"""How like its reference an image is, in grey levels: nothing is rescaled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.metrics.library import skimage
from quietscope.models.quality import psnr

__all__ = ["Similarity", "similarity"]

_WINDOW = 7
"""Side of scikit-image's default window for SSIM, pixels."""


@dataclass(frozen=True)
class Similarity:
    """Four measures of one image.

    Parameters
    ----------
    psnr
        Peak signal-to-noise ratio, decibels.
    ssim
        Structural similarity (Wang et al. 2004), scikit-image's defaults; nan for images under 7 pixels.
    nrmse
        Root mean squared error over the standard deviation of the reference; nan where that does not vary.
    pearson
        Correlation coefficient; nan where either does not vary.
    """

    psnr: float
    ssim: float
    nrmse: float
    pearson: float


def similarity(reference: NDArray[Any], image: NDArray[Any], data_range: float) -> Similarity:
    """Compare an image with its reference.

    Parameters
    ----------
    reference, image
        Shape (Y, X), real dtypes, grey levels.
    data_range
        Range of the reference, grey levels, > 0: 255 for uint8, else max − min of the truth.

    Returns
    -------
    Similarity

    Raises
    ------
    quietscope.config.ModelError
        If the shapes differ, the range is not > 0, or scikit-image is missing.
    """
    ratio = psnr(reference, image, data_range)
    truth, found = reference.astype(np.float64), image.astype(np.float64)
    ssim = float("nan")
    if min(truth.shape) >= _WINDOW:
        ssim = float(skimage("metrics").structural_similarity(truth, found, data_range=data_range))
    std, other = float(truth.std()), float(found.std())
    error = float(np.sqrt(np.mean((found - truth) ** 2)))
    covariance = float(np.mean((truth - truth.mean()) * (found - found.mean())))
    return Similarity(
        psnr=ratio,
        ssim=ssim,
        nrmse=error / std if std > 0 else float("nan"),
        pearson=covariance / (std * other) if std > 0 and other > 0 else float("nan"),
    )
