"""An untrained network of the real size, to see what it runs on and how fast."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietscope.config import Settings
from quietscope.daemon.bench.networks import write_default
from quietscope.daemon.ready_denoiser import ready_denoiser

__all__ = ["Trial", "trial"]

_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial found.

    Parameters
    ----------
    provider
        What the network really ran on.
    ready_ms, frame_ms
        Time until it was ready (choice of the runtime and warm-up included), and of a frame, milliseconds.
    """

    provider: str
    ready_ms: float
    frame_ms: float


def trial(settings: Settings, shape: tuple[int, int]) -> Trial:
    """Denoise a few frames with an untrained network of the default method.

    Parameters
    ----------
    settings
        Network, tiles and runtime.
    shape
        Frame size (Y, X).

    Raises
    ------
    quietscope.config.ModelError
        If the network cannot be run as the settings ask.
    """
    with tempfile.TemporaryDirectory(prefix="quietscope-trial-") as folder:
        path = Path(folder) / "trial.onnx"
        write_default(settings, path)
        started = time.perf_counter()
        denoiser = ready_denoiser(path, settings, shape, lambda _level, _text: None).denoiser
        ready_ms = 1e3 * (time.perf_counter() - started)
        frame = np.random.default_rng(0).poisson(100, shape).astype("uint16")
        times = []
        for _ in range(_REPEATS):
            started = time.perf_counter()
            denoiser.denoise(frame)
            times.append(1e3 * (time.perf_counter() - started))
    return Trial(denoiser.provider, ready_ms, float(np.median(times)))
