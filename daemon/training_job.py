"""One channel's way from frames to a judged ONNX file; the only place of the daemon that imports torch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey
from quietscope.config import Settings
from quietscope.config.science import TrainingSettings
from quietscope.daemon.parent import Parent
from quietscope.daemon.runfolder import RunFolder
from quietscope.models.denoiser import Denoiser
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.gate import judge
from quietscope.models.protocols import Progress, TrainingSet
from quietscope.models.training import TrainedModel, train

__all__ = ["Judgement", "TimeBudget", "TrainingJob"]


_GRACE = 3.0


class TimeBudget:
    """A training budget by the clock, bounded in steps from both sides.

    Parameters
    ----------
    settings
        ``budget_s``, ``min_steps`` and ``max_steps``.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._started: float | None = None

    def used(self, step: int) -> float:
        """Share of the budget used; the clock starts with the first call."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        limits = self._settings
        share = (now - self._started) / limits.budget_s
        if limits.min_steps:
            # A machine that is busy with other things gets more time instead of a half-trained model.
            share = min(share, max(step / limits.min_steps, share / _GRACE))
        return share if limits.max_steps is None else max(share, step / limits.max_steps)


@dataclass(frozen=True)
class Judgement:
    """What became of a training.

    Parameters
    ----------
    model_id
        Identity of the model, empty without one.
    path
        The ONNX file, or None without one.
    accepted
        Whether the gate lets it go live.
    reason
        In words.
    figures
        What was measured; JSON-able.
    """

    model_id: str
    path: Path | None
    accepted: bool
    reason: str
    figures: Mapping[str, Any]


class TrainingJob:
    """Trains and judges a model for one channel.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    parent
        Told about progress.
    channel, name
        The channel's index and name.
    """

    def __init__(self, run: RunFolder, settings: Settings, parent: Parent, channel: int, name: str) -> None:
        self._run = run
        self._settings = settings
        self._parent = parent
        self._channel = channel
        self._name = name
        self._reported_at = 0.0

    def train(self, frames: Sequence[NDArray[Any]], keys: Sequence[FrameKey]) -> tuple[Path, TrainedModel]:
        """Train on `frames` and export.

        Returns
        -------
        tuple
            The ONNX file and the model in memory.

        Raises
        ------
        quietscope.config.ModelError
            If training diverges or the export fails.
        """
        self._parent.emit("training", channel=self._channel, name=self._name, used=0.0, frames=len(frames))
        trained = train(
            TrainingSet(frames, [key.t for key in keys], {"channel": self._name}),
            self._settings,
            TimeBudget(self._settings.training),
            self._progress,
        )
        path = self._run.models / f"c{self._channel}.onnx"
        export_onnx(trained, path)
        return path, trained

    def judge(
        self,
        path: Path,
        trained: TrainedModel,
        frames: Sequence[NDArray[Any]],
        keys: Sequence[FrameKey],
        *,
        held_out: bool,
    ) -> Judgement:
        """Ask the gate about an exported model.

        Parameters
        ----------
        path, trained
            The model as it will be run, and as it was trained.
        frames, keys
            Frames to judge it by, in time order.
        held_out
            Whether the model has not seen them.
        """
        denoiser = Denoiser(path, self._settings.tiling, self._settings.runtime)
        verdict = judge(
            denoiser.denoise,
            frames,
            settings=self._settings.gate,
            indices=[key.t for key in keys],
            parity_error=parity_error(trained, path),
        )
        figures = {
            "method": self._settings.method,
            "held_out": held_out,
            "provider": denoiser.provider,
            **trained.figures,
            **verdict.figures,
        }
        return Judgement(denoiser.model_id, path, verdict.accepted, "; ".join(verdict.reasons), figures)

    def _progress(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._reported_at < 0.5 and progress.used < 1:
            return
        self._reported_at = now
        self._parent.emit(
            "training",
            channel=self._channel,
            name=self._name,
            step=progress.step,
            used=min(progress.used, 1.0),
            loss=progress.loss,
            validation=progress.validation,
            **self._parent.memory(),
        )
