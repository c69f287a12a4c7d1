"""Makes denoisers for an evaluation: trains, exports, and loads what was exported, as a run does."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from quietscope.config import ModelError, Settings
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.costs import MemoryPeak, giga_macs
from quietscope.daemon.evaluation.uninverted import UninvertedDenoiser
from quietscope.daemon.time_budget import TimeBudget
from quietscope.models import noise2noise, published_sn2n
from quietscope.models.baselines import BASELINES
from quietscope.models.denoiser import Denoiser
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.protocols import TrainingSet
from quietscope.models.training import train

__all__ = ["Tool", "Workshop"]

_PREPARE = {"noise2noise": noise2noise.prepare, "published-sn2n": published_sn2n.prepare}


@dataclass(frozen=True)
class Tool:
    """A denoiser, and what it cost.

    Parameters
    ----------
    denoise
        From a frame (Y, X) to the denoised frame, float32, same shape, grey levels.
    figures
        ``train_s``, ``steps``, ``weights``, and of costs ``train_cpu_s``, ``gmac`` and ``memory_mb``; empty for a
        baseline.
    without_line
        Takes the line that makes intensities true out of a denoised frame again; none where there is none, or it is not
        one line for the whole frame.
    pitch
        From a frame's shape to the distance of neighbouring tiles along Y and X, pixels; 0 for a single tile.
    """

    denoise: Callable[[NDArray[Any]], NDArray[np.float32]]
    figures: Mapping[str, float] = field(default_factory=dict)
    without_line: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
    pitch: Callable[[tuple[int, int]], tuple[float, float]] = lambda _: (0.0, 0.0)


class Workshop:
    """Trains one contender after another in a folder of its own, which goes when the workshop is left.

    A training that differs from the one before in nothing but the overlap of tiles is used again.

    Parameters
    ----------
    changes
        Texts ``KEY=VALUE`` that go over the settings of every contender.
    """

    def __init__(self, changes: Sequence[str] = ()) -> None:
        self._changes = tuple(changes)
        self._exit = ExitStack()
        self._folder = Path()
        self._last: tuple[Case, str, str] | None = None
        self._figures: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="quietscope-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def make(self, case: Case, contender: Contender) -> Tool:
        """Train, or take what needs no training.

        Raises
        ------
        quietscope.config.QuietscopeError
            If a setting is impossible, training fails, or a package is missing.
        """
        if not contender.learns:
            return Tool(BASELINES[contender.method])
        settings = contender.settings(self._changes)
        path = self._folder / "model.onnx"
        tiling = settings.tiling.model_copy(update={"overlap": 0.0, "adaptive": True})
        same = settings.model_copy(update={"tiling": tiling})
        job = (case, contender.method, same.model_dump_json())
        if self._last != job:
            self._last = None
            self._figures = _train(case, contender.method, settings, path)
            self._last = job
        tool = _tool(Denoiser(path, settings.tiling, settings.runtime), self._figures)
        if contender.inverted:
            return tool
        return replace(tool, denoise=UninvertedDenoiser(path, settings).denoise, without_line=None)


def _train(case: Case, method: str, settings: Settings, path: Path) -> dict[str, float]:
    """Train and export; what it cost."""
    with ExitStack() as stack:
        peak = stack.enter_context(MemoryPeak()) if case.costs else None
        started, cpu_started = time.monotonic(), time.process_time()
        frames = list(case.training)
        model = train(
            TrainingSet(frames, range(len(frames))),
            settings,
            TimeBudget(settings.training),
            prepare=_PREPARE.get(method),
        )
        seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    export_onnx(model, path)
    parity = parity_error(model, path)
    if parity > settings.gate.max_parity_error:
        msg = f"{case.name}: the exported model differs from the trained one by {parity:.2g} of the scale; train anew"
        raise ModelError(msg)
    figures = {
        "train_s": seconds,
        "steps": model.figures["steps"],
        "weights": float(model.weights),
        "line_slope": model.figures["line_slope"],
        "line_intercept": model.figures["line_intercept"],
    }
    if peak is not None:
        height, width = case.frames[0].shape
        work = giga_macs(model.network, (height, width))
        figures |= {"train_cpu_s": cpu_seconds, "memory_mb": peak.megabytes, "gmac": work}
    return figures


def _tool(denoiser: Denoiser, figures: Mapping[str, float]) -> Tool:
    stream, slope, intercept = (
        denoiser.normaliser.stream,
        figures["line_slope"],
        figures["line_intercept"],
    )

    def without_line(image: NDArray[np.float32]) -> NDArray[np.float32]:
        normalised = (image - stream.offset) / stream.scale
        bare: NDArray[np.float32] = (normalised - intercept) / slope * stream.scale + stream.offset
        return bare

    def pitch(shape: tuple[int, int]) -> tuple[float, float]:
        layout = denoiser.layout(shape)
        return _distance(layout.tops), _distance(layout.lefts)

    return Tool(
        denoise=denoiser.denoise,
        figures={name: figures[name] for name in figures if not name.startswith("line_")},
        without_line=without_line if denoiser.normaliser.rule == "stream" and slope != 0 else None,
        pitch=pitch,
    )


def _distance(starts: Sequence[int]) -> float:
    """Mean distance of neighbouring tiles."""
    return (starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else 0.0
