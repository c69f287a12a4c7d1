"""What the gate compares: an input, and a second view of the same thing whose noise is independent.

*Thinned*: the photo-electrons of a frame dealt out, where they can be counted. *Spatial*: the network denoises one
diagonal twin, interpolated to the frame's grid, and is compared with the other. *Temporal*: frame t is denoised and
compared with frame t + 1, and the reverse, where noise is correlated between neighbours: both twins of a frame
share it then, and copying it would look like success. *Phase*: twins within interleaved phases, where correlated
noise ends within a few pixels and there is one frame only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quietscope.models.calibration import Calibration
from quietscope.models.hot_pixels import repair
from quietscope.models.interpolation import upsample2
from quietscope.models.noise import clean
from quietscope.models.phases import phase_count, split_phases
from quietscope.models.thinning import MARGIN as THINNING_MARGIN
from quietscope.models.thinning import Thinning
from quietscope.models.twins import split_diagonal

__all__ = ["PAIR_WORDS", "Kind", "Pair", "choose_kind", "make_pairs"]

Kind = Literal["thinned", "spatial", "temporal", "phase"]

PAIR_WORDS: Mapping[str, str] = {
    "thinned": "two images into which the photons of a frame were dealt",
    "spatial": "neighbouring pixels of the same frame",
    "temporal": "consecutive frames",
    "phase": "pixels of the same frame that lie apart",
}
"""What is compared, for people."""

Float32 = NDArray[np.float32]

Pair = tuple[Float32, Callable[[Float32], list[Float32]], list[Float32]]
"""Input (Y, X), how to bring a prediction onto the targets' grids, and the targets."""

SHARE = 0.8
"""Share of the photo-electrons that a thinned input keeps: nearly a raw frame."""


def choose_kind(calibration: Calibration, times: Sequence[int], limit: float) -> Kind:
    """Choose what proves something for these frames.

    Parameters
    ----------
    calibration
        What the frames say about the noise.
    times
        Time index of each frame.
    limit
        Twin correlation above which twins of single frames prove nothing.
    """
    if not calibration.is_correlated(limit):
        return "spatial" if calibration.doubts else "thinned"
    consecutive = any(later - earlier == 1 for earlier, later in pairwise(times))
    if not consecutive and phase_count(calibration.lag_correlations) is not None:
        return "phase"
    return "temporal"


def make_pairs(
    kind: Kind,
    frames: Sequence[NDArray[Any]],
    times: Sequence[int],
    hot: NDArray[np.bool_],
    calibration: Calibration,
    *,
    seed: int,
) -> Iterator[Pair]:
    """Give the pairs of a kind.

    Parameters
    ----------
    kind
        As chosen by `choose_kind`.
    frames
        Frames (Y, X) of one channel in time order.
    times
        Time index of each frame.
    hot
        (Y, X), True at hot pixels, which are bridged.
    calibration
        What the frames say about the noise.
    seed
        Seed of the chance by which photo-electrons are dealt out.
    """
    images = [repair(clean(frame), hot) for frame in frames]
    if kind == "temporal":
        yield from _temporal(images, times)
    elif kind == "thinned":
        yield from _thinned(images, Thinning.of(calibration), np.random.default_rng(seed))
    elif kind == "phase":
        yield from _phased(images, phase_count(calibration.lag_correlations) or 2)
    else:
        yield from _phased(images, 1)


def _temporal(images: Sequence[Float32], times: Sequence[int]) -> Iterator[Pair]:
    for (first, earlier), (second, later) in pairwise(zip(images, times, strict=True)):
        if later - earlier == 1:
            yield first, _as_it_is, [second]
            yield second, _as_it_is, [first]


def _thinned(images: Sequence[Float32], thinning: Thinning, rng: np.random.Generator) -> Iterator[Pair]:
    share = np.full((1, 1, 1), SHARE, np.float32)
    for image in images:
        padded = np.pad(image, THINNING_MARGIN, mode="symmetric")
        first, second = thinning.split(padded[None], share, rng)
        yield first[0], _as_it_is, [second[0]]


def _phased(images: Sequence[Float32], k: int) -> Iterator[Pair]:
    """Diagonal twins of the k×k phases; of the frame itself for k = 1."""
    for image in images:
        rows, columns = (side // (2 * k) * k for side in image.shape)
        if min(rows, columns) < 1:
            continue
        whole = image[: 2 * rows, : 2 * columns]
        twins = [split_diagonal(phase) for phase in split_phases(whole, k)]
        for own in (0, 1):
            joined = image.copy()  # what is left over at the far edges stays as it is and is not compared
            part = joined[: 2 * rows, : 2 * columns]
            for number, twin in enumerate(twins):
                part[number // k :: k, number % k :: k] = upsample2(twin[own])
            targets = [twin[1 - own] for twin in twins]
            yield joined, _Onto(k, 1 - own), targets


class _Onto:
    """Brings a prediction onto the grid of one diagonal twin of each phase."""

    def __init__(self, k: int, twin: int) -> None:
        self._k = k
        self._twin = twin

    def __call__(self, image: Float32) -> list[Float32]:
        return [split_diagonal(phase)[self._twin] for phase in split_phases(image, self._k)]


def _as_it_is(image: Float32) -> list[Float32]:
    return [image]
