"""The published network beside ours on the same frames."""

from collections.abc import Iterator
from pathlib import Path

from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.item import Absent, Item, Trial
from quietscope.daemon.evaluation.presets.preset import Preset, for_steps

__all__ = ["PUBLISHED"]

_TRAINING = 10
_EVERY = 6
_STEPS = 2_000
_RELEASED = (
    "adaptive_sn2n.normalisation=minmax",
    "adaptive_sn2n.pairs=spatial",
    "adaptive_sn2n.batch=4",
    "tiling.tile=64",
    "tiling.overlap=0.5",
    "tiling.batch=1",
    "tiling.adaptive=false",
)


def _make(data: Path | None, _: int) -> Iterator[Item]:
    found = FMD(data).captures()
    if found is None or len(found[0]) <= _TRAINING:
        yield Absent("fmd_50captures is not in the data folder: set QUIETSCOPE_DATA or --data to it")
        return
    frames, reference = found
    later = frames[_TRAINING::_EVERY]
    case = Case("FMD confocal", frames[:_TRAINING], later, [reference] * len(later), costs=True)
    yield Trial(case, Contender("noisy", "noisy"))
    yield Trial(case, Contender("ours", "adaptive-sn2n", for_steps(300)))
    same_pairs = ("adaptive_sn2n.pairs=spatial", *for_steps(300))
    yield Trial(case, Contender("ours, the same pairs", "adaptive-sn2n", same_pairs))
    released = Contender("published, patch-wise", "published-sn2n", (*_RELEASED, *for_steps(_STEPS)))
    yield Trial(case, released)


PUBLISHED = {
    "published": Preset(
        "The default network after 300 steps of 16 patches, and the published one (17.27 million weights) after "
        "2,000 steps of 4 patches of 64×64: scaled from the smallest to the largest value of each patch, in tiles of 64"
        " with 50 % overlap one by one, but with the scale taken back and the line that makes intensities true. The "
        "papers train it on a GPU for hours: here its training is cut short. Both learn from 10 captures of a confocal "
        "field; every sixth of the others is scored.",
        _make,
    )
}
"""Name → preset."""
