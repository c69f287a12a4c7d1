"""Phase split: a frame with correlated noise as k×k interleaved frames whose noise is independent.

Every k-th pixel of every k-th row makes one phase; pixels that are k apart share no noise if the correlation ends
before. A network trained on twins of the phases denoises each of them, and the phases are put together again. What
the phases do not share, a 3×3 mean takes away.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["phase_count", "split_phases"]

_FREE = 0.15
"""Largest correlation of the noise between pixels that count as independent."""

_MOST = 4
"""Largest k: what lies between pixels further apart is no longer seen."""


def phase_count(lag_correlations: Sequence[float]) -> int | None:
    """Find the least k such that pixels k or more apart share no noise.

    Parameters
    ----------
    lag_correlations
        Correlation of the noise between pixels 1, 2, 3, … apart.

    Returns
    -------
    int or None
        2 to 4, or None where no k will do (reconstructions, whose noise correlates over long distances).
    """
    if min(lag_correlations) < -_FREE:  # it rings, and goes on beyond what was measured
        return None
    for k in range(2, _MOST + 1):
        if all(abs(value) <= _FREE for value in lag_correlations[k - 1 :]):
            return k
    return None


def split_phases(frame: NDArray[Any], k: int) -> list[NDArray[Any]]:
    """Cut a frame into its k×k phases.

    Parameters
    ----------
    frame
        Shape (Y, X).
    k
        Distance of the pixels of a phase.

    Returns
    -------
    list of numpy.ndarray
        k² frames (Y // k, X // k) of the dtype of `frame`; what is left over at the far edges is dropped.
    """
    rows, columns = frame.shape[0] // k, frame.shape[1] // k
    return [
        np.ascontiguousarray(frame[i : rows * k : k, j : columns * k : k]) for i in range(k) for j in range(k)
    ]
