"""Classical preview of a frame, shown until a model is live and always labelled as what it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.gaussian import blur
from quietscope.models.noise import clean
from quietscope.models.twins import split_diagonal

__all__ = ["PREVIEW_LABEL", "preview", "preview_sigma"]

Float32 = NDArray[np.float32]

PREVIEW_LABEL = "preview (Gaussian blur, no model yet)"
"""What a viewer writes beside a preview."""

SIGMAS = (0.7, 1.0, 1.5, 2.0, 3.0)
"""Widths to choose from, pixels."""

WINDOW = 512
"""Side of the central part of a frame that the width is chosen on, pixels."""


def preview(frame: NDArray[Any], sigma: float | None = None) -> Float32:
    """Blur a frame as much as its noise asks for.

    Parameters
    ----------
    frame
        Shape (Y, X), real dtype, grey levels.
    sigma
        Width in pixels; None chooses it by `preview_sigma`.

    Returns
    -------
    numpy.ndarray
        float32, shape (Y, X), grey levels; the mean is kept.
    """
    image = clean(frame)
    return blur(image, preview_sigma(image) if sigma is None else sigma)


def preview_sigma(frame: NDArray[Any]) -> float:
    """Choose the width whose blur of one diagonal twin predicts the other best.

    Both twins show the same thing with independent noise, so that the error of the prediction is that of the
    blur plus a constant. Where the noise is correlated the narrowest blur seems best and is taken.

    Parameters
    ----------
    frame
        Shape (Y, X), real dtype.

    Returns
    -------
    float
        One of five widths from 0.7 to 3, pixels.
    """
    height, width = frame.shape
    top, left = max(0, (height - WINDOW) // 2), max(0, (width - WINDOW) // 2)
    image = clean(frame[top : top + WINDOW, left : left + WINDOW])
    if min(image.shape) < 2:
        return SIGMAS[0]
    a, b = split_diagonal(image)
    errors = [float(np.mean(np.square(blur(a, sigma / 2) - b))) for sigma in SIGMAS]
    return SIGMAS[int(np.argmin(errors))]
