"""Claims about truth, tested where the truth is known: ablation, empty background, networks, static series."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.item import Absent, Item, Trial
from quietscope.daemon.evaluation.presets.preset import Preset, for_steps
from quietscope.daemon.evaluation.simulated import simulated_case, static_case

__all__ = ["SIMULATION"]

_PATCH_WISE = "patch-wise"
_RELEASED = "patch-wise as released, not inverted"
_BOUNDED = "patch-wise, bounded"

_TILED = ("tiling.adaptive=false",)
"""Tiles also where one scale would let a frame go through in one pass: what is compared is the tiles."""

_RULES = {
    _PATCH_WISE: ("minmax", "tiling.tile=64", "tiling.overlap=0.5"),
    _BOUNDED: ("patch",),
    "image-wise": ("image",),
    "one stream scale": ("stream",),
    "adaptive, published rule": ("published",),
    "adaptive, noise rule": ("noise",),
}
"""Name → rule, and further changes: the released code has tiles as large as its patches."""

_DIM = 20
"""Photons up to which loss and self-consistency are varied: with more there is little noise to tell by."""


def _microscope(channel: Literal["mitochondria", "er"], photons: float, side: int = 512) -> SimulatorSettings:
    return SimulatorSettings(channels=(channel,), photons=photons, height=side, width=side)


def _baselines(*names: str) -> list[Contender]:
    return [Contender(name, name) for name in names]


def _adaptive(name: str, *changes: str) -> Contender:
    return Contender(name, "adaptive-sn2n", changes)


def _rules(steps: int) -> list[Contender]:
    patch_wise, *others = [
        _adaptive(name, f"adaptive_sn2n.normalisation={rule}", *further, *for_steps(steps))
        for name, (rule, *further) in _RULES.items()
    ]
    return [replace(patch_wise, name=_RELEASED, inverted=False), patch_wise, *others]


def _trials(case: Case, contenders: list[Contender]) -> Iterator[Item]:
    return (Trial(case, contender) for contender in contenders)


def _ablation(data: Path | None, _: int) -> Iterator[Item]:
    steps = for_steps(300)
    released, patch_wise, *rules = [contender for contender in _rules(300) if contender.name != _BOUNDED]
    rules = [
        released,  # the same training is used again for other tiles where it comes next
        patch_wise,
        replace(
            patch_wise,
            name=f"{patch_wise.name}, no overlap",
            changes=(*patch_wise.changes, "tiling.overlap=0"),
        ),
        *rules,
    ]
    variants = [
        _adaptive("stream, L1", "adaptive_sn2n.loss=l1", *steps),
        _adaptive("stream, self-consistency 0.5", "adaptive_sn2n.self_consistency=0.5", *steps),
    ]
    for photons in (3, 20, 1000):
        case = simulated_case(f"{photons} photons", _microscope("mitochondria", photons))
        yield from _trials(case, [*_baselines("noisy", "gaussian-1", "gaussian-2"), *rules])
        if photons <= _DIM:
            yield from _trials(case, variants)
    real = _field(data, 10)
    if real is None:
        yield Absent("no rows on real images: fmd_50captures is not in the data folder")
    else:
        yield from _trials(real, [*_baselines("noisy", "gaussian-1"), *rules])


def _background(_: Path | None, __: int) -> Iterator[Item]:
    for photons in (5, 10, 20, 50):
        case = simulated_case(f"mitochondria, {photons} photons", _microscope("mitochondria", photons))
        yield from _trials(case, _baselines("noisy", "gaussian-1", "gaussian-2"))
        yield from _trials(case, _rules(800))


def _networks(_: Path | None, __: int) -> Iterator[Item]:
    for photons in (20, 10, 50):
        case = simulated_case(f"ER, {photons} photons", _microscope("er", photons))
        contenders = [
            *_baselines("noisy", "median", "gaussian-1", "gaussian-2", "bm3d"),
            _adaptive("default", *for_steps(800)),
        ]
        if photons == 20:
            contenders += [
                Contender("fm2s", "fm2s", for_steps(900)),
                Contender("noise2sr", "noise2sr", for_steps(1200)),
                Contender("poisson2void", "poisson2void", for_steps(300)),
            ]
        yield from _trials(case, contenders)


def _static(data: Path | None, _: int) -> Iterator[Item]:
    contenders = [
        *_baselines("noisy", "gaussian-1"),
        _adaptive("default", *for_steps(800)),
        _adaptive("default without overlap", "tiling.overlap=0", *_TILED, *for_steps(800)),
        _adaptive(
            "tiles 128 without overlap", "tiling.tile=128", "tiling.overlap=0", *_TILED, *for_steps(800)
        ),
        _adaptive(
            "tiles 128, overlap 50 %", "tiling.tile=128", "tiling.overlap=0.5", *_TILED, *for_steps(800)
        ),
    ]
    scenes: tuple[tuple[Literal["mitochondria", "er"], str, int], ...] = (
        ("mitochondria", "mitochondria", 20),
        ("er", "ER", 20),
        ("mitochondria", "mitochondria", 100),
    )
    for channel, title, photons in scenes:
        microscope = _microscope(channel, photons, 1024)
        yield from _trials(
            static_case(f"static {title}, {photons} photons", microscope, captures=8), contenders
        )
    real = _field(data, 10)
    if real is None:
        yield Absent("no real static series: fmd_50captures is not in the data folder")
    else:
        yield from _trials(real, contenders[:4])


def _field(data: Path | None, training: int) -> Case | None:
    """The 50 captures: the first to learn from, every fourth of the later ones to score."""
    found = FMD(data).captures()
    if found is None or len(found[0]) < training + 2:
        return None
    frames, reference = found
    scored = frames[training::4]
    return Case(
        "FMD confocal, 50 captures", frames[:training], scored, [reference] * len(scored), static=True
    )


SIMULATION = {
    "ablation": Preset(
        "Claims of Adaptive-SN2N on simulated mitochondria with known truth, 3 to 1,000 photons per pixel, and on 50 "
        "real captures: 300 steps on ten frames, later frames scored. Scales are taken back before tiles are blended, "
        "which the released code does not do; all but patch-wise are bounded from below as well.",
        _ablation,
    ),
    "background": Preset(
        "What is left in known-empty background: simulated mitochondria, 800 steps on ten frames, three later frames "
        "scored.",
        _background,
    ),
    "networks": Preset(
        "Whether networks stay whole: simulated endoplasmic reticulum, ten frames to learn from, three later ones "
        "scored.",
        _networks,
    ),
    "static": Preset(
        "Flicker, seams and slope: independent captures of one motionless simulated scene of 1024×1024 pixels after "
        "learning from ten frames of the moving cells, and 50 real captures of one field.",
        _static,
    ),
}
"""Name → preset."""
