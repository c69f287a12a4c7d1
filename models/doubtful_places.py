"""Where a frame is doubtful: from scores of windows to boxes in pixels, words, and a map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.models.residual import CELL
from quietscope.models.risk import Risk

__all__ = ["Place", "doubtful_places", "pixel_map"]

MOST = 20
"""Most places that are told apart; a frame with more is doubtful as a whole."""

_WHERE = {
    Risk.HIGH_BACKGROUND: "empty background",
    Risk.HIGH_SPARSE: "sparse signal",
    Risk.LOW: "the specimen",
}

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """A doubtful place.

    Parameters
    ----------
    top, left, bottom, right
        Box in pixels, the last row and column not included.
    score
        Largest deviation in it, in units of what chance allows.
    words
        What is doubtful, and where.
    """

    top: int
    left: int
    bottom: int
    right: int
    score: float
    words: str


def doubtful_places(
    scores: Float32, risk: NDArray[np.uint8], patch: int, shape: tuple[int, int]
) -> tuple[Place, ...]:
    """Find connected doubtful windows.

    Parameters
    ----------
    scores
        Signed deviations of local mean, variance and correlation in units of what chance allows, shape
        (3, rows, columns), of windows of 2×2 cells.
    risk
        Values of `quietscope.models.risk.Risk` of patches.
    patch
        Side of the patches, pixels.
    shape
        Of the frame, (Y, X).

    Returns
    -------
    tuple of Place
        At most `MOST`, the most doubtful first.
    """
    worst = np.abs(scores).max(axis=0)
    if worst.max() <= 1:
        return ()
    left = worst.copy()
    places: list[Place] = []
    while len(places) < MOST and left.max() > 1:
        row, column = (int(n) for n in np.unravel_index(int(left.argmax()), left.shape))
        rows, columns = _grown(worst > 1, row, column)
        left[rows, columns] = 0
        box = _cells(worst, rows, columns)
        top, first = (CELL * part.start for part in box)
        bottom, last = (min(CELL * part.stop, side) for part, side in zip(box, shape, strict=True))
        height, width = risk.shape
        kind = Risk(
            int(
                risk[min(CELL * (row + 1) // patch, height - 1), min(CELL * (column + 1) // patch, width - 1)]
            )
        )
        where = f"{_WHERE[kind]} at x {first}–{last}, y {top}–{bottom}"
        places.append(
            Place(top, first, bottom, last, float(worst[row, column]), _what(scores[:, row, column], where))
        )
    return tuple(places)


def pixel_map(worst: Float32, judged: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Trust of every pixel.

    Parameters
    ----------
    worst
        Largest deviation of each window in units of what chance allows, (rows, columns).
    judged
        Windows that hold enough pixels; where none does, nothing is said against a pixel.
    shape
        Of the frame, (Y, X).

    Returns
    -------
    numpy.ndarray
        uint8, shape (Y, X); constant over cells. 255 for no deviation, 0 for more than chance allows.
    """
    cells = _cell_scores(np.where(judged, worst, 0))
    for row, column in np.argwhere(worst > 1):
        # the smallest of overlapping windows finds the spot, but one window alone must show as well
        block = cells[row : row + 2, column : column + 2]
        if block.max() <= 1:
            block[np.unravel_index(int(block.argmax()), block.shape)] = worst[row, column]
    trust = np.rint(255 * (1 - np.minimum(cells, 1))).astype(np.uint8)
    return np.ascontiguousarray(trust.repeat(CELL, axis=0).repeat(CELL, axis=1)[: shape[0], : shape[1]])


def _cell_scores(worst: Float32) -> Float32:
    """Smallest score of the windows that a cell lies in: a deviation shows in all windows around it."""
    padded = np.pad(worst, 1, constant_values=np.inf)
    rows = np.minimum(padded[:-1], padded[1:])
    return np.minimum(rows[:, :-1], rows[:, 1:])


def _grown(doubtful: NDArray[np.bool_], row: int, column: int) -> tuple[slice, slice]:
    """Smallest box of windows around one with no doubtful window beside it."""
    top, bottom, left, right = row, row + 1, column, column + 1
    while True:
        around = doubtful[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
        rows, columns = np.nonzero(around)
        found = (
            max(top - 1, 0) + int(rows.min()),
            max(top - 1, 0) + int(rows.max()) + 1,
            max(left - 1, 0) + int(columns.min()),
            max(left - 1, 0) + int(columns.max()) + 1,
        )
        if found == (top, bottom, left, right):
            return slice(top, bottom), slice(left, right)
        top, bottom, left, right = found


def _cells(worst: Float32, rows: slice, columns: slice) -> tuple[slice, slice]:
    """Cells that the doubt of a box of windows comes from."""
    cells = _cell_scores(worst)[rows.start : rows.stop + 1, columns.start : columns.stop + 1]
    found = np.argwhere(cells > 1)
    if found.size == 0:
        found = np.argwhere(cells == cells.max())[:1]
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
    return (
        slice(rows.start + int(top), rows.start + int(bottom)),
        slice(columns.start + int(left), columns.start + int(right)),
    )


def _what(scores: Float32, where: str) -> str:
    """What is wrong at a place, from the signs of its scores."""
    mean, variance, correlation = (float(score) for score in scores)
    if abs(mean) > 1 or abs(mean) >= max(abs(variance), abs(correlation)):
        return f"signal was removed from {where}" if mean > 0 else f"structure was added in {where}"
    if max(variance, correlation) > 1:
        return f"fine structure was changed in {where}"
    return f"noise was left in {where}"
