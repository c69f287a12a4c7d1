"""Self-inspired twins: two images of the same thing with independent noise, made from one noisy frame."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_diagonal"]


def split_diagonal(stack: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average the diagonals of every 2×2 block.

    Both twins have the block's centre as centroid, so that they are not shifted against each other; independent pixel noise
    of variance σ² becomes independent noise of variance σ²/2 (Qu et al., Nature Methods 21, 1895–1908, 2024).

    Parameters
    ----------
    stack
        Shape (..., Y, X), real dtype; a last odd row or column is left out.

    Returns
    -------
    A, B : numpy.ndarray
        float32, shape (..., Y // 2, X // 2): the mean of the main and of the other diagonal.
    """
    height, width = (size - size % 2 for size in stack.shape[-2:])
    values = np.asarray(stack[..., :height, :width], dtype=np.float32)
    main = values[..., ::2, ::2] + values[..., 1::2, 1::2]
    other = values[..., ::2, 1::2] + values[..., 1::2, ::2]
    half = np.float32(0.5)
    return main * half, other * half
