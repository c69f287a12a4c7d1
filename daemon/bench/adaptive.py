"""What adaptive compute saves on empty, sparse and dense scenes, and what it changes."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator import Simulator
from quietscope.adapters.simulator.camera import Camera
from quietscope.config import Settings
from quietscope.config.science import TilingSettings
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.bench.timing import Timing, in_turn
from quietscope.daemon.evaluation.simulated import simulated_case
from quietscope.daemon.time_budget import TimeBudget
from quietscope.models.denoiser import Denoiser
from quietscope.models.export import export_onnx
from quietscope.models.noise import clean
from quietscope.models.protocols import TrainingSet
from quietscope.models.runtime import candidates
from quietscope.models.tile_scales import tile_scales
from quietscope.models.tiling import HALO
from quietscope.models.training import train

__all__ = ["AdaptiveCost", "adaptive_costs"]

_TILES = TilingSettings(tile=64, overlap=0.5)
_RADIUS = 0.08
"""Of what there is to see in a sparse scene, as a share of the frame's side."""

_DENSEST = 64
"""Side of the brightest square, pixels, of which a dense scene is made."""


@dataclass(frozen=True)
class AdaptiveCost:
    """A scene denoised both ways.

    Parameters
    ----------
    own, tiles
        Tiles that have a scale of their own, and all tiles.
    adaptive, tiled
        Timings of a frame.
    rms, largest
        Difference of both results, shares of the series' scale.
    """

    own: int
    tiles: int
    adaptive: Timing
    tiled: Timing
    rms: float
    largest: float


def adaptive_costs(
    settings: Settings, side: int, *, steps: int, rounds: int, longest_s: float
) -> dict[str, dict[str, AdaptiveCost]]:
    """Train a model with the rule ``noise`` on simulated frames; denoise scenes with it in tiles of 64 and adaptively.

    Parameters
    ----------
    settings
        Network, and which runtimes.
    side
        Side of the frames, pixels, at least 128.
    steps
        Steps of the training: an untrained network would be the same at any scale.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        Scene → provider → costs.
    """
    microscope = SimulatorSettings(channels=("mitochondria",), photons=20, height=side, width=side)
    scenes = _scenes(microscope)
    with tempfile.TemporaryDirectory(prefix="quietscope-bench-") as place:
        path = Path(place) / "noise.onnx"
        _train(settings, microscope, steps, path)
        denoisers = [Denoiser(path, _TILES, one) for one in candidates(settings.runtime)]
    ways: dict[tuple[str, str, bool], Callable[[], NDArray[np.float32]]] = {}
    for scene, frame in scenes.items():
        for one in denoisers:
            for adaptive in (True, False):
                way = one.retiled(_TILES.model_copy(update={"adaptive": adaptive}))
                way.warm_up((side, side))
                ways[scene, one.provider, adaptive] = _act(way, frame)
    named = {" ".join(map(str, key)): way for key, way in ways.items()}
    timings = in_turn(named, rounds=rounds, longest_s=longest_s, rare=dict.fromkeys(named, rounds))
    found: dict[str, dict[str, AdaptiveCost]] = {scene: {} for scene in scenes}
    for scene, frame in scenes.items():
        for one in denoisers:
            key = scene, one.provider
            difference = ways[*key, True]() - ways[*key, False]()
            difference /= one.normaliser.stream.scale
            found[scene][one.provider] = AdaptiveCost(
                *_tiles_of_their_own(one, frame),
                adaptive=timings[f"{scene} {one.provider} True"],
                tiled=timings[f"{scene} {one.provider} False"],
                rms=float(np.sqrt(np.mean(difference**2))),
                largest=float(np.abs(difference).max()),
            )
    return found


def _scenes(microscope: SimulatorSettings) -> dict[str, NDArray[np.uint16]]:
    """Frames by name: nothing, what is in a small disc, the simulated cells, and their brightest square repeated."""
    light = Simulator(microscope).specimen.expected(0, microscope.channels[0])
    rows, columns = (side // _DENSEST for side in light.shape)
    squares = light[: rows * _DENSEST, : columns * _DENSEST].reshape(rows, _DENSEST, columns, _DENSEST)
    row, column = np.unravel_index(np.argmax(squares.mean(axis=(1, 3))), (rows, columns))
    densest = squares[row, :, column]
    y, x = np.indices(light.shape)
    middle = _DENSEST * np.array([row + 0.5, column + 0.5])
    near = np.hypot(y - middle[0], x - middle[1]) < _RADIUS * light.shape[0]
    repeats = [-(-side // _DENSEST) for side in light.shape]
    lights = {
        "empty": np.full_like(light, light.min()),
        "sparse": np.where(near, light, light.min()),
        "cells": light,
        "dense": np.tile(densest, repeats)[: light.shape[0], : light.shape[1]],
    }
    camera = Camera(
        light.shape,
        gain=microscope.gain,
        offset=microscope.offset,
        read_noise=microscope.read_noise,
        hot_pixels=0.0,
        rng=np.random.default_rng(0),
    )
    rng = np.random.default_rng(1)
    return {name: camera.expose(expected, rng) for name, expected in lights.items()}


def _train(settings: Settings, microscope: SimulatorSettings, steps: int, path: Path) -> None:
    sizes = settings.adaptive_sn2n.model_copy(update={"normalisation": "noise"})
    budget = {"max_steps": steps, "budget_s": 86_400.0, "min_steps": 0}
    training = settings.training.model_copy(update=budget)
    changed = settings.model_copy(
        update={"method": "adaptive-sn2n", "adaptive_sn2n": sizes, "training": training}
    )
    frames = list(simulated_case("cells", microscope, training=5).training)
    export_onnx(train(TrainingSet(frames, range(len(frames))), changed, TimeBudget(training)), path)


def _act(denoiser: Denoiser, frame: NDArray[np.uint16]) -> Callable[[], NDArray[np.float32]]:
    return lambda: denoiser.denoise(frame)


def _tiles_of_their_own(denoiser: Denoiser, frame: NDArray[np.uint16]) -> tuple[int, int]:
    image = clean(frame)
    layout = denoiser.layout((image.shape[0], image.shape[1]))
    padded = layout.pad(np.pad(image, HALO, mode="symmetric"))
    shared = denoiser.normaliser.shared(*tile_scales(denoiser.normaliser, layout, padded, image))
    return int(np.count_nonzero(~shared)), layout.count
