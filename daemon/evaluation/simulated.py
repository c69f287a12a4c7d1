"""Cases from the simulated microscope: everything about them is known."""

import numpy as np

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.adapters.simulator.camera import Camera
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.evaluation.case import Case

__all__ = ["simulated_case", "static_case"]

_SCORED = (12, 20, 28)
_SCENE = 12


def simulated_case(name: str, settings: SimulatorSettings, *, training: int = 10) -> Case:
    """A moving series of one channel: the first frames to learn from, three later ones to score.

    Parameters
    ----------
    name
        For the table.
    settings
        The microscope; its first channel is taken.
    training
        Frames to learn from, at most 12.
    """
    settings = settings.model_copy(update={"frames": max(_SCORED) + 1})
    simulator = Simulator(settings)
    return Case(
        name=name,
        training=[simulator.pixels(FrameKey(t)) for t in range(training)],
        frames=[simulator.pixels(FrameKey(t)) for t in _SCORED],
        references=[simulator.truth(FrameKey(t)) for t in _SCORED],
        empty=simulator.specimen.empty(),
        dark=settings.offset,
        network=settings.channels[0] == "er",
    )


def static_case(name: str, settings: SimulatorSettings, *, training: int = 10, captures: int = 20) -> Case:
    """Independent captures of one motionless scene, after learning from a moving series of the same cells.

    Parameters
    ----------
    name
        For the table.
    settings
        The microscope, of one exposure per frame (``sd-sim`` or ``confocal``); its first channel is taken.
    training
        Frames to learn from, at most 12.
    captures
        Frames to score.
    """
    moving = simulated_case(name, settings, training=training)
    specimen = Simulator(settings).specimen
    light = specimen.expected(_SCENE, settings.channels[0])
    camera = Camera(
        light.shape,
        gain=settings.gain,
        offset=settings.offset,
        read_noise=settings.read_noise,
        hot_pixels=settings.hot_pixels,
        rng=np.random.default_rng([settings.seed, 0xCA]),
    )
    rng = np.random.default_rng([settings.seed, 0x57])
    return Case(
        name=name,
        training=moving.training,
        frames=[camera.expose(light, rng) for _ in range(captures)],
        references=[camera.noiseless(light)] * captures,
        empty=moving.empty,
        dark=settings.offset,
        network=moving.network,
        static=True,
    )
