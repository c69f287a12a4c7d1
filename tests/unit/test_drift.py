"""A series is said to hold still only if it does, and only where movement would be seen."""

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.config.sources import SimulatorSettings
from quietscope.models.drift import holds_still
from quietscope.models.gaussian import blur

SIDE = 192


def _scene(shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE), 10.0)
    for y, x in rng.uniform(0, SIDE, (30, 2)):
        image += 40 * np.exp(-((rows - y) ** 2 + (columns - x - shift) ** 2) / 18)
    return image


def _series(count, *, speed=0.0, light=1.0, dimming=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.poisson(light * (1 - dimming) ** t * _scene(speed * t)).astype(np.uint16) for t in range(count)
    ]


@pytest.mark.parametrize("count", [4, 10, 20])
@pytest.mark.parametrize("dimming", [0.0, 0.02])
def test_a_fixed_scene_holds_still_even_if_it_bleaches(count, dimming):
    assert holds_still(_series(count, dimming=dimming))


@pytest.mark.parametrize("speed", [0.1, 1.0])
def test_a_moving_scene_does_not(speed):
    assert not holds_still(_series(10, speed=speed))


def test_a_scene_lost_in_noise_is_not_said_to_hold_still():
    assert not holds_still(_series(10, light=0.003))


def test_noise_alone_proves_nothing_whatever_its_correlation():
    rng = np.random.default_rng(1)
    for sigma in (0.0, 0.8, 2.0):
        fields = [rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(10)]
        assert not holds_still([blur(field, sigma) if sigma else field for field in fields])


@pytest.mark.parametrize("photons", [10, 20])
def test_living_cells_in_noisy_reconstructions_do_not_hold_still(photons):
    settings = SimulatorSettings(modality="sim", photons=photons, frames=20, height=256, width=256)
    simulator = Simulator(settings)
    assert not holds_still([simulator.pixels(FrameKey(t)) for t in range(20)])


def test_few_or_tiny_frames_prove_nothing():
    assert not holds_still(_series(3))
    assert not holds_still([frame[:8, :8] for frame in _series(8)])
