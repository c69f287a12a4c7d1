"""How much time and how many frames a model needs, and which network makes the most of them."""

from collections.abc import Iterator
from pathlib import Path

from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.item import Absent, Item, Trial
from quietscope.daemon.evaluation.presets.preset import Preset, for_seconds, for_steps
from quietscope.daemon.evaluation.simulated import simulated_case

__all__ = ["FEW_FRAMES"]

_SECONDS = (5, 10, 20, 40, 80, 160)
_FRAMES = (1, 2, 5, 10, 20)
_LATER = 20
_NETWORKS = {
    "no stem": ("adaptive_sn2n.stem=1",),
    "no filter": ("adaptive_sn2n.residual=pixel",),
    "no stem, no filter": ("adaptive_sn2n.stem=1", "adaptive_sn2n.residual=pixel"),
    "base 8": ("adaptive_sn2n.base_channels=8",),
    "base 32": ("adaptive_sn2n.base_channels=32",),
    "2 levels": ("adaptive_sn2n.levels=2",),
    "2 levels, base 32": ("adaptive_sn2n.levels=2", "adaptive_sn2n.base_channels=32"),
    "4 levels": ("adaptive_sn2n.levels=4",),
    "learning rate halved": ("adaptive_sn2n.learning_rate=0.001",),
    "learning rate doubled": ("adaptive_sn2n.learning_rate=0.004",),
    "batch 8": ("adaptive_sn2n.batch=8",),
}


def _make(data: Path | None, _: int) -> Iterator[Item]:
    case = _field(data)
    if case is None:
        yield Absent("fmd_50captures is not in the data folder: simulated mitochondria at 20 photons instead")
        case = simulated_case(
            "mitochondria, 20 photons", SimulatorSettings(channels=("mitochondria",), photons=20)
        )
    yield Trial(_with(case, 10), Contender("noisy", "noisy"))
    for seconds in _SECONDS:
        yield Trial(_with(case, 10), Contender(f"{seconds} s", "adaptive-sn2n", for_seconds(seconds)))
    for frames in _FRAMES:
        if frames <= len(case.training):
            few, moving = _with(case, frames), ("adaptive_sn2n.pairs=mixed",)
            yield Trial(few, Contender("400 steps", "adaptive-sn2n", for_steps(400)))
            yield Trial(
                few, Contender("400 steps as if it moved", "adaptive-sn2n", (*moving, *for_steps(400)))
            )
    for name, changes in _NETWORKS.items():
        yield Trial(
            _with(case, 10), Contender(f"20 s, {name}", "adaptive-sn2n", (*changes, *for_seconds(20)))
        )


def _field(data: Path | None) -> Case | None:
    found = FMD(data).captures()
    if found is None or len(found[0]) <= _LATER:
        return None
    frames, reference = found
    scored = frames[_LATER::4]
    return Case("FMD confocal", frames[:_LATER], scored, [reference] * len(scored))


def _with(case: Case, frames: int) -> Case:
    """The same case with the first frames only."""
    name = f"{case.name}, {frames} frames" if frames > 1 else f"{case.name}, 1 frame"
    return Case(name, case.training[:frames], case.frames, case.references, empty=case.empty, dark=case.dark)


FEW_FRAMES = {
    "few-frames": Preset(
        "PSNR against seconds of training, against the number of frames (with the pairs that a field allows that holds "
        "still, and with those of single frames), and against the network: 50 real captures of "
        "a confocal field, of which every fourth from the 21st on is scored. Seconds are those of this machine.",
        _make,
    )
}
"""Name → preset."""
