"""What is compared: images to denoise, with everything that is known about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["Case"]


@dataclass(frozen=True, eq=False)
class Case:
    """Frames of one channel: those to learn from and those to score.

    Parameters
    ----------
    name
        For the table's first column.
    training
        Frames that methods learn from, each (Y, X), in time order.
    frames
        Frames that are scored.
    references
        Truth of each of `frames`; none where it is not known.
    empty
        True where there is nothing but background, bool, shape (Y, X); none where it is not known.
    dark
        Grey level without light.
    network
        Whether the specimen is a network, whose skeleton says something.
    static
        Whether `frames` are independent captures of one motionless scene.
    groups
        Groups of cases over which means are taken.
    zero_shot
        Whether the frames that are scored are those that were learnt from, as in the papers.
    costs
        Measure the work and the memory of training too.
    """

    name: str
    training: Sequence[NDArray[Any]]
    frames: Sequence[NDArray[Any]]
    references: Sequence[NDArray[Any]] | None = None
    empty: NDArray[Any] | None = None
    dark: float = 0.0
    network: bool = False
    static: bool = False
    groups: tuple[str, ...] = ()
    zero_shot: bool = False
    costs: bool = False
