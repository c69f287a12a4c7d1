"""The tables of Noise2SR (Tian et al., MICCAI 2022), as far as training on single images goes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.item import Absent, Item, Published, Trial
from quietscope.daemon.evaluation.presets.preset import Preset, for_steps

__all__ = ["NOISE2SR"]

_KINDS = {"Gaussian 15": (0.0, 15.0), "Poisson 20": (20.0, 0.0), "Poisson 15 and Gaussian 5": (15.0, 5.0)}
"""Photo-electrons at grey level 255 (0: no shot noise), and standard deviation in grey levels."""

_TABLE_1: Mapping[str, Mapping[str, tuple[float, float | None]]] = {
    "Gaussian 15": {"Noise2SR (paper)": (35.27, 0.8936), "Noise2Noise (paper)": (35.42, None)},
    "Poisson 20": {"Noise2SR (paper)": (33.50, 0.8827)},
    "Poisson 15 and Gaussian 5": {"Noise2SR (paper)": (31.80, 0.8523), "Noise2Noise (paper)": (32.56, None)},
}

_TABLE_2 = {
    "Confocal_FISH": (34.14, 0.9131),
    "Confocal_BPAE_B": (39.69, 0.9822),
    "Confocal_BPAE_G": (34.45, 0.9114),
    "Confocal_BPAE_R": (33.47, 0.9443),
    "Confocal_MICE": (37.49, 0.9651),
    "TwoPhoton_BPAE_B": (33.17, 0.9334),
    "TwoPhoton_BPAE_G": (28.66, 0.7916),
    "TwoPhoton_BPAE_R": (31.72, 0.8754),
    "TwoPhoton_MICE": (34.25, 0.9194),
}
"""PSNR and SSIM by configuration: nuclei B, F-actin G, mitochondria R, zebrafish FISH."""


def _fields(images: FMD, captures: int) -> list[str]:
    """Names of confocal and two-photon images."""
    return [*images.names("Confocal", captures), *images.names("TwoPhoton", captures)]


def _noisy(truth: NDArray[Any], photons: float, sigma: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    light = truth.astype(np.float64)
    if photons:
        light = rng.poisson(light * (photons / 255)).astype(np.float64) * (255 / photons)
    return np.clip(np.rint(light + rng.normal(0, sigma, truth.shape)), 0, 255).astype(np.uint8)


def _table_1(data: Path | None, _: int) -> Iterator[Item]:
    images = FMD(data)
    names = [*images.names("Confocal", 1)[:1], *images.names("TwoPhoton", 1)[:1]]
    if not names:
        yield images.missing() or Absent("there are no confocal or two-photon references in the data folder")
    for kind, (photons, sigma) in _KINDS.items():
        for name, (psnr, ssim) in _TABLE_1[kind].items():
            yield Published(kind, name, {"psnr": psnr, **({} if ssim is None else {"ssim": ssim})})
        for number, name in enumerate(names):
            truth = images.reference(name)
            rng = np.random.default_rng([number, int(photons), int(sigma)])
            captures = [_noisy(truth, photons, sigma, rng) for _ in range(2)]
            title = f"{name.rpartition('_')[0]}, {kind}"
            single = Case(title, captures[:1], captures[:1], [truth], groups=(kind,), zero_shot=True)
            yield Trial(single, Contender("noisy", "noisy"))
            yield Trial(single, Contender("median", "median"))
            yield Trial(single, Contender("bm3d", "bm3d"))
            yield Trial(single, Contender("adaptive-sn2n", "adaptive-sn2n", for_steps(300)))
            yield Trial(single, Contender("noise2sr", "noise2sr", for_steps(400)))
            if "Noise2Noise (paper)" in _TABLE_1[kind]:
                pair = Case(title, captures, captures[:1], [truth], groups=(kind,), zero_shot=True)
                yield Trial(pair, Contender("noise2noise", "noise2noise", for_steps(400)))


def _table_2(data: Path | None, captures: int) -> Iterator[Item]:
    images = FMD(data)
    names = _fields(images, captures)
    if not names:
        yield images.missing() or Absent("there are no confocal or two-photon pairs in the data folder")
    for field in dict.fromkeys(name.rpartition("_")[0] for name in names):
        if field in _TABLE_2:
            psnr, ssim = _TABLE_2[field]
            yield Published(field, "Noise2SR, trained on the data set (paper)", {"psnr": psnr, "ssim": ssim})
    if absent := [field for field in _TABLE_2 if not images.names(f"{field}_")]:
        yield Absent(f"not in the data folder: {', '.join(absent)}")
    for name in names:
        raw, truth, field = images.raw(name), images.reference(name), name.rpartition("_")[0]
        single = Case(name, [raw], [raw], [truth], groups=(field, "all"), zero_shot=True)
        yield Trial(single, Contender("noisy", "noisy"))
        yield Trial(single, Contender("median", "median"))
        yield Trial(single, Contender("adaptive-sn2n", "adaptive-sn2n", for_steps(400)))
        yield Trial(single, Contender("noise2sr", "noise2sr", for_steps(1200)))
        if len(pair := images.other_captures(name)[:2]) == 2:
            taught = Case(name, pair, [raw], [truth], groups=(field, "all"), zero_shot=True)
            yield Trial(taught, Contender("noise2noise", "noise2noise", for_steps(600)))


NOISE2SR = {
    "noise2sr-table1": Preset(
        "Noise2SR, Table 1: synthetic noise on the first confocal and the first two-photon reference of FMD, rounded "
        "to uint8. Each image is learnt alone (width 16, batch 4, 400 steps); the paper trains on the whole data set "
        "and takes all configurations. Noise2Noise has two captures of the one image.",
        _table_1,
    ),
    "noise2sr-table2": Preset(
        "Noise2SR, Table 2: real noise. Each image is learnt alone (width 16, batch 4, 1,200 steps), as in a live "
        "series; the paper trains on 18 other fields of view of each configuration. Noise2Noise has one more capture "
        "of the same field.",
        _table_2,
    ),
}
"""Name → preset."""
