"""What a frame costs: every runtime, stage by stage, and what others do with the same frame."""

import importlib.util
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.daemon.bench.timing import Timing, in_turn
from quietscope.models.baselines import BASELINES
from quietscope.models.denoiser import Denoiser
from quietscope.models.runtime import candidates

__all__ = ["PEERS", "FrameCosts", "channel_costs", "frame_costs", "peer_costs"]

PEERS = {
    "published": "published configuration: 17.27 M weights, 64-pixel tiles with 50 % overlap, one by one",
    "published whole": "the published network on the whole frame at once",
    "n2v": "N2V: the network that CAREamics takes unless told otherwise, on the whole frame at once",
    "median": "median filter, 3×3",
    "bm3d": "BM3D",
}
"""Name → words. Networks on onnxruntime's CPU provider."""


@dataclass(frozen=True)
class FrameCosts:
    """Costs of a frame on one runtime.

    Parameters
    ----------
    end_to_end
        Frame in native dtype to denoised frame in native dtype.
    stages
        ``normalise``, ``network``, ``assemble``, ``cast`` → median milliseconds, elapsed and of processor time.
    pixels
        Pixels that the network computes for a frame, halos included.
    """

    end_to_end: Timing
    stages: dict[str, tuple[float, float]]
    pixels: int


class _Measured:
    """A frame's way through a denoiser, with a stop-watch.

    Parameters
    ----------
    path, tiling, runtime
        Of the denoiser.
    frame
        What goes in.
    """

    def __init__(
        self, path: Path, tiling: TilingSettings, runtime: RuntimeSettings, frame: NDArray[Any]
    ) -> None:
        self._denoiser = Denoiser(path, tiling, runtime, self._mark)
        self._frame = frame
        self._at = np.zeros(2)
        self._current: dict[str, NDArray[np.float64]] = {}
        self._all: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        height, width = self._denoiser.network_shape((frame.shape[0], frame.shape[1]))
        self.pixels = self._denoiser.passes((frame.shape[0], frame.shape[1])) * height * width

    @property
    def provider(self) -> str:
        return self._denoiser.provider

    @property
    def stages(self) -> dict[str, tuple[float, float]]:
        medians = {name: np.median(values, axis=0) for name, values in self._all.items()}
        return {name: (float(wall), float(cpu)) for name, (wall, cpu) in medians.items()}

    def forget(self) -> None:
        """Leave the warm-up out."""
        self._all.clear()

    def _mark(self, stage: str) -> None:
        now = _clocks()
        self._current[stage] = self._current.get(stage, np.zeros(2)) + 1e3 * (now - self._at)
        self._at = now

    def __call__(self) -> None:
        self._current = {}
        self._at = _clocks()
        self._denoiser.cast(self._denoiser.denoise(self._frame), self._frame.dtype)
        self._mark("cast")
        for name, value in self._current.items():
            self._all[name].append(value)


def frame_costs(
    path: Path,
    tiling: TilingSettings,
    runtime: RuntimeSettings,
    side: int,
    *,
    rounds: int,
    longest_s: float,
) -> dict[str, FrameCosts]:
    """Measure square uint16 frames on every runtime that the settings allow, in turn.

    Parameters
    ----------
    path, tiling, runtime
        Model, tiles, and which runtimes.
    side
        Side of the frame, pixels.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        Provider → costs.
    """
    frame = _frame(side)
    ways = {way.provider: way for way in (_Measured(path, tiling, one, frame) for one in candidates(runtime))}
    for way in ways.values():
        way()
        way.forget()
    everyone = dict.fromkeys(ways, rounds)  # they are warm
    timings = in_turn(dict(ways), rounds=rounds, longest_s=longest_s, rare=everyone)
    return {name: FrameCosts(timings[name], way.stages, way.pixels) for name, way in ways.items()}


def channel_costs(
    path: Path,
    tiling: TilingSettings,
    runtime: RuntimeSettings,
    side: int,
    *,
    most: int,
    rounds: int,
    longest_s: float,
) -> dict[str, dict[int, Timing]]:
    """Measure time points of several channels, each with a model of its own, on every runtime, in turn.

    Parameters
    ----------
    path, tiling, runtime
        Model of every channel, tiles, and which runtimes.
    side
        Side of the frames, pixels.
    most
        Most channels; all numbers from 1 on are measured.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        Provider → number of channels → timing of a whole time point.
    """
    frame = _frame(side)
    ways = [[_Measured(path, tiling, one, frame) for _ in range(most)] for one in candidates(runtime)]
    for way in ways:
        for channel in way:
            channel()
    contenders = {(way[0].provider, n): _each(way[:n]) for way in ways for n in range(1, most + 1)}
    named = {f"{provider} {n}": act for (provider, n), act in contenders.items()}
    timings = in_turn(named, rounds=rounds, longest_s=longest_s, rare=dict.fromkeys(named, rounds))
    found: dict[str, dict[int, Timing]] = defaultdict(dict)
    for provider, n in contenders:
        found[provider][n] = timings[f"{provider} {n}"]
    return dict(found)


def _each(channels: Sequence[_Measured]) -> Callable[[], object]:
    def denoise() -> None:
        for channel in channels:
            channel()

    return denoise


def peer_costs(
    ours: Path,
    published: Path,
    tiling: TilingSettings,
    runtime: RuntimeSettings,
    side: int,
    *,
    rounds: int,
    longest_s: float,
    n2v: Path | None = None,
) -> dict[str, Timing]:
    """Measure ours on every runtime, and the peers, in turn.

    Parameters
    ----------
    ours, published
        Model files.
    tiling, runtime
        Ours; the peers' networks run on onnxruntime's CPU provider with as many threads.
    side
        Side of the frame, pixels.
    rounds, longest_s
        See `in_turn`; what takes long is measured in the first round or two.
    n2v
        Model file of N2V's network, where CAREamics is installed.

    Returns
    -------
    dict
        Provider, or name in `PEERS`, → timing. BM3D and N2V only where they are installed.
    """
    frame = _frame(side)
    cpu = RuntimeSettings(provider="cpu", threads=runtime.threads)
    small = TilingSettings(tile=64, overlap=0.5, batch=1, adaptive=False)
    whole = TilingSettings(tile=4096, overlap=0.0, batch=1, adaptive=False)
    contenders: dict[str, Callable[[], object]] = {
        way.provider: way for way in (_Measured(ours, tiling, one, frame) for one in candidates(runtime))
    }
    contenders["published"] = _Measured(published, small, cpu, frame)
    contenders["published whole"] = _Measured(published, whole, cpu, frame)
    if n2v is not None:
        contenders["n2v"] = _Measured(n2v, whole, cpu, frame)
    contenders["median"] = lambda: BASELINES["median"](frame)
    if importlib.util.find_spec("bm3d") is not None:
        contenders["bm3d"] = lambda: BASELINES["bm3d"](frame)
    rare = {"published": 2, "published whole": 2, "n2v": 5, "bm3d": 1}
    return in_turn(contenders, rounds=rounds, longest_s=longest_s, rare=rare, repeats=5)


def _clocks() -> NDArray[np.float64]:
    return np.array([time.perf_counter(), time.process_time()])


def _frame(side: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).poisson(40, (side, side)).astype(np.uint16)
