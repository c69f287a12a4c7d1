"""Diagonal twins: two noisy views of the same picture from one frame.

The only component that understands the resampling of SN2N (Qu et al., Nature Methods 21, 1895, 2024). In
every 2x2 block ``a b / c d`` the twins are ``A = (a + d) / 2`` and ``B = (b + c) / 2``: both have their
centre in the block's centre, share no pixel, and have half the pixels' noise variance each. They differ in
signal by half the mixed second derivative, so structures finer than about 4 pixels are blurred by a network
trained on them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["split_diagonal"]


def split_diagonal(planes: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split each 2x2 block into the means of its two diagonals.

    Parameters
    ----------
    planes
        Plane (H, W) or stack (..., H, W), any real dtype, grey levels. An odd last row or column is left out.

    Returns
    -------
    tuple of ndarray
        Twins A and B, each (..., H // 2, W // 2), float32, grey levels; their pixel (i, j) lies at
        (2 i + 0.5, 2 j + 0.5) of `planes`.

    Raises
    ------
    ModelError
        If a plane is smaller than one block.

    Examples
    --------
    >>> a, b = split_diagonal(np.array([[1.0, 2.0], [3.0, 5.0]]))
    >>> a.item(), b.item()
    (3.0, 2.5)
    """
    if planes.ndim < 2 or planes.shape[-2] < 2 or planes.shape[-1] < 2:
        msg = f"twins need planes of at least 2x2 pixels, and the shape is {planes.shape}; give larger frames"
        raise ModelError(msg)
    height, width = (side // 2 * 2 for side in planes.shape[-2:])
    pixels = planes[..., :height, :width].astype(np.float32, copy=False)
    half = np.float32(0.5)
    first = half * (pixels[..., 0::2, 0::2] + pixels[..., 1::2, 1::2])
    second = half * (pixels[..., 0::2, 1::2] + pixels[..., 1::2, 0::2])
    return first, second
