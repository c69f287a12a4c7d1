"""One channel's way from frames to a judged ONNX file; the only place of the daemon that imports torch."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey
from quietscope.config import ModelError, Settings
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.ready_denoiser import ReadyDenoiser, ready_denoiser
from quietscope.daemon.time_budget import Clock, TimeBudget
from quietscope.models.calibration import Calibration, calibrate
from quietscope.models.denoiser import Denoiser
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.gate import Verdict, judge
from quietscope.models.protocols import Progress, TrainingSet
from quietscope.models.succession import succeed
from quietscope.models.training import TrainedModel, train
from quietscope.models.trust_reference import measure_reference

__all__ = ["TrainingJob", "model_name", "place_by_place"]

_FEW = 3
_APART = 1_000_000_000
_REFERENCE_PIXELS = 1 << 20


def model_name(channel: int, generation: int = 1) -> str:
    """File name of a channel's model; those of later generations were trained again when the specimen had changed."""
    return f"c{channel}.onnx" if generation == 1 else f"c{channel}-{generation}.onnx"


def _calibration(denoiser: Denoiser) -> Calibration | None:
    """What a model's own training found about the noise."""
    figures = json.loads(denoiser.metadata.get("figures", "{}"))
    return Calibration.from_figures(figures)


def place_by_place(
    frames: Sequence[NDArray[Any]], keys: Sequence[FrameKey]
) -> tuple[list[NDArray[Any]], list[int]]:
    """Order frames by position, plane and time.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel.
    keys
        Their keys.

    Returns
    -------
    frames : list of numpy.ndarray
        In their new order.
    times : list of int
        Their time indices, those of another position or plane so far away that they never follow one another.
    """
    order = sorted(range(len(keys)), key=lambda i: (keys[i].p, keys[i].z, keys[i].t))
    places = {place: n for n, place in enumerate(dict.fromkeys((keys[i].p, keys[i].z) for i in order))}
    return [frames[i] for i in order], [keys[i].t + _APART * places[keys[i].p, keys[i].z] for i in order]


class TrainingJob:
    """Trains or adopts a model for one channel, and judges it.

    Parameters
    ----------
    folder
        Where the model goes.
    settings
        Effective settings.
    emit
        Told about progress: called with ``"training"`` and fields.
    channel, name
        The channel's index and name.
    generation
        How many models the channel will have had.
    clock
        What the budget is measured with.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        emit: Callable[..., None],
        channel: int,
        name: str,
        *,
        generation: int = 1,
        clock: Clock = time.monotonic,
    ) -> None:
        self._path = folder / model_name(channel, generation)
        self._settings = settings
        self._emit = emit
        self._clock = clock
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
        self._emit("training", channel=self._channel, name=self._name, used=0.0, frames=len(frames))
        trained = train(
            TrainingSet(*place_by_place(frames, keys), {"channel": self._name}),
            self._settings,
            TimeBudget(self._settings.training, self._clock),
            self._progress,
        )
        self._emit("log", level="info", text=f"{self._name}: {trained.words}")
        export_onnx(trained, self._path)
        return self._path, trained

    def adopt(self) -> tuple[Path, Path]:
        """Copy the model that ``training.model`` names, instead of training one.

        Returns
        -------
        tuple
            The copy, and the file it was taken from.

        Raises
        ------
        quietscope.config.ModelError
            If there is none for this channel.
        """
        named = self._settings.training.model
        assert named is not None
        source = named / model_name(self._channel) if named.is_dir() else named
        if not source.is_file():
            msg = (
                f"training.model is {str(named)!r}, and there is no file {source} for channel {self._channel} "
                f"({self._name}); give an ONNX file, or a folder that holds {model_name(self._channel)}"
            )
            raise ModelError(msg)
        try:
            shutil.copyfile(source, self._path)
        except OSError as error:
            msg = f"the model {source} cannot be copied to {self._path}: {error.strerror}; check both folders"
            raise ModelError(msg) from error
        return self._path, source

    def judge(
        self,
        path: Path,
        trained: TrainedModel | None,
        frames: Sequence[NDArray[Any]],
        keys: Sequence[FrameKey],
        *,
        held_out: bool,
        in_use: Path | None = None,
    ) -> Judgement:
        """Ask the gate about an exported model.

        Parameters
        ----------
        path, trained
            The model as it will be run, and as it was trained; None for one that was adopted.
        frames, keys
            Frames to judge it by, in order of arrival. Only frames of one position and plane are compared.
        held_out
            Whether the model has not seen them.
        in_use
            The model whose place it would take; it must not be worse on the same frames.
        """
        shape = (frames[0].shape[0], frames[0].shape[1])
        ready = self._ready(path, shape)
        denoiser = ready.denoiser
        ordered, times = place_by_place(frames, keys)
        # one or two frames say less about the noise than those that the model was trained on
        known = _calibration(denoiser) if len(frames) < _FEW else None
        calibration = known or calibrate(ordered)
        # what a training has found on the frames it was given says more
        noise = (
            {"noise": calibration.words, **calibration.figures}
            if trained is None
            else {"noise": trained.words, **trained.figures}
        )

        def ask(model: Denoiser, parity: float | None) -> Verdict:
            return judge(
                model.denoise,
                ordered,
                settings=self._settings.gate,
                indices=times,
                parity_error=parity,
                calibration=calibration,
            )

        verdict = ask(denoiser, None if trained is None else parity_error(trained, path))
        if in_use is not None:
            verdict = succeed(verdict, ask(self._ready(in_use, shape).denoiser, None))
        figures = {
            "method": denoiser.metadata.get("method"),
            "held_out": held_out,
            **ready.figures,
            **noise,
            **verdict.figures,
        }
        remarks = (
            () if held_out else ("it was judged on frames that it was trained on, since there are no others",)
        )
        reason = "; ".join((*verdict.reasons, *remarks))
        return Judgement(denoiser.model_id, path, verdict.accepted, reason, figures)

    def trust_reference(self, path: Path, frames: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Measure what later frames are held against.

        Parameters
        ----------
        path
            The accepted model.
        frames
            Frames that it fits, in time order.

        Returns
        -------
        dict
            `quietscope.models.trust_reference.TrustReference.figures`.
        """
        denoiser = Denoiser(path, self._settings.tiling, self._settings.runtime)
        # Viewers wait for this model: about a million pixels say enough.
        count = min(max(2, _REFERENCE_PIXELS // max(frames[0].size, 1)), len(frames))
        chosen = [frames[i * len(frames) // count] for i in range(count)]
        reference = measure_reference(
            lambda frame: denoiser.cast(denoiser.denoise(frame), frame.dtype),
            chosen,
            _calibration(denoiser) or calibrate(frames),
            hot=denoiser.hot_pixels,
            max_twin_correlation=self._settings.gate.max_twin_correlation,
            seed=self._settings.training.seed,
        )
        return reference.figures

    def _ready(self, path: Path, shape: tuple[int, int]) -> ReadyDenoiser:
        return ready_denoiser(path, self._settings, shape, self._say)

    def _say(self, level: str, text: str) -> None:
        """Pass warnings on; what a model runs on is told by the processor once it is live."""
        if level != "info":
            self._emit("log", level=level, text=f"{self._name}: {text}")

    def _progress(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._reported_at < 0.5 and progress.used < 1:
            return
        self._reported_at = now
        self._emit(
            "training",
            channel=self._channel,
            name=self._name,
            step=progress.step,
            used=min(progress.used, 1.0),
            loss=progress.loss,
            validation=progress.validation,
        )
