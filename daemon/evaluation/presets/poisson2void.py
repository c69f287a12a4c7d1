"""The tables of Poisson2Void (Rao, Ventura and Hagen), as far as training on single images goes."""

from collections.abc import Iterator
from pathlib import Path

from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.item import Absent, Item, Published, Trial
from quietscope.daemon.evaluation.presets.preset import Preset, for_steps

__all__ = ["POISSON2VOID"]

_ESTIMATES = {"prior": "prior mean", "map": "MAP", "posterior": "posterior mean"}

_PAPER = {
    "Confocal_MICE": {
        "prior, most probable (paper)": 33.90,
        "MAP (paper)": 30.99,
        "posterior mean (paper)": 31.54,
        "prior, most probable, strided (paper)": 34.49,
        "MAP, strided (paper)": 31.08,
        "posterior mean, strided (paper)": 34.72,
        "PN2V (paper)": 38.24,
        "N2V (paper)": 37.56,
        "N2N (paper)": 38.19,
        "supervised U-Net (paper)": 38.38,
    },
    "Confocal_FISH": {
        "prior, most probable (paper)": 23.11,
        "MAP (paper)": 23.10,
        "posterior mean (paper)": 23.25,
        "PN2V (paper)": 32.45,
        "N2V (paper)": 32.10,
        "N2N (paper)": 32.93,
        "supervised U-Net (paper)": 32.93,
    },
}
"""PSNR of mice and zebrafish."""


def _make(data: Path | None, captures: int) -> Iterator[Item]:
    images = FMD(data)
    for field, figures in _PAPER.items():
        names = images.names(f"{field}_", captures)
        if not names:
            yield Absent(f"no {field} pair in the data folder")
            continue
        for name, psnr in figures.items():
            yield Published(field, name, {"psnr": psnr})
        for name in names:
            case = images.case(name)
            yield Trial(case, Contender("noisy", "noisy"))
            yield Trial(case, Contender("median", "median"))
            yield Trial(case, Contender("adaptive-sn2n", "adaptive-sn2n", for_steps(400)))
            for gain, unit in (("calibrated", "false"), ("one grey level per photo-electron", "true")):
                for estimate, words in _ESTIMATES.items():
                    for tiles, overlap in (("grid", "0"), ("strided", "0.5")):
                        changes = (
                            f"poisson2void.estimate={estimate}",
                            f"poisson2void.unit_gain={unit}",
                            "tiling.tile=128",
                            f"tiling.overlap={overlap}",
                            "tiling.adaptive=false",
                            *for_steps(200),
                        )
                        yield Trial(case, Contender(f"{words}, {tiles}, {gain}", "poisson2void", changes))


POISSON2VOID = {
    "poisson2void": Preset(
        "Poisson2Void: prior, MAP and posterior mean, in tiles of 128 side by side (grid) and overlapping by half "
        "(strided). Each image is learnt alone in 200 steps; the paper trains on 18 other fields of view. The prior is "
        "its mean, where the paper takes its most probable value; all estimates go through the line that makes "
        "intensities true.",
        _make,
    )
}
"""Name → preset."""
