"""What to do when somebody brings images of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config import RunError
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.gathering import gather
from quietscope.daemon.evaluation.item import Item, Trial

__all__ = ["OwnImages"]

Images = list[NDArray[Any]]


@dataclass(frozen=True)
class OwnImages:
    """Image files, folders or runs, with what is known of them.

    Parameters
    ----------
    sources
        What to denoise: each is a series, or with `each` a set of single images.
    references
        Truth for each of `sources`, or none at all: one image for every frame, or one for all.
    empty
        Image that is not 0 where frames hold only background; none where it is not known.
    each
        Learn from every image alone.
    static
        The frames of a source are independent captures of one motionless scene.
    network
        The specimen is a network.
    training
        Frames to learn from; further ones are scored, or the same where there are no more.
    most
        Frames to score.
    """

    sources: Sequence[Path]
    references: Sequence[Path]
    empty: Path | None
    each: bool
    static: bool
    network: bool
    training: int
    most: int

    def items(self, contenders: Sequence[Contender]) -> Iterator[Item]:
        """Every case with every contender.

        Raises
        ------
        quietscope.config.RunError
            If images and references do not go together.
        """
        if self.references and len(self.references) != len(self.sources):
            msg = (
                f"there are {len(self.sources)} sources and {len(self.references)} references; give --reference once "
                "for each source, in the same order"
            )
            raise RunError(msg)
        for index, source in enumerate(self.sources):
            truth = self.references[index] if self.references else None
            for case in self._cases(source, truth):
                for contender in contenders:
                    yield Trial(case, contender)

    def _cases(self, source: Path, reference: Path | None) -> Iterator[Case]:
        most = self.most if self.each else self.training + self.most
        channels = gather(source, most)
        truths = {} if reference is None else gather(reference, most)
        empty = None if self.empty is None else next(iter(gather(self.empty, 1).values()))[0] != 0
        for number, (channel, frames) in enumerate(channels.items()):
            title = source.name if len(channels) == 1 else f"{source.name}, {channel}"
            known = list(truths.values())
            truth = _matched(frames, known[min(number, len(known) - 1)], reference) if reference else None
            if empty is not None and empty.shape != frames[0].shape:
                msg = f"{self.empty} is {empty.shape}, and frames of {source} {frames[0].shape}; give a mask of a frame"
                raise RunError(msg)
            base = Case(title, frames, frames, truth, empty, network=self.network, groups=(title,))
            if self.each:
                yield from _single(base)
            else:
                yield self._series(base)

    def _series(self, base: Case) -> Case:
        """The first frames to learn from, the others to score; all for both if there are no others."""
        count = self.training if len(base.frames) > self.training else 0
        return replace(
            base,
            training=base.frames[: self.training],
            frames=base.frames[count:],
            references=None if base.references is None else base.references[count:],
            static=self.static,
            groups=(),
            zero_shot=count == 0,
        )


def _single(base: Case) -> Iterator[Case]:
    for number, frame in enumerate(base.frames):
        truth = None if base.references is None else base.references[number : number + 1]
        yield replace(
            base,
            name=f"{base.name}, image {number + 1}",
            training=[frame],
            frames=[frame],
            references=truth,
            zero_shot=True,
        )


def _matched(frames: Images, truths: Images, path: Path | None) -> Images:
    if len(truths) == 1:
        truths = truths * len(frames)
    if len(truths) < len(frames) or truths[0].shape != frames[0].shape:
        msg = (
            f"{path} holds {len(truths)} images of {truths[0].shape} for {len(frames)} of {frames[0].shape}; give one "
            "reference for all, or one for each in the same order and of the same size"
        )
        raise RunError(msg)
    # a truth of another integer type would round what is compared with it
    exact = any(np.dtype(truth.dtype).itemsize > frames[0].dtype.itemsize for truth in truths)
    return [truth.astype(np.float32) for truth in truths] if exact else truths
