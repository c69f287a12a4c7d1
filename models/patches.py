"""Training frames, ready to be cut into patches: padded, free of hot pixels, normalised, a part held out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.normalisation import Normaliser

__all__ = ["HELD_OUT_FROM", "MARGIN", "FrameStack", "Places", "turn"]

HELD_OUT_FROM = 3
"""Fewest frames of which a part is held out: of a single frame it would be a quarter of all there is to learn from."""

MARGIN = 16
"""Pixels around a patch that its interpolation may look at."""


@dataclass(frozen=True)
class Places:
    """Where patches are cut.

    Parameters
    ----------
    frames, tops, lefts
        Index of the frame and upper left corner of each patch, pixels, shape (n,) each.
    """

    frames: NDArray[np.intp]
    tops: NDArray[np.intp]
    lefts: NDArray[np.intp]


class FrameStack:
    """The training frames of one channel.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, finite, native dtype, grey levels.
    normaliser
        Gives each patch its offset and scale.
    patch
        Side of the patches, pixels; made smaller where the frames are.
    multiple
        The side is a multiple of this.
    together
        Whether all frames hold out the same rows (pairs of frames show the same place) or each its own.
    hold_out
        Whether a part of the frames is never trained on; by default if there are at least `HELD_OUT_FROM`.

    Attributes
    ----------
    holds_out
        Whether it is so.

    Notes
    -----
    Each frame holds out a band of rows as high as a patch. In frames too low for that, the last frame is held
    out, and of a single low frame everything serves both ends.
    """

    def __init__(
        self,
        frames: Sequence[NDArray[Any]],
        normaliser: Normaliser,
        *,
        patch: int,
        multiple: int,
        together: bool,
        hold_out: bool | None = None,
    ) -> None:
        self.shape: tuple[int, int] = frames[0].shape[0], frames[0].shape[1]
        self.count = len(frames)
        multiple = max(2, multiple)
        self.patch = max(multiple, min(patch, *(side // multiple * multiple for side in self.shape)))
        self.normaliser = normaliser
        hot = find_hot_pixels(frames)
        self.hot_pixels = int(hot.sum())
        # frames smaller than a patch are continued by reflection; every patch has a margin besides
        grow = [(MARGIN, MARGIN + max(0, self.patch - side)) for side in self.shape]
        self._raw = np.stack(
            [np.pad(np.asarray(f, dtype=np.float32), grow, mode="symmetric") for f in frames]
        )
        self._repaired = self._raw
        if self.hot_pixels:
            self._repaired = np.stack([np.pad(repair(f, hot), grow, mode="symmetric") for f in frames])
        self._total: NDArray[np.float32] | None = None
        # rules that look at the whole frame are asked once per frame, not once per patch
        self._frame_scales = [normaliser.parameters(f[None, :1, :1], f) for f in frames]
        self.holds_out = self.count >= HELD_OUT_FROM if hold_out is None else hold_out
        self._training, self._held_out = self._split(together=together, hold_out=self.holds_out)

    def _split(
        self, *, together: bool, hold_out: bool
    ) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """Return the ranges (frame, first, last) of the patches' upper edges, to train on and held out."""
        lowest = max(0, self.shape[0] - self.patch)
        whole = [(index, 0, lowest) for index in range(self.count)]
        if not hold_out:
            return whole, whole
        if self.shape[0] < 4 * self.patch:
            return (whole[:-1], whole[-1:]) if self.count > 1 else (whole, whole)
        training, held_out = [], []
        for index in range(self.count):
            # steps of the golden ratio: each frame holds out another part of the scene
            top = int(lowest * (0.4 if together else (0.4 + index * 0.618034) % 1))
            held_out.append((index, top, top))
            parts = [(index, 0, top - self.patch), (index, top + self.patch, lowest)]
            training += [part for part in parts if part[2] >= part[1]]
        return training, held_out

    def random_places(self, count: int, rng: np.random.Generator) -> Places:
        """Draw places to train on, every one as likely as any other."""
        parts = np.array(self._training)
        sizes = parts[:, 2] - parts[:, 1] + 1
        chosen = parts[rng.choice(len(parts), size=count, p=sizes / sizes.sum())]
        tops = rng.integers(chosen[:, 1], chosen[:, 2] + 1)
        lefts = rng.integers(0, max(1, self.shape[1] - self.patch + 1), size=count)
        return Places(chosen[:, 0].astype(np.intp), tops.astype(np.intp), lefts.astype(np.intp))

    def held_out_places(self, most: int = 64) -> Places:
        """Return at most `most` places held out, side by side, spread over all frames."""
        widest = max(0, self.shape[1] - self.patch)
        grid = [
            (frame, top, left)
            for frame, first, last in self._held_out
            for top in range(first, last + 1, self.patch)
            for left in range(0, widest + 1, self.patch)
        ]
        chosen = np.array(grid)[np.unique(np.linspace(0, len(grid) - 1, min(most, len(grid))).astype(int))]
        return Places(*(column.astype(np.intp) for column in chosen.T))

    def cut(self, places: Places, *, repaired: bool, margin: int = 0) -> NDArray[np.float32]:
        """Cut patches (n, P + 2 margin, P + 2 margin) in grey levels, with or without hot pixels."""
        source = self._repaired if repaired else self._raw
        return np.stack([source[i][window] for i, window in self._windows(places, margin)])

    def cut_sum(self, places: Places) -> NDArray[np.float32]:
        """Cut patches (n, P, P) from the sum of all frames, without hot pixels."""
        if self._total is None:
            self._total = self._repaired.sum(axis=0, dtype=np.float32)
        total = self._total
        return np.stack([total[window] for _, window in self._windows(places, 0)])

    def _windows(self, places: Places, margin: int) -> Iterator[tuple[int, tuple[slice, slice]]]:
        side = self.patch + 2 * margin
        for i, top, left in zip(places.frames, places.tops, places.lefts, strict=True):
            upper, first = int(top) + MARGIN - margin, int(left) + MARGIN - margin
            yield int(i), (slice(upper, upper + side), slice(first, first + side))

    def scales(self, places: Places) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Offset and scale of each patch, shape (n, 1, 1) each, for the patch and both its twins."""
        if self.normaliser.patch_wise:
            offset, scale = self.normaliser.parameters(self.cut(places, repaired=True))
        else:
            offset, scale = (np.concatenate(column) for column in zip(*self._scales_of(places), strict=True))
        return offset[:, None, None], scale[:, None, None]

    def _scales_of(self, places: Places) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        return [self._frame_scales[index] for index in places.frames]


def turn(patches: NDArray[np.float32], orientations: NDArray[np.intp]) -> NDArray[np.float32]:
    """Turn square patches (n, P, P), each into one of the 8 orientations 0-7."""
    turned = np.empty_like(patches)
    for index, orientation in enumerate(orientations):
        view = np.rot90(patches[index], int(orientation) % 4)
        turned[index] = view[:, ::-1] if orientation >= 4 else view
    return turned
