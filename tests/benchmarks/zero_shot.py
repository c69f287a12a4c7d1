"""Zero-shot scores on FMD: each noisy image is denoised by what was trained on that one image, if anything was.

Run ``python tests/benchmarks/zero_shot.py METHOD STEPS [IMAGE...]``; METHOD is a baseline (STEPS is ignored), a
method of the settings, or ``noise2noise``, which trains the network of ``noise2sr`` on the image and the next capture
of the same field. IMAGE is a name without ``.png``, such as ``Confocal_FISH_1``; none takes all. ``--set KEY=VALUE``
changes settings. The images are looked for in ``QUIETSCOPE_DATA``, else in ../shared/data. A Markdown table is printed.

PSNR has a data range of 255 and SSIM scikit-image's defaults, both on the image rounded to uint8. *Without line* is
the PSNR before the line that makes intensities true, which the published methods do not have.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional

from quietscope.config.loader import load_settings
from quietscope.config.settings import Settings
from quietscope.models import noise2sr
from quietscope.models.baselines import BASELINES
from quietscope.models.denoiser import Denoiser
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.method import Preparation
from quietscope.models.methods import METHODS
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.quality import psnr
from quietscope.models.training import train

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("QUIETSCOPE_DATA", ROOT.parent / "shared" / "data")) / "fmd"

TRAINED_AS = {"noise2noise": "noise2sr"}
"""Methods of this script that stand on the settings of another."""


class CapturePairs:
    """Noise2Noise: either of two captures predicts the other, in random patches and orientations."""

    def __init__(self, prepared: Preparation, captures: np.ndarray, *, patch: int, batch: int) -> None:
        self.network = prepared.network
        self.bfloat16 = bool(prepared.figures["bfloat16"])
        self.captures = captures
        self.patch = patch
        self.batch = batch

    def loss(self, rng: np.random.Generator) -> Tensor:
        pairs = np.empty((2, self.batch, 1, self.patch, self.patch), np.float32)
        for index in range(self.batch):
            top, left = (int(rng.integers(side - self.patch + 1)) for side in self.captures.shape[1:])
            pair = self.captures[:, top : top + self.patch, left : left + self.patch]
            order, mirror = rng.choice([1, -1], 2)
            pairs[:, index, 0] = np.rot90(pair[::order], int(rng.integers(4)), axes=(1, 2))[..., ::mirror]
        inputs, targets = torch.from_numpy(pairs)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            predicted = self.network(inputs)
        return functional.mse_loss(predicted.float(), targets)

    def validate(self) -> None:
        return None


def noise2noise(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Network, schedule and size of the network's input of Noise2SR, taught by a second capture."""
    prepared = noise2sr.prepare(training_set, settings, device)
    stream, options = prepared.normaliser.stream, settings.noise2sr
    captures = ((np.stack(training_set.frames) - stream.offset) / stream.scale).astype(np.float32)
    objective = CapturePairs(prepared, captures, patch=options.patch // 2, batch=options.batch)
    return replace(prepared, objective=objective, pairs="captures")


def score(truth: np.ndarray, image: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of grey levels rounded to uint8."""
    rounded = Denoiser.cast(image, np.uint8)
    return psnr(truth, rounded, 255), float(structural_similarity(truth, rounded))


def read(kind: str, name: str) -> np.ndarray:
    """The noisy image (``raw``) or its reference (``gt``)."""
    return np.asarray(Image.open(DATA / kind / f"{name}.png"))


def next_capture(name: str) -> str:
    """Another of the four captures of the same field."""
    field, _, number = name.rpartition("_")
    return f"{field}_{int(number) % 4 + 1}"


def denoise(method: str, steps: int, name: str, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Train on an image, export, and denoise it; with and without the line."""
    names = [name, next_capture(name)] if method == "noise2noise" else [name]
    frames = [read("raw", each) for each in names]
    prepare = noise2noise if method == "noise2noise" else METHODS[method]
    with patch.dict(METHODS, {settings.method: prepare}):
        model = train(TrainingSet(frames, range(len(frames))), settings, StepBudget(steps))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path)
        parity = parity_error(model, path)
        if parity > settings.gate.max_parity_error:
            raise SystemExit(f"{name}: ONNX differs from PyTorch by {parity:.2g}")
        denoiser = Denoiser(path, settings.tiling, settings.runtime)
        image = denoiser.denoise(frames[0])
    stream = denoiser.normaliser.stream
    slope, intercept = model.figures["line_slope"], model.figures["line_intercept"]
    normalised = (image - stream.offset) / stream.scale
    return image, (normalised - intercept) / slope * stream.scale + stream.offset


def row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=[*BASELINES, *METHODS, "noise2noise"])
    parser.add_argument("steps", type=int)
    parser.add_argument("images", nargs="*", metavar="IMAGE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    learns = arguments.method not in BASELINES
    settings = load_settings(
        overrides=[f"method={TRAINED_AS.get(arguments.method, arguments.method)}", *arguments.set]
        if learns
        else []
    )
    names = arguments.images or sorted(file.stem for file in (DATA / "raw").glob("*.png"))
    if not names:
        parser.error(f"there are no images in {DATA}; set QUIETSCOPE_DATA to the folder that holds fmd")
    header = ["image", "noisy", arguments.method, "SSIM", *(["without line", "seconds"] if learns else [])]
    row(header)
    row(["---", *["---:"] * (len(header) - 1)])
    groups = defaultdict(list)
    for name in names:
        truth, start = read("gt", name), time.perf_counter()
        if learns:
            image, bare = denoise(arguments.method, arguments.steps, name, settings)
            extra = [score(truth, bare)[0], time.perf_counter() - start]
        else:
            image, extra = BASELINES[arguments.method](read("raw", name)), []
        figures = [score(truth, read("raw", name))[0], *score(truth, image), *extra]
        for group in (name, name.partition("_")[0], "all"):
            groups[group].append(figures)
        row(cells(name, figures))
    for group, rows in groups.items():
        if group not in names and len(rows) > 1:
            row(cells(f"mean of {len(rows)}: {group}", np.mean(rows, axis=0)))


def cells(name: str, figures: Sequence[float]) -> list[str]:
    """Numbers as printed in the table."""
    digits = (2, 2, 4, 2, 0)
    return [name, *(f"{value:.{digit}f}" for value, digit in zip(figures, digits, strict=False))]


if __name__ == "__main__":
    main()
