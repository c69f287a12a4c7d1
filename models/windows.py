"""Windows: how one pass over a frame is cut so that memory stays bounded and hardly anything is computed twice.

Where one scale holds for the whole frame, tiles need no blending: neighbouring windows overlap by no more than the
network looks around, each gives the part that it computes exactly as the whole frame would, and the parts are put side
by side. Windows are of equal size, so that a runtime prepares for one shape, and start at multiples of the network's
stride, so that they share the pooling grid.

>>> layout = cover((544, 544), reach=28, stride=4, most=400 * 544)
>>> layout.count, layout.side
(2, (300, 544))
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from quietscope.config.errors import ModelError

__all__ = ["Part", "WindowPlan", "cover"]

Part = tuple[slice, slice]
"""Rows and columns of a part of a frame."""


@dataclass(frozen=True)
class WindowPlan:
    """Layout of the windows of frames of one shape.

    Parameters
    ----------
    side
        Shape (h, w) of every window.
    tops, lefts
        First row and column of each row and column of windows.
    rows, columns
        Bounds of the parts that the windows give, from 0 to the frame's length: one more than `tops` and `lefts`.
    """

    side: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.tops) * len(self.lefts)

    @property
    def pixels(self) -> int:
        """Pixels that the network computes for a frame."""
        return self.count * self.side[0] * self.side[1]

    def parts(self) -> Iterator[tuple[Part, Part, Part]]:
        """For each window: its place in the frame, the place of its part in the frame, and in the window."""
        for top, first_row, end_row in zip(self.tops, self.rows, self.rows[1:], strict=False):
            for left, first, end in zip(self.lefts, self.columns, self.columns[1:], strict=False):
                yield (
                    (slice(top, top + self.side[0]), slice(left, left + self.side[1])),
                    (slice(first_row, end_row), slice(first, end)),
                    (slice(first_row - top, end_row - top), slice(first - left, end - left)),
                )


@lru_cache(maxsize=16)
def cover(shape: tuple[int, int], *, reach: int, stride: int, most: int) -> WindowPlan:
    """Lay windows over frames of one shape, as few pixels in all as `most` allows; cached.

    Parameters
    ----------
    shape
        Padded frame shape (Y, X), both multiples of `stride`.
    reach
        Pixels by which the output at a pixel looks around.
    stride
        Sizes must be multiples of it for the network.
    most
        Most pixels of a window; where the reach alone takes more, windows get larger.

    Returns
    -------
    WindowPlan

    Raises
    ------
    quietscope.config.ModelError
        If a value is impossible.
    """
    if stride < 1 or reach < 0 or most < 1 or any(length < 1 or length % stride for length in shape):
        raise ModelError(
            f"a frame of {shape} cannot be covered with stride {stride}, reach {reach} and windows of {most} pixels; "
            "the shape must consist of multiples of the stride"
        )
    halo = -(-reach // stride) * stride
    axes = [[_side(length, number, halo, stride) for number in _numbers(length, halo)] for length in shape]
    choices = [
        (h * i * w * j, i * j, i, j)
        for i, h in enumerate(axes[0], 1)
        for j, w in enumerate(axes[1], 1)
        if h * w <= most
    ]
    _, _, down, across = min(choices) if choices else (0, 0, len(axes[0]), len(axes[1]))
    (h, tops, rows), (w, lefts, columns) = (
        _axis(length, number, halo, stride) for length, number in zip(shape, (down, across), strict=True)
    )
    return WindowPlan((h, w), tops, lefts, rows, columns)


def _numbers(length: int, halo: int) -> range:
    """Numbers of windows along an axis that are worth a look: parts at least as long as what surrounds them."""
    return range(1, max(1, length // max(64, 4 * halo)) + 1)


def _side(length: int, number: int, halo: int, stride: int) -> int:
    """Length of `number` equal windows that overlap by two halos or more."""
    return min(length, -(-(length + (number - 1) * 2 * halo) // (number * stride)) * stride)


def _axis(length: int, number: int, halo: int, stride: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Window length, starts and the bounds of the parts along one axis."""
    side = _side(length, number, halo, stride)
    room = (length - side) // stride
    starts = tuple(stride * (room * index // (number - 1)) for index in range(number)) if number > 1 else (0,)
    return side, starts, (0, *(start + halo for start in starts[1:]), length)
