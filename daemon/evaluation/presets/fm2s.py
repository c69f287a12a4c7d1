"""The tables of FM2S (Liu et al., arXiv 2412.10031v1), as far as the data goes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.item import Absent, Item, Published, Trial
from quietscope.daemon.evaluation.presets.preset import Preset, for_steps

__all__ = ["FM2S"]

_SIDE = 256
"""Side of the cut-outs, pixels, where rows are compared with each other: a quarter of the time."""

_GROUPS = ("Confocal", "TwoPhoton", "WideField", "all")

_TABLE_1 = {
    "noisy (paper)": ((29.1284, 0.7100), (26.3167, 0.4781), (25.2311, 0.3674), (27.2168, 0.5471)),
    "median (paper)": ((33.4726, 0.8682), (31.5647, 0.7693), (28.3866, 0.5626), (31.5651, 0.7588)),
    "FM2S (paper)": ((34.9948, 0.9089), (33.4639, 0.8830), (30.1395, 0.7066), (33.2707, 0.8497)),
}
"""PSNR and SSIM of the 48 images for each of `_GROUPS`."""

_TABLE_1_MEANS = {
    "Noise2Fast (paper)": (32.63, 0.789),
    "ZS-N2N (paper)": (31.66, 0.768),
    "Noise2Self (paper)": (32.24, 0.795),
    "DIP (paper)": (32.07, 0.811),
    "BM3D (paper)": (31.58, 0.824),
}

_TABLE_2 = {1: {"FM2S (paper)": 33.2551}, 2: {"FM2S (paper)": 34.47, "FM2S*, factors by hand (paper)": 34.60},
            4: {"FM2S (paper)": 35.33, "FM2S*, factors by hand (paper)": 36.57}}  # fmt: skip

_TABLE_3: Mapping[str, Mapping[str, float]] = {
    "FM2S (paper, RTX 4070S)": {"train_s": 8, "weights": 3200, "gmac": 0.86, "memory_mb": 50},
    "FM2S (paper, i5-13400F)": {"train_s": 180, "weights": 3200, "gmac": 0.86},
    "ZS-N2N (paper, RTX 4070S)": {"train_s": 18, "weights": 22_200, "gmac": 5.85, "memory_mb": 147},
    "Noise2Fast (paper, RTX 4070S)": {"train_s": 23, "weights": 259_000, "gmac": 68, "memory_mb": 513},
    "Noise2Self (paper, RTX 4070S)": {"train_s": 1320, "weights": 223_000},
    "DIP (paper, RTX 4070S)": {"train_s": 180, "weights": 2_200_000, "memory_mb": 2300},
}


def _fm2s(name: str = "fm2s", *changes: str, steps: int = 900) -> Contender:
    return Contender(name, "fm2s", (*changes, *for_steps(steps)))


def _adaptive() -> Contender:
    return Contender("adaptive-sn2n", "adaptive-sn2n", for_steps(400))


def _middle(image: NDArray[Any]) -> NDArray[Any]:
    top, left = ((side - _SIDE) // 2 for side in image.shape)
    return image[top : top + _SIDE, left : left + _SIDE]


def _table_1(data: Path | None, captures: int) -> Iterator[Item]:
    images = FMD(data)
    for name, figures in _TABLE_1.items():
        for group, (psnr, ssim) in zip(_GROUPS, figures, strict=True):
            yield Published(group, name, {"psnr": psnr, "ssim": ssim})
    for name, (psnr, ssim) in _TABLE_1_MEANS.items():
        yield Published("all", name, {"psnr": psnr, "ssim": ssim})
    if (missing := images.missing()) is not None:
        yield missing
    for name in images.names():
        for method in ("noisy", "median", "gaussian-1"):
            yield Trial(images.case(name), Contender(method, method))
    for contender in (Contender("bm3d", "bm3d"), _adaptive(), _fm2s()):  # the longest last
        for name in images.names(captures=captures):
            yield Trial(images.case(name), contender)


def _table_2(data: Path | None, _: int) -> Iterator[Item]:
    found = FMD(data).captures()
    if found is None:
        yield Absent("nothing can be averaged: fmd_50captures is not in the data folder")
        return
    captures, reference = [_middle(capture) for capture in found[0]], _middle(found[1])
    for count in (1, 2, 4, 16):
        group = f"average of {count}" if count > 1 else "single capture"
        for name, psnr in _TABLE_2.get(count, {}).items():
            yield Published(group, name, {"psnr": psnr})
        mean = np.rint(np.mean(captures[:count], axis=0)).astype(np.uint8)
        case = Case(group, [mean], [mean], [reference], groups=(group,), zero_shot=True)
        for contender in (
            Contender("noisy", "noisy"),
            Contender("median", "median"),
            _fm2s("fm2s, published factors"),
            _fm2s("fm2s, measured factors", "fm2s.noise=calibrated"),
            _adaptive(),
        ):
            yield Trial(case, contender)


def _table_3(data: Path | None, _: int) -> Iterator[Item]:
    images = FMD(data)
    names = images.names("Confocal_FISH", captures=1)
    if not names:
        yield images.missing() or Absent("there is no zebrafish pair in the data folder")
        return
    for name, figures in _TABLE_3.items():
        yield Published("512×512", name, figures)
    case = replace(images.case(names[0]), groups=(), costs=True)
    for contender in (
        Contender("median", "median"),
        Contender("bm3d", "bm3d"),
        _fm2s("fm2s, 900 steps"),
        Contender("adaptive-sn2n, 400 steps", "adaptive-sn2n", for_steps(400)),
        Contender("noise2sr, 1200 steps", "noise2sr", for_steps(1200)),
        Contender("noise2sr as published, 10 of its steps", "noise2sr",
                  ("noise2sr.width=48", "noise2sr.batch=16", *for_steps(10))),
        Contender("poisson2void, 300 steps", "poisson2void", for_steps(300)),
    ):  # fmt: skip
        yield Trial(case, contender)


def _table_4(data: Path | None, _: int) -> Iterator[Item]:
    images = FMD(data)
    names = [*images.names("Confocal_FISH", captures=1), *images.names("TwoPhoton_MICE", captures=1)]
    if not names:
        yield images.missing() or Absent("there is neither a zebrafish nor a mouse pair in the data folder")
    for name in names:
        raw, truth = [_middle(images.raw(name))], [_middle(images.reference(name))]
        case = Case(name, raw, raw, truth, zero_shot=True)
        for contender in (
            Contender("noisy", "noisy"),
            Contender("median: what it is taught", "median"),
            _fm2s("fm2s: 25 noisy versions, 900 steps"),
            _fm2s("1 noisy version", "fm2s.samples=1"),
            _fm2s("5 noisy versions", "fm2s.samples=5"),
            _fm2s("225 noisy versions", "fm2s.samples=225"),
            _fm2s("measured noise", "fm2s.noise=calibrated"),
            _fm2s("450 steps", steps=450),
            _fm2s("second version of the paper", "fm2s.variant=v2"),
        ):
            yield Trial(case, contender)


FM2S = {
    "fm2s-table1": Preset(
        "FM2S, Table 1: PSNR and SSIM on the FMD test images as uint8, data range 255. Noisy, median and Gaussian rows "
        "take every pair there is; all others take one capture of each configuration (`--captures 4` takes all), and "
        "methods that learn do so on the one image that they denoise, FM2S in 900 steps instead of 3,750.",
        _table_1,
    ),
    "fm2s-table2": Preset(
        "FM2S, Table 2: noise levels made by averaging the first 1 to 16 captures of one confocal field, which are "
        "part of the reference too (the paper averages captures of 12 configurations); its middle 256×256 pixels, 900 "
        "steps. Measured factors: the noise that is added is as strong as the calibration finds that of the image.",
        _table_2,
    ),
    "fm2s-table3": Preset(
        "FM2S, Table 3: weights, work, memory and time for one 512×512 image. Times of the paper are of other "
        "machines; what it calls FLOP are multiplications with their additions, as here. CPU seconds hardly depend on "
        "what else the machine does. Memory is the growth of the process while it trains; what an earlier row has left "
        "free is used again, so it is a lower bound.",
        _table_3,
    ),
    "fm2s-table4": Preset(
        "FM2S, ablations (Tables 4–5) by what the settings can take away: noisy versions, their noise, steps, and the "
        "second version of the paper; the middle 256×256 pixels of a zebrafish and of a mouse. Terms of the noise and "
        "copies of the image cannot be switched off one by one.",
        _table_4,
    ),
}
"""Name → preset."""
