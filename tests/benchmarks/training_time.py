"""Quality against training time, for variations of network, learning rate and batch.

Machines are rarely quiet, so no training is timed: the CPU time of a step of each variation is measured first, in
turns, and each then trains for as many steps as fit into the CPU seconds asked for.

Run it: ``python tests/benchmarks/training_time.py --seconds 5 10 20 40 80``; real images are found as in the tests.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from quietscope.config import Settings
from quietscope.config.loader import load_settings
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.simulated import simulated_case
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.quality import psnr
from quietscope.models.training import train

VARIATIONS: dict[str, tuple[str, ...]] = {
    "default": (),
    "no filter": ("residual=pixel",),
    "no stem": ("stem=1",),
    "no stem, no filter": ("stem=1", "residual=pixel"),
    "batch 8": ("batch=8",),
    "batch 32": ("batch=32",),
    "base 8": ("base_channels=8",),
    "base 32": ("base_channels=32",),
    "4 levels": ("levels=4",),
    "learning rate 0.001": ("learning_rate=0.001",),
    "learning rate 0.004": ("learning_rate=0.004",),
}
ROUNDS = 3
STEPS = 15
HALO = 32


def settings_of(name: str) -> Settings:
    """Settings of a variation, on one thread."""
    changes = [f"adaptive_sn2n.{change}" for change in VARIATIONS[name]]
    return load_settings(overrides=["training.threads=1", *changes])


def cases(names: list[str], side: int) -> Iterator[Case]:
    """Real captures and simulated scenes at 20 photons."""
    for name in names:
        if name != "fmd":
            microscope = SimulatorSettings(channels=(name,), photons=20, height=side, width=side)
            yield simulated_case(name, microscope)
            continue
        found = (
            FMD(Path(os.environ["QUIETSCOPE_DATA"])).captures() if "QUIETSCOPE_DATA" in os.environ else None
        )
        if found is None:
            print("fmd_50captures is not there: set QUIETSCOPE_DATA")
            continue
        frames, reference = found
        scored = frames[20::6]
        yield Case("fmd", frames[:10], scored, [reference] * len(scored))


def step_cost(name: str, training: TrainingSet) -> float:
    """CPU seconds of a step: the median of a few, without the first."""
    moments: list[float] = []

    class Stopwatch:
        def used(self, step: int) -> float:
            moments.append(time.process_time())
            return step / STEPS

    train(training, settings_of(name), Stopwatch())
    return float(np.median(np.diff(moments[3:])))


def trained_quality(name: str, case: Case, training: TrainingSet, steps: int) -> float:
    """PSNR after so many steps, decibels, mean over the scored frames."""
    model = train(training, settings_of(name), StepBudget(steps))
    offset, scale = model.normaliser.stream.offset, model.normaliser.stream.scale
    found = []
    for frame, truth in zip(case.frames, case.references or (), strict=True):
        image = (np.pad(frame.astype(np.float32), HALO, mode="symmetric") - offset) / scale
        with torch.inference_mode():
            output = model.network(torch.from_numpy(image)[None, None])[0, 0].numpy()
        denoised = output[HALO:-HALO, HALO:-HALO] * scale + offset
        found.append(psnr(truth, denoised, 255.0 if frame.dtype == np.uint8 else float(np.ptp(truth))))
    return float(np.mean(found))


def main() -> None:
    """Print a table for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[5, 10, 20, 40, 80], help="CPU seconds")
    parser.add_argument("--cases", nargs="+", default=["fmd", "mitochondria", "er"])
    parser.add_argument("--variations", nargs="+", default=list(VARIATIONS), choices=list(VARIATIONS))
    parser.add_argument("--side", type=int, default=512, help="of the simulated frames, pixels")
    options = parser.parse_args()
    costs: dict[str, float] = {}
    for case in cases(options.cases, options.side):
        training = TrainingSet(case.training, range(len(case.training)))
        for _ in range(0 if costs else ROUNDS):
            for name in options.variations:
                costs[name] = min(costs.get(name, np.inf), step_cost(name, training))
        print(f"\n| {case.name} | ms per step | {' | '.join(f'{s:g} s' for s in options.seconds)} |")
        print(f"| --- | {'---: | ' * (1 + len(options.seconds))}")
        for name in options.variations:
            print(f"| {name} | {1e3 * costs[name]:.1f} |", end="", flush=True)
            for seconds in options.seconds:
                steps = max(1, round(seconds / costs[name]))
                quality = trained_quality(name, case, training, steps)
                print(f" {quality:.2f} ({steps}) |", end="", flush=True)
            print()


if __name__ == "__main__":
    main()
