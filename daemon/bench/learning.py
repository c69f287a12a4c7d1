"""How soon a model is good: PSNR of later frames against seconds of training."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietscope.config import Settings
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.simulated import simulated_case
from quietscope.daemon.time_budget import TimeBudget
from quietscope.models.denoiser import Denoiser
from quietscope.models.export import export_onnx
from quietscope.models.protocols import TrainingSet
from quietscope.models.quality import psnr
from quietscope.models.training import train

__all__ = ["Learned", "learning_cases", "learning_curve"]

_TRAINING = 10
_EVERY = 4


@dataclass(frozen=True)
class Learned:
    """A model after so much training.

    Parameters
    ----------
    case
        What it learnt.
    seconds
        Training time that it was given.
    steps
        What it made of it.
    noisy_db, denoised_db
        Mean PSNR of later frames, decibels.
    """

    case: str
    seconds: float
    steps: int
    noisy_db: float
    denoised_db: float


def learning_cases(data: Path | None) -> Iterator[Case]:
    """Simulated mitochondria at 20 photons, and the 50 captures of a real field where `data` holds them."""
    yield simulated_case(
        "simulated mitochondria, 20 photons", SimulatorSettings(channels=("mitochondria",), photons=20)
    )
    found = FMD(data).captures()
    if found is not None:
        frames, reference = found
        later = frames[_TRAINING::_EVERY]
        yield Case("50 captures of a confocal field", frames[:_TRAINING], later, [reference] * len(later))


def learning_curve(case: Case, settings: Settings, seconds: Sequence[float]) -> list[Learned]:
    """Train anew for each length of time, on the first frames; score the model as it is exported.

    Parameters
    ----------
    case
        With references.
    settings
        Method, network, threads; the least number of steps does not count here.
    seconds
        Budgets.
    """
    return [_learn(case, settings, budget) for budget in seconds]


def _learn(case: Case, settings: Settings, seconds: float) -> Learned:
    training = settings.training.model_copy(update={"budget_s": seconds, "min_steps": 0})
    changed = settings.model_copy(update={"training": training})
    frames = list(case.training)
    model = train(TrainingSet(frames, range(len(frames))), changed, TimeBudget(training))
    with tempfile.TemporaryDirectory(prefix="quietscope-bench-") as place:
        path = Path(place) / "model.onnx"
        export_onnx(model, path)
        denoiser = Denoiser(path, changed.tiling, changed.runtime)
    noisy, denoised = [], []
    for frame, reference in zip(case.frames, case.references or (), strict=True):
        span = 255.0 if frame.dtype == np.uint8 else float(reference.max() - reference.min())
        noisy.append(psnr(reference, frame, span))
        denoised.append(psnr(reference, denoiser.cast(denoiser.denoise(frame), frame.dtype), span))
    return Learned(
        case=case.name,
        seconds=seconds,
        steps=int(model.figures["steps"]),
        noisy_db=float(np.mean(noisy)),
        denoised_db=float(np.mean(denoised)),
    )
