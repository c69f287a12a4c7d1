"""Flicker: whether a scene that holds still holds its brightness."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["flicker"]


def flicker(frames: Sequence[NDArray[Any]], dark: float = 0.0) -> float:
    """Largest distance of a frame's mean from the mean of all, as a share of it.

    Parameters
    ----------
    frames
        At least two frames of a static series, shape (Y, X) each, real dtypes, grey levels.
    dark
        Grey level without any light: what the camera adds would hide the flicker of the rest.

    Returns
    -------
    float
        0.005 means that frame means are within 0.5 %; nan where the mean of all is not above `dark`.

    Raises
    ------
    quietscope.config.ModelError
        If there are fewer than two frames.
    """
    if len(frames) < 2:
        raise ModelError(f"flicker: {len(frames)} frames; give at least two of a static series")
    means = np.array([np.mean(frame, dtype=np.float64) for frame in frames]) - dark
    middle = float(means.mean())
    return float(np.abs(means / middle - 1).max()) if middle > 0 else float("nan")
