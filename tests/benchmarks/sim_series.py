"""Reconstructed SIM of moving structures: which pairs are chosen, and what they do.

python tests/benchmarks/sim_series.py [--photons 10 20 30] [--steps 400] [--pairs auto spatial]

Prints a Markdown table: PSNR of the reconstruction and of what is denoised against the noiseless reconstruction of the
same nine exposures; correlation 1 to 4 pixels apart of the noise and of what was taken away (raw − denoised); and the
width of edges over the truth's: mean gradient of the truth over the denoised frame's along the same directions, at the
steepest hundredth of the pixels. Needs no data. Frames are those after the training frames.
"""

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.config import Settings
from quietscope.config.sources import SimulatorSettings
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.training import TrainedModel, train

Image = NDArray[np.floating]

TRAINED_ON = 20
SCORED = (22, 25, 28)


def denoise(model: TrainedModel, frame: Image) -> Image:
    """Denoise a frame whose sides are multiples of the stride."""
    offset, scale = model.normaliser.parameters(frame[None], frame)
    continued = np.pad(frame.astype(np.float32), 16, mode="symmetric")
    with torch.inference_mode():
        image = torch.from_numpy((continued - offset[0]) / scale[0])[None, None]
        return model.network(image).numpy()[0, 0, 16:-16, 16:-16] * scale[0] + offset[0]


def psnr(image: Image, truth: Image) -> float:
    """Peak signal-to-noise ratio over the range of the truth, dB."""
    return float(10 * np.log10((truth.max() - truth.min()) ** 2 / np.mean((image - truth) ** 2)))


def correlations(field: Image) -> list[float]:
    """Correlation 1 to 4 pixels apart, mean of both axes."""
    field = field - field.mean()
    power = np.mean(field**2)
    return [
        float((np.mean(field[:, n:] * field[:, :-n]) + np.mean(field[n:] * field[:-n])) / 2 / power)
        for n in range(1, 5)
    ]


def edge_width(image: Image, truth: Image) -> float:
    """Width of the edges over that of the truth."""
    gradients = np.stack(np.gradient(truth))
    strength = np.hypot(*gradients)
    steep = strength >= np.quantile(strength, 0.99)
    direction = gradients[:, steep] / strength[steep]
    along = (np.stack(np.gradient(image))[:, steep] * direction).sum(axis=0)
    return float(strength[steep].mean() / along.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photons", type=float, nargs="+", default=[10, 20, 30])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pairs", nargs="+", default=["auto", "spatial"])
    parser.add_argument(
        "--rate", type=float, default=1.0, help="time points per second: motion between frames"
    )
    parser.add_argument("--modality", default="sim")
    options = parser.parse_args()
    print(
        "| photons | asked | pairs | raw dB | denoised dB | gain | noise lags 1-4 | removed lags 1-4 | edges | s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for photons in options.photons:
        simulator = Simulator(
            SimulatorSettings(
                modality=options.modality,
                photons=photons,
                frames=SCORED[-1] + 1,
                rate_hz=options.rate,
                channels=("mitochondria",),
            )
        )
        frames = [simulator.pixels(FrameKey(t)) for t in range(TRAINED_ON)]
        later = [(simulator.pixels(FrameKey(t)), simulator.truth(FrameKey(t))) for t in SCORED]
        for pairs in options.pairs:
            settings = Settings(adaptive_sn2n={"pairs": pairs}, training={"threads": 1})
            began = time.perf_counter()
            model = train(TrainingSet(frames, range(TRAINED_ON)), settings, StepBudget(options.steps))
            seconds = time.perf_counter() - began
            images = [denoise(model, raw) for raw, _ in later]
            before = np.mean([psnr(raw, truth) for raw, truth in later])
            after = np.mean([psnr(image, truth) for image, (_, truth) in zip(images, later, strict=True)])
            noise = np.mean([correlations(raw - truth) for raw, truth in later], axis=0)
            removed = np.mean(
                [correlations(raw - image) for image, (raw, _) in zip(images, later, strict=True)], axis=0
            )
            edges = np.mean(
                [edge_width(image, truth) for image, (_, truth) in zip(images, later, strict=True)]
            )
            lags = (" ".join(f"{value:+.2f}" for value in values) for values in (noise, removed))
            print(
                f"| {photons:g} | {pairs} | {model.pairs} | {before:.2f} | {after:.2f} | {after - before:+.2f} | "
                f"{' | '.join(lags)} | {edges:.2f} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
