"""How channels look in napari."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from quietscope.adapters.frame import Pixels

__all__ = ["DOUBTS", "colormap", "limits"]

DOUBTS: Mapping[str, Any] = {"name": "doubts", "colors": [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]}
"""Colours of a trust map: doubts shine red, what agrees with the raw frame adds nothing."""


def colormap(colour: str) -> str:
    """What napari calls the colours from black to `colour`, six hexadecimal digits."""
    return "gray" if colour.upper() == "FFFFFF" else f"#{colour.lower()}"


def limits(pixels: Pixels) -> tuple[float, float]:
    """Grey levels to begin with: 0.1 % to 99.9 % of the finite pixels of a frame, shape (Y, X)."""
    finite = pixels[::2, ::2][np.isfinite(pixels[::2, ::2])]
    low, high = (float(v) for v in np.percentile(finite, (0.1, 99.9))) if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0
